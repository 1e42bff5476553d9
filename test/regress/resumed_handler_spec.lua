-- The loop closed the client of a failing handler, but not if the handler had
-- been resumed by another thread.

local loop = require 'socketloop'
local support = require 'support'

local run, pack = support.run, support.pack

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('a client is closed when its handler fails after resume', function()
        local waiting
        local port, listener = support.serve(function()
            waiting = loop.current()
            loop.suspend()
            error {}
        end)
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            client:settimeout(5)
            support.eventually(function() return waiting end)
            assert.is_false((pcall(loop.resume, waiting)))
            assert.same(pack(nil, 'closed', ''), pack(client:receive()))
            client:close()
            listener:close()
        end)
    end)
end)
