-- A reader's error left the step after the event had been counted as
-- dispatched. An edge-triggered poller does not report an event twice.

local loop = require 'socketloop'
local support = require 'support'

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('a writer is woken though the reader of its socket fails', function()
        support.with_mixed(function(s, peer)
            local sent, size = nil, 8 * 1024 * 1024
            loop.newthread(function() sent = s:send(('x'):rep(size)) end)
            loop.newthread(function()
                s:receive()
                error {}
            end)
            loop.onerror = function() end
            peer:settimeout(0.01)
            local got = 0
            repeat
                local data, err, part = peer:receive(65536)
                got = got + #(data or part)
                if got > size / 2 then peer:send 'line\n' end
                loop.sleep(0)
            until got == size or err == 'closed'
            loop.onerror = nil
            support.eventually(function() return sent end)
            assert.equal(size, sent)
        end)
    end)
end)
