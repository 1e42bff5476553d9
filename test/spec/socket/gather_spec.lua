-- Gathered sends: small answers to lines that arrived together leave together,
-- with no visible effect but fewer system calls. Bytes that cannot be sent at
-- once are in unsent_spec.

local loop = require 'socketloop'
local coro = require 'socketloop.symmetric'
local socket = require 'socket'
local support = require 'support'

local run, plain, track = support.run, support.plain, support.track
local eventually = support.eventually

assert(loop.coro)       -- which opens a descriptor

-- Returns a connection: loop socket, plain peer. Called in a loop thread, which
-- is in a step afterwards. `size` is the size of the buffers, if given.
local function connect(size)
    local s, peer = support.accepted(size)
    loop.sleep(0)
    return s, peer
end

-- Whether the peer can read data, or the end of the stream.
local function has_come(peer)
    return socket.select({peer}, nil, 0)[1] ~= nil
end

-- Runs f(loop socket, plain peer) in a thread. The lines have been sent to the
-- loop socket, and the first one has been received.
local function with_lines(lines, f, size)
    run(function()
        local s, peer = connect(size)
        assert(peer:send(lines))
        assert(s:receive())
        f(s, peer)
        s:close()
        peer:close()
    end)
end

-- Runs f(loop socket, plain peer) in a thread; an 'x' has been gathered.
local function with_answer(f)
    with_lines('one\ntwo\nthree\n', function(s, peer)
        assert.equal(1, s:send 'x')
        assert.is_false(has_come(peer))
        f(s, peer)
    end)
end

