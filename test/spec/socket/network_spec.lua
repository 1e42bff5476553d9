-- Behaviour of networks and peers: resets in every state, half-closed
-- connections, peers that never read or that drip, and ends that arrive
-- together with data.

local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack
local run, plain, track = support.run, support.plain, support.track
local eventually = support.eventually
local close = support.close

-- Ends the connection with an RST.
local function reset(s)
    assert(s:setoption('linger', {on = true, timeout = 0}))
    s:close()
end

-- Calls f(...) in a thread. Returns a function that waits for the results.
local function async(f, ...)
    local results
    loop.newthread(function(...) results = pack(f(...)) end, ...)
    return function()
        assert.is_true(eventually(function() return results ~= nil end))
        return results
    end
end

describe('A reset', function()
    support.hooks(before_each, after_each)

    for _, pattern in ipairs {'*l', '*a', 100} do
        it('in the middle of a receive of ' .. pattern ..
            ' gives what has come', function()
            run(function()
                local s, peer = support.mixed()
                local got = async(s.receive, s, pattern)
                peer:send 'half of '
                assert.is_true(eventually(function()
                    return s:getstats() == 8
                end))
                reset(peer)
                assert.same(pack(nil, 'closed', 'half of '), got())
                assert.same(pack(nil, 'closed', ''), pack(s:receive(pattern)))
                s:close()
            end)
        end)
    end

    it('behind a line leaves the line', function()
        run(function()
            local s, peer = support.mixed()
            peer:send 'first\nsec'
            assert.equal('first', s:receive())
            reset(peer)
            assert.same(pack(nil, 'closed', 'sec'), pack(s:receive()))
            s:close()
        end)
    end)

    it('wakes reader and writer', function()
        run(function()
            local a, b = support.pair {recvbuf = 4096, sendbuf = 4096}
            local sent = async(a.send, a, ('x'):rep(2000000))
            local got = async(a.receive, a)
            reset(b)
            assert.same(pack(nil, 'closed', ''), got())
            sent = sent()
            assert.is_nil(sent[1])
            assert.equal('closed', sent[2])
            assert.is_true(sent[3] < 2000000)
            a:close()
        end)
    end)

    it('while connecting fails the connect, or is seen by the next call',
       function()
        run(function()
            local listener, port = plain.listen()
            for _, connect in ipairs {
                function() return loop.connect('127.0.0.1', port) end,
                function()
                    local s = loop.tcp()
                    local ok, err = s:connect('127.0.0.1', port)
                    if ok then return s end
                    s:close()
                    return nil, err
                end,
            } do
                for _ = 1, 10 do
                    local result = async(connect)
                    reset(assert(listener:accept()))
                    result = result()
                    local s = result[1]
                    if s then
                        assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                        assert.is_nil((s:send 'x'))
                        s:close()
                    else
                        assert.equal('closed', result[2])
                    end
                end
            end
            listener:close()
        end)
    end)

    it('in place of an answer is a connection refused', function()
        run(function()
            local listener = track(loop.tcp('127.0.0.1', 0))
            assert(listener:listen(0))
            local port = support.port(listener)
            local queue, waiting = {}, nil
            for i = 1, 20 do
                local s = track(loop.tcp())
                queue[i] = s
                local result = async(s.connect, s, '127.0.0.1', port)
                loop.sleep(0.005)
                if not pcall(s.getpeername, s) or not s:getpeername() then
                    waiting = result
                    break
                end
            end
            listener:close()
            -- The system repeats the SYN after a second.
            if waiting then
                assert.same(pack(nil, 'connection refused'), waiting())
            end
            close(support.unpack(queue))
        end)
    end)

    it('before, while and after it is accepted ends no server', function()
        run(function()
            local ended = {}
            local port, listener = support.serve(function(client)
                local line, err = client:receive()
                ended[#ended + 1] = line or err
                client:send((line or err) .. '\n')
                client:close()
            end)
            for i = 1, 30 do
                local peer = plain.connect(port)
                if i % 3 == 0 then peer:send 'half' end
                if i % 2 == 0 then loop.sleep(0) end
                reset(peer)
            end
            local s = assert(loop.connect('127.0.0.1', port))
            s:send 'whole\n'
            assert.equal('whole', s:receive())
            assert.is_true(eventually(function() return #ended == 31 end))
            for i = 1, 30 do assert.equal('closed', ended[i]) end
            close(s, listener)
        end)
    end)
end)

describe('Half-closed', function()
    support.hooks(before_each, after_each)

    it('by the client, the server goes on', function()
        run(function()
            local port, listener = support.serve(function(client)
                local data = client:receive '*a'
                for i = 1, 3 do
                    loop.sleep(0)
                    client:send(data .. i .. '\n')
                end
                client:close()
            end)
            local s = assert(loop.connect('127.0.0.1', port))
            s:send 'x'
            s:shutdown 'send'
            assert.same(pack(nil, 'closed', 0), pack(s:send 'more'))
            assert.equal('x1\nx2\nx3\n', s:receive '*a')
            close(s, listener)
        end)
    end)

    it('by the server, the client goes on', function()
        run(function()
            local got
            local port, listener = support.serve(function(client)
                client:send 'bye'
                client:shutdown 'send'
                got = client:receive '*a'
                client:close()
            end)
            local s = assert(loop.connect('127.0.0.1', port))
            assert.equal('bye', s:receive '*a')
            assert.same(pack(nil, 'closed', ''), pack(s:receive()))
            for i = 1, 3 do
                s:send(i .. '\n')
                loop.sleep(0)
            end
            assert.is_nil(got)
            s:close()
            assert.is_true(eventually(function() return got end))
            assert.equal('1\n2\n3\n', got)
            listener:close()
        end)
    end)

    it('by both at once, each has all the data', function()
        support.with_pair(function(a, b)
            local data = ('x'):rep(500000)
            local function talk(s)
                local got = async(s.receive, s, '*a')
                s:send(data)
                s:shutdown 'send'
                return got()[1]
            end
            local other = async(talk, b)
            assert.is_true(data == talk(a))
            assert.is_true(data == other()[1])
        end)
    end)

    it('and idle, it costs no steps', function()
        support.with_pair(function(a, b)
            b:send 'x'
            b:shutdown 'send'
            assert.equal('x', a:receive(1))
            local got = async(b.receive, b)
            assert.is_true(support.steps(0.03) < 20)
            assert.equal('closed', select(2, a:receive()))
            assert.is_true(support.steps(0.03) < 20)
            a:send 'y\n'
            assert.equal('y', got()[1])
        end)
    end)
end)

describe('A peer that never reads', function()
    support.hooks(before_each, after_each)

    it('is sent no more than fits, and the others are served', function()
        run(function()
            local piece = ('x'):rep(100000)
            local sent = 0
            local port, listener = support.serve(function(client)
                if client:receive() == 'ping' then
                    client:send 'pong\n'
                    return client:close()
                end
                while client:send(piece) do sent = sent + #piece end
                client:close()
            end)
            local lazy = plain.connect(port)
            lazy:send 'all\n'
            local last = -1
            assert.is_true(eventually(function()
                if sent > 0 and sent == last then return true end
                last = sent
                loop.sleep(0.01)
            end))
            support.collect()
            local memory = collectgarbage 'count'
            for _ = 1, 20 do
                local s = assert(loop.connect('127.0.0.1', port))
                s:send 'ping\n'
                assert.equal('pong', s:receive())
                s:close()
            end
            support.collect()
            assert.is_true(sent - last < 3 * #piece)
            assert.is_true(collectgarbage 'count' - memory < 100)
            assert.is_true(support.steps(0.03) < 20)
            close(lazy, listener)
            loop.sleep(0)
        end)
    end)

    it('is not read from by a server that answers in turn', function()
        run(function()
            local server
            local port, listener = support.serve(function(client)
                server = client
                for line in function() return client:receive() end do
                    if not client:send(line:rep(100) .. '\n') then break end
                end
                client:close()
            end)
            local lazy = track(assert(loop.connect('127.0.0.1', port)))
            lazy:settimeout(0.05)
            local line = ('x'):rep(1000) .. '\n'
            local ok, err
            for _ = 1, 1000000 do
                ok, err = lazy:send(line)
                if not ok then break end
            end
            assert.is_nil(ok)
            assert.equal('timeout', err)
            local received = server:getstats()
            loop.sleep(0.03)
            assert.is_true(server:getstats() - received < 2 ^ 20)
            close(lazy, listener)
            assert.is_true(eventually(function()
                return server:getfd() < 0
            end))
        end)
    end)
end)

describe('Bytes that come one by one', function()
    support.hooks(before_each, after_each)

    local function drip(s, peer, data)
        local before = s:getstats()
        for i = 1, #data do
            peer:send(data:sub(i, i))
            assert.is_true(eventually(function()
                return s:getstats() == before + i
            end))
        end
    end

    it('make lines, counts and whole streams', function()
        run(function()
            local s, peer = support.mixed()
            local got = async(s.receive, s)
            drip(s, peer, 'a line\r\n')
            assert.same(pack('a line', nil, nil), got())
            got = async(s.receive, s, 5)
            drip(s, peer, '12345')
            assert.same(pack('12345', nil, nil), got())
            got = async(s.receive, s, '*a', 'and ')
            drip(s, peer, 'the rest\n')
            peer:close()
            assert.same(pack('and the rest\n', nil, nil), got())
            s:close()
        end)
    end)

    it('keep a limit of one wait from ending, not that of all', function()
        support.with_mixed(function(s, peer)
            s:settimeout(5)
            local got = async(s.receive, s)
            drip(s, peer, 'slow')
            peer:send '\n'
            assert.equal('slow', got()[1])
            s:settimeout(0.05, 't')
            got = nil
            loop.newthread(function() got = pack(s:receive()) end)
            local bytes = 0
            while not got and bytes < 10000 do
                peer:send 'x'
                bytes = bytes + 1
                loop.sleep(0.002)
            end
            assert.equal('timeout', got[2])
            assert.is_true(#got[3] > 0)
        end)
    end)
end)

describe('An end that comes together with data', function()
    support.hooks(before_each, after_each)

    -- The reads are of 64 KiB and some more. A stream of that length leaves
    -- nothing to read at its end.
    local sizes = {1, 4096, 65536, 65791, 65792, 65793, 131072, 131584}

    for _, waits in ipairs {true, false} do
        local when = waits and 'while' or 'before'

        it('is found by receive of all, ' .. when .. ' it waits', function()
            run(function()
                for _, size in ipairs(sizes) do
                    local a, b = support.pair()
                    local data = ('x'):rep(size)
                    local got = waits and async(a.receive, a, '*a')
                    b:send(data)
                    b:close()
                    got = got and got() or pack(a:receive '*a')
                    assert.is_true(got[1] == data, size)
                    assert.same(pack(nil, 'closed', ''),
                                pack(a:receive '*a'))
                    a:close()
                end
            end)
        end)

        it('is found by receive of lines, ' .. when .. ' it waits',
           function()
            run(function()
                for _, size in ipairs(sizes) do
                    local a, b = support.pair()
                    local data = ('x'):rep(size - 1)
                    local got = waits and async(a.receive, a)
                    b:send(data .. '\nrest')
                    b:close()
                    got = got and got() or pack(a:receive())
                    assert.is_true(got[1] == data, size)
                    assert.same(pack(nil, 'closed', 'rest'),
                                pack(a:receive()))
                    a:close()
                end
            end)
        end)

        it('is found by receive of a count, ' .. when .. ' it waits',
           function()
            run(function()
                for _, size in ipairs(sizes) do
                    local a, b = support.pair()
                    local got = waits and async(a.receive, a, size)
                    b:send(('x'):rep(size))
                    b:close()
                    got = got and got() or pack(a:receive(size))
                    assert.is_true(#got[1] == size, size)
                    -- This receive waits if all bytes have been received.
                    got = async(a.receive, a, size)
                    assert.same(pack(nil, 'closed', ''), got())
                    a:close()
                end
            end)
        end)
    end

    it('is found by threads that wait to read and to write', function()
        run(function()
            local a, b = support.pair {recvbuf = 4096, sendbuf = 4096}
            local sent = async(a.send, a, ('x'):rep(1000000))
            local got = async(a.receive, a, '*a')
            b:send 'last words'
            b:shutdown 'send'
            assert.equal('last words', got()[1])
            assert.equal(1000000, #b:receive(1000000))
            assert.equal(1000000, sent()[1])
            close(a, b)
        end)
    end)
end)
