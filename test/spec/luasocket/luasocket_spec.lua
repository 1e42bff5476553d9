-- LuaSocket's own objects in loop threads while install is in effect. Their
-- peers are sockets of the loop, so an operation that blocked would never end.

local loop = require 'socketloop'
local socket = require 'socket'
local scenes = require 'scenes'
local support = require 'support'

local run, pack, track = support.run, support.pack, support.track
local with_pair, trickle = scenes.with_unwrapped, scenes.trickle

describe('a LuaSocket object in a thread', function()
    support.hooks_installed(before_each, after_each)

    it('is of the class it always was', function()
        with_pair(function(client)
            assert.matches('^tcp{client}: ', tostring(client))
            assert.is_nil(client.type)
            local listener = track(assert(socket.bind('127.0.0.1', 0)))
            assert.matches('^tcp{server}: ', tostring(listener))
            assert.matches('^tcp{master}: ', tostring(socket.tcp()))
            listener:close()
        end)
    end)

    describe('that receives', function()
        it('waits for a line', function()
            with_pair(function(client, peer)
                trickle(peer, 'one', ' li', 'ne\r\nand')
                assert.same({'one line', nil, nil, n = 3},
                            pack(client:receive()))
                assert.equal('and', client:receive(3))
            end)
        end)

        it('drops every CR of a line that came in pieces', function()
            with_pair(function(client, peer)
                trickle(peer, 'a\r', '\rb\r', '\n')
                assert.equal('ab', client:receive '*l')
            end)
        end)

        it('waits for a count', function()
            with_pair(function(client, peer)
                trickle(peer, '123', '456', '789')
                assert.equal('1234567', client:receive(7))
                assert.equal('89', client:receive '2')
            end)
        end)

        it('waits for the end', function()
            with_pair(function(client, peer)
                trickle(peer, 'a', 'b\r\n', 'c', false)
                assert.same({'ab\r\nc', nil, nil, n = 3},
                            pack(client:receive '*a'))
            end)
        end)

        it('gives nothing at an end without bytes', function()
            with_pair(function(client, peer)
                loop.newthread(function()
                    loop.sleep(0.002)
                    peer:close()
                end)
                assert.same({nil, 'closed', '', n = 3},
                            pack(client:receive '*a'))
                assert.same({nil, 'closed', 'pre', n = 3},
                            pack(client:receive('*a', 'pre')))
            end)
        end)

        it('gives the bytes before the end of a line', function()
            with_pair(function(client, peer)
                trickle(peer, 'no ', 'feed', false)
                assert.same({nil, 'closed', 'no feed', n = 3},
                            pack(client:receive()))
            end)
        end)

        it('takes a prefix', function()
            with_pair(function(client, peer)
                trickle(peer, 'b', 'c\nde', 'f', 'ghi')
                assert.equal('abc', client:receive('*l', 'a'))
                assert.equal('xdef', client:receive(4, 'x'))
                loop.newthread(function()
                    loop.sleep(0.02)
                    peer:close()
                end)
                assert.equal('yghi', client:receive('*a', 'y'))
            end)
        end)

        it('gets a megabyte in one count, one line, and all', function()
            local big = ('x'):rep(1000000)
            with_pair(function(client, peer)
                loop.newthread(function()
                    peer:send(big)
                    peer:send(big .. '\n')
                    peer:send(big)
                    peer:close()
                end)
                assert.is_true(client:receive(#big) == big)
                assert.is_true(client:receive() == big)
                assert.is_true(client:receive '*a' == big)
            end)
        end)

        it('leaves nothing behind after a timeout', function()
            with_pair(function(client, peer)
                peer:send 'half'
                client:settimeout(0.01)
                assert.same({nil, 'timeout', 'half', n = 3},
                            pack(client:receive()))
                peer:send 'other\n'
                assert.equal('other', client:receive())
            end)
        end)

        it('gives the partial result after a timeout in pieces', function()
            with_pair(function(client, peer)
                client:settimeout(0.3)
                trickle(peer, 'a', 'b')
                assert.same({nil, 'timeout', '_ab', n = 3},
                            pack(client:receive(9, '_')))
            end)
        end)
    end)

    describe('that sends', function()
        it('waits until all is sent', function()
            local big = ('0123456789'):rep(500000)
            with_pair(function(client, peer)
                local sent
                loop.newthread(function()
                    sent = pack(client:send(big))
                    client:close()
                end)
                assert.is_true(peer:receive '*a' == big)
                assert.same({#big, nil, nil, n = 3}, sent)
            end)
        end)

        it('sends a part', function()
            local big = ('0123456789'):rep(500000)
            with_pair(function(client, peer)
                local sent
                loop.newthread(function()
                    sent = client:send(big, 3, -3)
                    client:close()
                end)
                assert.is_true(peer:receive '*a' == big:sub(3, -3))
                assert.equal(#big - 2, sent)
            end)
        end)

        it('returns the number of bytes sent', function()
            local big = ('0123456789'):rep(1000000)
            with_pair(function(client, peer)
                client:settimeout(0.01)
                local ok, err, last = client:send(big)
                assert.is_nil(ok)
                assert.equal('timeout', err)
                assert.is_true(last > 0 and last < #big)
                client:close()
                assert.is_true(peer:receive '*a' == big:sub(1, last))
            end)
        end)

        it('reports that the peer has gone', function()
            local big = ('0123456789'):rep(1000000)
            with_pair(function(client, peer)
                loop.newthread(function()
                    loop.sleep(0.005)
                    peer:close()
                end)
                local ok, err = client:send(big)
                assert.is_nil(ok)
                assert.equal('closed', err)
            end)
        end)
    end)

    describe('with a timeout', function()
        it('limits each wait by default', function()
            with_pair(function(client, peer)
                client:settimeout(0.1)
                trickle(peer, 'a', 'b', 'c')
                assert.equal('abc', client:receive(3))
                local seconds, _, err = support.timed(client.receive, client)
                assert.equal('timeout', err)
                assert.is_true(seconds >= 0.099)
            end)
        end)

        it('limits the call in mode t', function()
            with_pair(function(client, peer)
                client:settimeout(0.03, 't')
                local goes_on = true
                loop.newthread(function()
                    while goes_on do
                        peer:send 'x'
                        loop.sleep(0.002)
                    end
                end)
                local seconds, _, err, part = support.timed(client.receive,
                                                            client)
                goes_on = false
                assert.equal('timeout', err)
                assert.matches('^x+$', part)
                assert.is_true(seconds >= 0.029)
            end)
        end)

        it('returns the values set', function()
            with_pair(function(client, peer)
                assert.same({-1, -1, n = 2}, pack(client:gettimeout()))
                peer:send 'x\n'
                client:receive()
                assert.same({-1, -1, n = 2}, pack(client:gettimeout()))
                assert.equal(1, client:settimeout(3))
                client:settimeout(7, 't')
                peer:send 'x\n'
                client:receive()
                assert.same({3, 7, n = 2}, pack(client:gettimeout()))
            end)
        end)

        it('of 0 does not wait, but lets others run', function()
            with_pair(function(client, peer)
                client:settimeout(0)
                local turns = 0
                loop.newthread(function()
                    for _ = 1, 10 do
                        turns = turns + 1
                        loop.sleep(0)
                    end
                    peer:send 'x\n'
                end)
                -- Would not end if no other thread had a turn.
                local line, err
                repeat line, err = client:receive() until err ~= 'timeout'
                assert.equal('x', line)
                assert.equal(10, turns)
            end)
        end)

        it('of 0 begins to connect', function()
            run(function()
                local listener = track(loop.tcp('127.0.0.1', 0))
                assert(listener:listen(8))
                local s = socket.tcp()
                s:settimeout(0)
                local ok, err = s:connect('127.0.0.1', support.port(listener))
                assert.is_true(ok == 1 or err == 'timeout')
                local _, writable = socket.select(nil, {s}, 5)
                assert.equal(s, writable[1])
                s:settimeout(5)
                listener:accept():send 'x\n'
                assert.equal('x', s:receive())
                s:close()
                listener:close()
            end)
        end)

        it('gives up connecting', function()
            run(function()
                -- The queue of a listener that does not accept fills up.
                local listener = track(loop.tcp('127.0.0.1', 0))
                assert(listener:listen(0))
                local held, err = {}
                for i = 1, 20 do
                    local s, ok = track(socket.tcp())     -- luacheck: ignore
                    s:settimeout(0.02)
                    ok, err = s:connect('127.0.0.1', support.port(listener))
                    held[i] = s
                    if not ok then break end
                end
                assert.equal('timeout', err)
                for _, s in ipairs(held) do s:close() end
                listener:close()
            end)
        end)
    end)

    describe('waits anywhere:', function()
        local places = {
            ['in pcall'] = function(f) return select(2, pcall(f)) end,
            ['in a sort'] = function(f)
                local result
                table.sort({2, 1}, function(a, b)
                    result = result or f()
                    return a < b
                end)
                return result
            end,
            ['in gsub'] = function(f) return (('x'):gsub('x', f)) end,
            ['in a metamethod'] = function(f)
                return setmetatable({}, {__index = function()
                    return f()
                end}).line
            end,
            ['in a nested coroutine'] = function(f)
                return coroutine.wrap(f)()
            end,
            ['in socket.protect'] = function(f)
                return socket.protect(f)()
            end,
            ['in a finalizer of newtry'] = function(f)
                local line
                socket.protect(function()
                    socket.newtry(function() line = f() end)(nil, 'failed')
                end)()
                return line
            end,
        }
        for name, place in pairs(places) do
            it(name, function()
                with_pair(function(client, peer)
                    trickle(peer, 'a', 'b\n')
                    assert.equal('ab', place(function()
                        return client:receive()
                    end))
                end)
            end)
        end
    end)

    it('does not keep others from running while it is busy', function()
        with_pair(function(client, peer)
            local turns, goes_on = 0, true
            loop.newthread(function()
                peer:send(('x\n'):rep(20000))
                while goes_on do
                    turns = turns + 1
                    loop.sleep(0)
                end
            end)
            for _ = 1, 20000 do assert(client:receive()) end
            goes_on = false
            assert.is_true(turns > 20)
        end)
    end)

    it('is used by a hundred threads at once', function()
        local waiting, most, ended = 0, 0, 0
        run(function()
            local _, listener = support.serve(function(client)
                waiting = waiting + 1
                most = math.max(most, waiting)
                client:send(client:receive() .. '\n')
                support.eventually(function() return most == 100 end)
                client:send 'bye\n'
                client:close()
            end)
            local port = support.port(listener)
            for i = 1, 100 do
                loop.newthread(function()
                    local s = assert(socket.connect('127.0.0.1', port))
                    s:send(i .. '\n')
                    if s:receive() == tostring(i) and s:receive() == 'bye' then
                        ended = ended + 1
                    end
                    s:close()
                end)
            end
            support.eventually(function() return ended == 100 end)
            listener:close()
        end)
        assert.equal(100, ended)
        assert.equal(100, most)
    end)
end)
