-- The end of a socket around an object that does its own I/O.

local loop = require 'socketloop'
local own_io = require 'own_io'
local support = require 'support'

local pack = support.pack
local run, plain, close = support.run, support.plain, support.close
local eventually, object = support.eventually, own_io.object
local pair = own_io.pair

describe('a foreign object', function()
    support.hooks(before_each, after_each)

    describe('is closed', function()
        it('once, and wakes the threads that wait', function()
            run(function()
                local s, peer, o = pair()
                local read, written
                peer:send 'part'
                loop.newthread(function() read = pack(s:receive()) end)
                loop.newthread(function()
                    written = pack(s:send(('x'):rep(5000000)))
                end)
                loop.sleep(0.001)
                assert.equal(1, s:close())
                assert.equal(1, o.closed)
                assert.is_true(eventually(function()
                    return read and written
                end))
                assert.same({n = 3, nil, 'closed', 'part'}, read)
                assert.is_nil(written[1])
                assert.equal('closed', written[2])
                assert.is_true(written[3] > 0)
                local calls = o.calls
                assert.same({n = 3, nil, 'closed', 'p'},
                    pack(s:receive('*a', 'p')))
                assert.same({n = 3, nil, 'closed', 0}, pack(s:send 'x'))
                assert.equal(1, s:close())
                assert.equal(1, o.closed)
                assert.equal(calls, o.calls)
                peer:close()
            end)
        end)

        it('and its descriptor can be used by the next', function()
            run(function()
                local client, peer = plain.pair()
                local o = object(client)
                o.close = function() end    -- shared with another owner
                local s = loop.wrap(o)
                s:settimeout(0.001)
                s:receive()
                s:close()
                local again = loop.wrap(client)
                peer:send 'again\n'
                assert.equal('again', again:receive())
                close(again, peer)
            end)
        end)

        it('by another owner', function()
            run(function()
                local s, peer, o = pair()
                o.inner:close()
                assert.same({n = 3, nil, 'closed', ''}, pack(s:receive()))
                assert.equal(-1, s:getfd())
                close(s, peer)
                assert.equal(1, o.closed)
            end)
        end)

        it('not when another is set while a thread waits', function()
            run(function()
                local s, peer = pair()
                local client, other = plain.pair()
                local got
                loop.newthread(function() got = s:receive() end)
                assert.error_matches(function() s:setsocket(client) end,
                    'a thread waits on the socket')
                peer:send 'fine\n'
                assert.is_true(eventually(function() return got end))
                assert.equal('fine', got)
                close(s, peer, client, other)
            end)
        end)

        it('by the collector with its loop socket', function()
            local client, peer = plain.pair()
            local seen = setmetatable({}, {__mode = 'k'})
            do
                local o = object(client)
                seen[o] = true
                run(function()
                    local s = loop.wrap(o)
                    seen[s] = true
                    s:settimeout(0)
                    s:receive()
                end)
            end
            support.collect()
            support.collect()
            assert.is_nil(next(seen))
            close(client, peer)
        end)
    end)
end)
