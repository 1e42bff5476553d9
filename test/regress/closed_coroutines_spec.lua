-- The operation of a closed coroutine was retried, with a string that had been
-- collected.

local loop = require 'socketloop'
local support = require 'support'

local plain = support.plain

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    if coroutine.close then
        it('a send ends with its coroutine', function()
            support.with_mixed(function(s, peer)
                local thread = loop.newthread(function()
                    s:send(('x'):rep(2 ^ 23))
                end)
                coroutine.close(thread)
                thread = nil    -- luacheck: ignore
                collectgarbage()
                peer:settimeout(0.01)
                repeat
                    local data, _, part = peer:receive(65536)
                    loop.sleep(0)
                until not data and part == ''
                assert.equal(5, (s:send 'hello'))
                assert.equal('hello', (peer:receive(5)))
            end)
        end)

        it('a connect ends with its coroutine, and leaks nothing', function()
            local listener, port = plain.listen()
            for _ = 1, 10 do
                coroutine.close(loop.newthread(function()
                    loop.connect('127.0.0.1', port)
                end))
            end
            while loop.step(0.05) do end
            listener:close()
        end)
    end
end)
