-- Data that was cut short by a reset looked complete.

local loop = require 'socketloop'
local support = require 'support'

local run, pack, plain = support.run, support.pack, support.plain

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it("a reset in '*a' is not the end of the stream", function()
        run(function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            client:send 'unread'    -- so that closing resets
            peer:send 'partial'
            peer:setoption('linger', {on = true, timeout = 0})
            peer:close()
            assert.same(pack(nil, 'closed', 'partial'),
                        pack(s:receive '*a'))
            s:close()
        end)
    end)
end)
