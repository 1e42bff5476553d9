-- A server claimed its listening socket only when the first handler had
-- returned. If the handler started an accept on the socket, the accept and the
-- server waited for ever.

local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('an accept on a server\'s socket while a handler runs', function()
        local ok, err, listener
        local port
        port, listener = support.serve(function(client)
            loop.newthread(function()
                ok, err = pcall(listener.accept, listener)
            end)
            client:close()
        end)
        support.run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            assert.same(pack(nil, 'closed', ''), pack(client:receive()))
            client:close()
            assert.is_false(ok)
            assert.matches('already waited on by another thread', err)
            listener:close()
            loop.sleep(0)    -- the server's thread ends
            assert.same(pack(nil, 'closed'), pack(listener:accept()))
        end)
    end)
end)
