-- LuaSocket's own objects in loop threads while install is in effect. Their
-- peers are sockets of the same loop, so whatever blocked would never end.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local run, pack, track = support.run, support.pack, support.track
local pair = support.unwrapped

-- Runs f in a thread with such a pair, which is closed afterwards.
local function with_pair(f)
    return run(function()
        local client, peer = pair()
        local results = pack(f(client, peer))
        client:close()
        peer:close()
        return support.unpack(results, 1, results.n)
    end)
end

-- Sends the pieces one after another, each in a turn of its own; a false
-- closes the peer.
local function trickle(peer, ...)
    local pieces = {...}
    loop.newthread(function()
        for _, piece in ipairs(pieces) do
            loop.sleep(0.002)
            if piece then peer:send(piece) else peer:close() end
        end
    end)
end

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

        it('gives what came before the end of a line', function()
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

        it('says how far it got', function()
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

    describe('that is made', function()
        -- A listening socket of LuaSocket's with a thread that accepts.
        local function echo(host)
            local listener = track(assert(socket.bind(host, 0)))
            loop.newthread(function()
                local client = assert(listener:accept())
                client:send(client:receive() .. '\n')
                client:close()
                listener:close()
            end)
            return support.port(listener)
        end

        local function talk(s)
            assert(s:send 'hello\n')
            local line = s:receive()
            s:close()
            return line
        end

        for _, name in ipairs {'127.0.0.1', 'localhost'} do
            it('connects to ' .. name, function()
                if not support.knows_localhost(pending) then return end
                run(function()
                    local port = echo '127.0.0.1'
                    local s = assert(socket.tcp4())
                    assert.same({1, n = 1}, pack(s:connect(name, port)))
                    assert.equal('hello', talk(s))
                end)
            end)

            it('is given by connect to ' .. name, function()
                if not support.knows_localhost(pending) then return end
                run(function()
                    local port = echo '127.0.0.1'
                    local s = assert(socket.connect(name, port))
                    assert.matches('^tcp{client}', tostring(s))
                    assert.equal('hello', talk(s))
                end)
            end)
        end

        it('connects by connect4 and tcp', function()
            run(function()
                assert.equal('hello', talk(assert(
                    socket.connect4('127.0.0.1', echo '127.0.0.1'))))
                local port = echo '127.0.0.1'
                local s = socket.tcp()
                assert.equal(1, s:connect('127.0.0.1', port))
                assert.equal('hello', talk(s))
            end)
        end)

        it('connects by IPv6', function()
            if not support.has_ipv6() then
                pending 'no IPv6 here'
                return
            end
            run(function()
                local port = echo '::1'
                local s = assert(socket.connect6('::1', port))
                assert.equal('inet6', s:getfamily())
                assert.equal('hello', talk(s))
                port = echo '::1'
                s = assert(socket.tcp6())
                assert.equal(1, s:connect('::1', port))
                assert.equal('hello', talk(s))
                assert.is_nil(socket.connect4('::1', port))
                assert.is_nil(socket.connect6('127.0.0.1', port))
            end)
        end)

        it('keeps its local address', function()
            run(function()
                local port = echo '127.0.0.1'
                local mine = support.unusedport()
                local s = assert(socket.connect('127.0.0.1', port,
                                                '127.0.0.1', mine))
                assert.equal(mine, support.port(s))
                assert.equal('hello', talk(s))
            end)
        end)

        it('is bound to a name', function()
            if not support.knows_localhost(pending) then return end
            run(function()
                local s = socket.tcp4()
                assert.equal(1, s:bind('localhost', 0))
                assert.equal('127.0.0.1', (s:getsockname()))
                s:close()
            end)
        end)

        it('reports a refused connection', function()
            run(function()
                local port = support.closedport()
                assert.same({nil, 'connection refused', n = 2},
                            pack(socket.connect('127.0.0.1', port)))
                local s = socket.tcp()
                assert.same({nil, 'connection refused', n = 2},
                            pack(s:connect('127.0.0.1', port)))
                s:close()
            end)
        end)

        it('reports an unknown host', function()
            run(function()
                local s = socket.tcp()
                local ok, err = s:connect('nobody.invalid', 80)
                assert.is_nil(ok)
                assert.is_string(err)
                assert.same({nil, err, n = 2},
                            pack(socket.connect('nobody.invalid', 80)))
                s:close()
            end)
        end)

        it('reports an address in use', function()
            run(function()
                local first = track(assert(socket.bind('127.0.0.1', 0)))
                local second = socket.tcp()
                assert.same({nil, 'address already in use', n = 2},
                    pack(second:bind('127.0.0.1', support.port(first))))
                second:close()
                first:close()
            end)
        end)

        it('waits in accept', function()
            run(function()
                local listener = track(assert(socket.bind('127.0.0.1', 0)))
                local accepted
                loop.newthread(function()
                    accepted = assert(listener:accept())
                end)
                loop.sleep(0.005)
                assert.is_nil(accepted)
                local client = assert(loop.connect('127.0.0.1',
                                                   support.port(listener)))
                assert(support.eventually(function() return accepted end))
                assert.matches('^tcp{client}', tostring(accepted))
                trickle(client, 'a', 'b\n')
                assert.equal('ab', accepted:receive())
                accepted:close()
                client:close()
                listener:close()
            end)
        end)

        it('gives up accepting after a timeout', function()
            run(function()
                local listener = track(assert(socket.bind('127.0.0.1', 0)))
                listener:settimeout(0.01)
                assert.same({nil, 'timeout', n = 2}, pack(listener:accept()))
                listener:close()
            end)
        end)

        it('is closed when nobody refers to it', function()
            local count = run(function()
                local client, peer = pair()
                trickle(peer, 'a\n')
                assert.equal('a', client:receive())
                support.made[client] = nil
                client = nil        -- luacheck: ignore
                support.collect()
                assert.same({nil, 'closed', '', n = 3}, pack(peer:receive()))
                peer:close()
                return support.fd_count()
            end)
            assert.is_number(count)
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

        it('tells what was set', function()
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
                -- Would go on for ever if nobody else had a turn.
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
                -- The queue of a listener that accepts nobody fills up.
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

    describe('that several threads use', function()
        it('is read and written at the same time', function()
            local big = ('0123456789'):rep(300000)
            with_pair(function(client, peer)
                local line
                loop.newthread(function() line = client:receive() end)
                loop.newthread(function()
                    client:send(big)
                    client:shutdown 'send'
                end)
                assert.is_true(peer:receive '*a' == big)
                peer:send 'thanks\n'
                assert(support.eventually(function() return line end))
                assert.equal('thanks', line)
            end)
        end)

        it('has one reader only', function()
            with_pair(function(client, peer)
                local line
                loop.newthread(function() line = client:receive() end)
                local ok, err = pcall(client.receive, client)
                assert.is_false(ok)
                assert.matches('receive: the socket is already waited on by ' ..
                               'another thread', err)
                peer:send 'x\n'
                assert(support.eventually(function() return line end))
                assert.equal('x', line)
                peer:send 'y\n'
                assert.equal('y', client:receive())
            end)
        end)

        it('has one writer only', function()
            local big = ('0123456789'):rep(500000)
            with_pair(function(client, peer)
                loop.newthread(function()
                    client:send(big)
                    client:close()
                end)
                assert.error_matches(function() client:send 'x' end,
                                     'send: .* already waited on')
                assert.is_true(peer:receive '*a' == big)
            end)
        end)

        it('tells who waits that it was closed', function()
            with_pair(function(client)
                local result
                loop.newthread(function() result = pack(client:receive()) end)
                loop.sleep(0.002)
                assert.equal(1, client:close())
                assert(support.eventually(function() return result end))
                assert.same({nil, 'closed', '', n = 3}, result)
            end)
        end)

        it('tells who accepts that it was closed', function()
            run(function()
                local listener = track(assert(socket.bind('127.0.0.1', 0)))
                local result
                loop.newthread(function() result = pack(listener:accept()) end)
                loop.sleep(0.002)
                listener:close()
                assert(support.eventually(function() return result end))
                assert.is_nil(result[1])
                assert.is_string(result[2])
            end)
        end)

        it('may be wrapped by one, while another waits', function()
            with_pair(function(client, peer)
                local line
                loop.newthread(function() line = client:receive() end)
                loop.sleep(0.002)
                local wrapped = loop.wrap(client)
                trickle(peer, 'a', 'b\n')
                assert(support.eventually(function() return line end))
                assert.equal('ab', line)
                trickle(peer, 'c', 'd\n')
                assert.equal('cd', wrapped:receive())
                wrapped:close()
            end)
        end)

        if coroutine.close then
            it('is free again when the thread was closed', function()
                with_pair(function(client, peer)
                    local thread = loop.newthread(function()
                        client:receive()
                    end)
                    loop.sleep(0.002)
                    assert(coroutine.close(thread))
                    trickle(peer, 'a', 'b\n')
                    assert.equal('ab', client:receive())
                end)
            end)
        end
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

describe('a LuaSocket datagram in a thread', function()
    support.hooks_installed(before_each, after_each)

    it('is waited for', function()
        run(function()
            local here, there = track(socket.udp4()), track(socket.udp4())
            assert(here:setsockname('127.0.0.1', 0))
            assert(there:setsockname('127.0.0.1', 0))
            local _, port = there:getsockname()
            assert(here:setpeername('127.0.0.1', port))
            loop.newthread(function()
                loop.sleep(0.002)
                assert(here:send 'one')
                loop.sleep(0.002)
                assert(here:send 'two')
            end)
            assert.same({'one', n = 1},
                        {n = 1, (there:receive())})
            local data, ip, from = there:receivefrom()
            assert.equal('two', data)
            assert.equal('127.0.0.1', ip)
            assert.equal(support.port(here), tonumber(from))
            loop.newthread(function()
                loop.sleep(0.002)
                assert(there:sendto('three', ip, from))
            end)
            assert.equal('three', here:receive())
            here:settimeout(0.01)
            assert.same({nil, 'timeout'}, {here:receive()})
            here:close()
            there:close()
        end)
    end)

    it('takes a name', function()
        if not support.knows_localhost(pending) then return end
        run(function()
            local here, there = track(socket.udp4()), track(socket.udp4())
            assert(there:setsockname('localhost', 0))
            assert(here:setpeername('localhost', support.port(there)))
            assert(here:send 'one')
            assert.equal('one', there:receive())
            here:close()
            there:close()
        end)
    end)

    it('may be empty', function()
        run(function()
            local here, there = track(socket.udp4()), track(socket.udp4())
            assert(there:setsockname('127.0.0.1', 0))
            assert(here:setpeername('127.0.0.1', support.port(there)))
            loop.newthread(function()
                loop.sleep(0.002)
                here:send ''
            end)
            assert.equal('', there:receive())
            here:close()
            there:close()
        end)
    end)
end)