describe('An answer', function()
    support.hooks(before_each, after_each)

    it('waits for those to the lines that are there', function()
        with_lines('one\ntwo\nthree\n', function(s, peer)
            assert.same({1, nil, nil, n = 3}, support.pack(s:send '1'))
            assert.is_false(has_come(peer))
            assert.equal('two', s:receive())
            assert.equal(2, s:send '22')
            assert.is_false(has_come(peer))
            assert.equal('three', s:receive())
            assert.equal(3, s:send '333')
            assert.equal('122333', peer:receive(6))
        end)
    end)

    it('goes out at once if there is no other line', function()
        with_lines('one\n', function(s, peer)
            s:send 'x'
            assert.is_true(has_come(peer))
        end)
    end)

    it('goes out at once if there is only a part of a line', function()
        with_lines('one\ntw', function(s, peer)
            s:send 'x'
            assert.is_true(has_come(peer))
        end)
    end)

    it('goes out at once if other things than lines are received', function()
        with_lines('one\n12\n\n', function(s, peer)
            s:receive(2)
            s:send 'x'
            assert.is_true(has_come(peer))
        end)
    end)

    it('goes out at once outside of a step', function()
        local s, peer
        run(function() s, peer = connect() end)
        peer:send 'one\ntwo\n'
        loop.newthread(function()
            s:receive()
            s:send 'x'
            assert.is_true(has_come(peer))
        end)
        s:close()
        peer:close()
    end)

    it('goes out at once where another thread receives', function()
        with_lines('one\ntwo\n', function(s, peer)
            loop.newthread(s.receive, s, 100)
            s:send 'x'
            assert.is_true(has_come(peer))
        end)
    end)

    it('goes out at once through an object of LuaSocket\'s', function()
        support.with_mixed(function(s, peer)
            loop.sleep(0)
            peer:send 'one\ntwo\n'
            s:receive()
            s:send 'x'
            assert.is_true(has_come(peer))
        end)
    end)

    it('may be a part of a string, or of a table', function()
        with_lines('1\n2\n3\n4\n5\n', function(s, peer)
            assert.equal(3, s:send('hello', 2, 3))
            assert.equal(5, s:send('hello', -2))
            assert.equal(4, s:send {'a', 'bc', 'd'})
            assert.equal(0, s:send '')
            assert.equal(2, s:send('hello', 3, 2))
            s:close()
            assert.equal('elloabcd', peer:receive '*a')
        end)
    end)

    it('is counted when it is sent', function()
        with_answer(function(s)
            s:send 'yz'
            assert.equal(3, select(2, s:getstats()))
        end)
    end)

    it('leaves if another socket answers', function()
        with_answer(function(_, peer)
            local other, other_peer = connect()
            other_peer:send 'one\ntwo\n'
            other:receive()
            other:send 'x'
            assert.is_true(has_come(peer))
            assert.is_false(has_come(other_peer))
            other:close()
            assert.equal('x', other_peer:receive '*a')
            other_peer:close()
        end)
    end)

    it('leaves in good order with long ones', function()
        local long = ('long'):rep(30000)
        with_answer(function(s, peer)
            local got
            loop.newthread(function()
                local p = track(loop.wrap(peer))
                got = p:receive(1 + #long)
            end)
            assert.equal('two', s:receive())
            assert.equal(#long, s:send(long))
            assert.is_true(eventually(function() return got end))
            assert.equal('x' .. long, got)
        end)
    end)

    it('leaves when there are some KiB', function()
        with_lines(('line\n'):rep(100), function(s, peer)
            local sent, most = 0, 0
            for i = 1, 99 do
                assert.equal('line', s:receive())
                assert.equal(1000, s:send(('%4d'):format(i):rep(250)))
                sent = sent + 1000
                if has_come(peer) then break end
                most = sent
            end
            assert.is_true(most >= 1000 and most < 16000, most)
            s:close()
            assert.equal(sent, #peer:receive '*a')
        end)
    end)
end)

describe('A gathered answer', function()
    support.hooks(before_each, after_each)

    -- Defines a test: 'x' is sent in this step if the thread leaves by
    -- leave(s), which must not return unless the thread ends.
    local function leaves(name, leave)
        it('goes out when the thread ' .. name, function()
            local s, peer, sent
            loop.newthread(function()
                s, peer = connect()
                peer:send 'one\ntwo\n'
                s:receive()
                s:send 'x'
                sent = not has_come(peer)
                leave(s)
            end)
            while sent == nil do loop.step(1) end
            assert.is_true(sent)
            assert.equal('x', peer:receive(1))
            s:close()
            peer:close()
            while loop.step(5) do end
        end)
    end

    leaves('ends', function() end)
    leaves('yields to the other threads', function() loop.sleep(0) end)
    leaves('sleeps', function() loop.sleep(0.001) end)
    leaves('sleeps in a sort', function()
        table.sort({1, 2}, function() loop.sleep(0.001) end)
    end)
    leaves('waits for lines', function(s) while s:receive() do end end)
    leaves('waits for something else', function()
        local a, b = support.pair()
        b:settimeout(0.001)
        b:receive()
        a:close()
        b:close()
    end)
    leaves('is suspended', function() loop.suspend() end)
    leaves('yields', function() coroutine.yield() end)
    leaves('passes control on', function()
        coro.transfer(coro.create(loop.suspend))
    end)

    it('goes out before the turn of the next thread', function()
        with_lines('one\ntwo\n', function(s, peer)
            local came
            loop.newthread(function()
                loop.sleep(0)
                s:send 'x'
                loop.sleep(0)
            end)
            loop.newthread(function()
                loop.sleep(0)
                came = has_come(peer)
            end)
            loop.sleep(0)
            assert.is_true(came)
        end)
    end)

    it('goes out when the thread fails', function()
        local s, peer
        loop.newthread(function()
            s, peer = connect()
            peer:send 'one\ntwo\n'
            s:receive()
            s:send 'x'
            error 'boom'
        end)
        local ok, err
        repeat ok, err = pcall(loop.step, 1) until not ok
        assert.matches('boom', err)
        assert.equal('x', peer:receive(1))
        s:close()
        peer:close()
    end)

    -- Defines a test: the peer has received 'x' after f(s) in the thread.
    local function shows(name, f)
        it('goes out before ' .. name, function()
            with_answer(function(s, peer)
                f(s)
                assert.is_true(has_come(peer))
                assert.equal('x', peer:receive(1))
            end)
        end)
    end

    shows('close', function(s) assert.equal(1, s:close()) end)
    shows('shutdown', function(s) s:shutdown 'send' end)
    shows('getfd', function(s) s:getfd() end)
    shows('setfd', function(s)
        local fd = s:getfd()
        s:setfd(-1)
        s:setfd(fd)
    end)
    shows('getsocket', function(s) s:getsocket() end)
    shows('socket', function(s) return s.socket end)
    shows('setoption', function(s) s:setoption('tcp-nodelay', true) end)
    shows('getoption', function(s) s:getoption 'error' end)
    shows('call_async', function(s) s:call_async(function() return 1 end) end)
    shows('a step of another loop', function()
        loop.coro.newthread(loop.coro.sleep, 0)
        while loop.coro.step() do end
    end)
    shows('a send of much', function(s) s:send(('y'):rep(5000)) end)

    it('goes out before a thread is started', function()
        with_answer(function(_, peer)
            loop.newthread(function() assert.is_true(has_come(peer)) end)
        end)
    end)

    it('goes out before a thread is resumed', function()
        with_lines('one\ntwo\n', function(s, peer)
            local thread = loop.newthread(function()
                loop.suspend()
                assert.is_true(has_come(peer))
            end)
            s:send 'x'
            loop.resume(thread)
        end)
    end)

    it('goes out after a thread that was started', function()
        with_lines('one\ntwo\n', function(s, peer)
            loop.newthread(function()
                s:send 'x'
                assert.is_false(has_come(peer))
            end)
            assert.is_true(has_come(peer))
        end)
    end)

    it('goes out after a thread that was resumed', function()
        with_lines('one\ntwo\n', function(s, peer)
            local thread = loop.newthread(function()
                loop.suspend()
                s:send 'x'
                assert.is_false(has_come(peer))
                loop.suspend()
            end)
            loop.resume(thread)
            assert.is_true(has_come(peer))
        end)
    end)

    it('goes out before the handlers of other clients', function()
        local peers, came = {}, 0
        local port, listener = support.serve(function(client)
            for i = 1, 2 do
                if peers[i] and has_come(peers[i]) then came = came + 1 end
            end
            client:receive()
            client:send 'x'
            loop.suspend()
        end)
        for i = 1, 3 do
            peers[i] = plain.connect(port)
            peers[i]:send 'one\ntwo\n'
        end
        loop.step(1)
        for i = 1, 3 do
            assert.equal('x', peers[i]:receive(1))
            peers[i]:close()
        end
        listener:close()
        assert.equal(3, came)
    end)

    it('comes before the end of the stream', function()
        with_answer(function(s, peer)
            s:shutdown 'both'
            assert.equal('x', peer:receive '*a')
        end)
    end)

    it('goes out when the socket is garbage', function()
        local peer
        run(function()
            local s
            s, peer = connect()
            peer:send 'one\ntwo\n'
            s:receive()
            s:send 'x'
            support.made[s] = nil
        end)
        support.collect()
        assert.equal('x', peer:receive '*a')
        peer:close()
    end)
end)

describe('A gathered send that fails', function()
    support.hooks(before_each, after_each)

    local function with_reset(f)
        with_answer(function(s, peer)
            peer:setoption('linger', {on = true, timeout = 0})
            peer:close()
            loop.sleep(0)
            f(s)
        end)
    end

    it('is reported by the next send', function()
        with_reset(function(s)
            assert.same({nil, 'closed', 0, n = 3}, support.pack(s:send 'y'))
            assert.same({nil, 'closed', 2, n = 3},
                support.pack(s:send('hello', 3, 4)))
        end)
    end)

    it('is reported by the next send when no line is left', function()
        with_reset(function(s)
            s:receive()
            s:receive()
            assert.same({nil, 'closed', 1, n = 3},
                support.pack(s:send('hello', 2)))
        end)
    end)

    it('does not keep lines from being received', function()
        with_reset(function(s)
            assert.equal('two', s:receive())
            s:send 'y'
            assert.equal('three', s:receive())
            assert.same({nil, 'closed', ''}, {s:receive()})
        end)
    end)

    it('is nothing to another connection of the socket', function()
        with_reset(function(s)
            local listener, port = plain.listen()
            local fd = plain.connect(port)
            s:close()
            local other = listener:accept()
            s:setfd(fd:getfd())
            fd:setfd(-1)
            assert.equal(2, s:send 'ok')
            assert.equal('ok', other:receive(2))
            other:close()
            listener:close()
        end)
    end)
end)
