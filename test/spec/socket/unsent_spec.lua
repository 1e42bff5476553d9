-- Bytes that do not fit into the peer's window: the loop continues to send
-- them, also after close.

local loop = require 'socketloop'
local process = require 'process'
local support = require 'support'

local run, plain, track = support.run, support.plain, support.track
local eventually = support.eventually

-- Returns a connection: loop socket, plain peer. Called in a loop thread, which
-- is in a step afterwards. `size` is the size of the buffers, if given.
local function connect(size)
    local s, peer = support.accepted(size)
    loop.sleep(0)
    return s, peer
end

describe('Data that the window has no room for', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    -- Reads that many bytes from a plain socket, or all bytes up to the end.
    local function read(peer, size)
        local parts, count = {}, 0
        peer:settimeout(0)
        assert.is_true(eventually(function()
            local wanted = size and size - count or 1e9
            local data, err, partial = peer:receive(wanted)
            data = data or partial
            parts[#parts + 1] = data
            count = count + #data
            return err == 'closed' or count == size
        end))
        peer:settimeout(5)
        return table.concat(parts)
    end

    -- Calls f(s, peer, filled) with an 'x' that was gathered and could not be
    -- sent.
    local function with_unsent(f)
        run(function()
            local s, peer = connect(4096)
            assert(peer:send 'one\ntwo\n')
            local filled = support.fill(s)
            assert.is_true(eventually(function() return s:receive() end))
            assert.equal(1, s:send 'x')
            loop.sleep(0)
            f(s, peer, filled)
            s:close()
            peer:close()
        end)
    end

    it('is sent in the background', function()
        with_unsent(function(_, peer, filled)
            assert.equal(('f'):rep(filled) .. 'x', read(peer, filled + 1))
        end)
    end)

    it('is sent while the thread waits for lines', function()
        with_unsent(function(s, peer, filled)
            s:settimeout(nil)
            local lines = {}
            loop.newthread(function()
                for line in function() return (s:receive()) end do
                    lines[#lines + 1] = line
                end
            end)
            assert.equal('x', read(peer, filled + 1):sub(-1))
            peer:send 'three\n'
            assert.is_true(eventually(function() return #lines == 2 end))
        end)
    end)

    it('makes the next send wait', function()
        with_unsent(function(s, peer, filled)
            local over
            loop.newthread(function()
                s:settimeout(nil)
                over = s:send 'yz'
            end)
            loop.sleep(0.005)
            assert.is_nil(over)
            assert.equal('xyz', read(peer, filled + 3):sub(-3))
            assert.is_true(eventually(function() return over end))
            assert.equal(2, over)
        end)
    end)

    it('lets the next send time out', function()
        with_unsent(function(s, peer, filled)
            assert.same({nil, 'timeout', 0}, {s:send 'yz'})
            s:settimeout(0.001)
            assert.same({nil, 'timeout', 1}, {s:send('yz', 2)})
            assert.equal('fx', read(peer, filled + 1):sub(-2))
        end)
    end)

    it('is sent by a long send, too', function()
        with_unsent(function(s, peer, filled)
            local long = ('0123456789'):rep(20000)
            loop.newthread(function()
                s:settimeout(nil)
                s:send(long)
            end)
            local got = read(peer, filled + 1 + #long)
            assert.is_true(got == ('f'):rep(filled) .. 'x' .. long)
        end)
    end)

    it('is sent after close', function()
        with_unsent(function(s, peer, filled)
            assert.equal(1, s:close())
            assert.same({nil, 'closed', 0}, {s:send 'y'})
            assert.equal(('f'):rep(filled) .. 'x', read(peer))
        end)
    end)

    it('is sent after close at once', function()
        run(function()
            local s, peer = connect(4096)
            peer:send 'one\ntwo\n'
            local filled = support.fill(s)
            assert.is_true(eventually(function() return s:receive() end))
            s:send 'x'
            s:close()
            assert.equal('fx', read(peer):sub(-2))
            peer:close()
            assert.is_true(filled > 0)
        end)
    end)

    it('wakes threads that wait on a socket that is closed', function()
        with_unsent(function(s, peer, filled)
            local woken = {}
            s:settimeout(nil)
            loop.newthread(function()
                s:receive()
                woken[1] = select(2, s:receive())
            end)
            loop.newthread(function() woken[2] = select(2, s:send 'y') end)
            s:close()
            loop.sleep(0)
            assert.same({'closed', 'closed'}, woken)
            assert.equal(filled + 1, #read(peer))
        end)
    end)

    it('is sent when the socket is garbage', function()
        local peer, filled
        run(function()
            local s
            s, peer = connect(4096)
            peer:send 'one\ntwo\n'
            filled = support.fill(s)
            assert.is_true(eventually(function() return s:receive() end))
            s:send 'x'
            support.made[s] = nil
        end)
        support.collect()
        run(function() assert.equal(filled + 1, #read(peer)) end)
        peer:close()
    end)

    it('keeps the loop running', function()
        local peer, filled
        run(function()
            local s
            s, peer = connect(4096)
            peer:send 'one\ntwo\n'
            filled = support.fill(s)
            assert.is_true(eventually(function() return s:receive() end))
            s:send 'x'
            s:close()
        end)
        assert.is_true(loop.step(0))
        peer:receive(filled)
        loop.start()
        assert.is_false(loop.step(0))
        assert.equal('x', peer:receive '*a')
        peer:close()
    end)

    it('is given up if the peer resets the connection', function()
        with_unsent(function(s, peer)
            peer:setoption('linger', {on = true, timeout = 0})
            peer:close()
            assert.is_true(eventually(function()
                return select(2, s:send 'y') == 'closed'
            end))
            assert.equal('two', s:receive())
        end)
    end)

    it('is given up after close if the peer resets the connection', function()
        with_unsent(function(s, peer)
            s:close()
            peer:setoption('linger', {on = true, timeout = 0})
            peer:close()
        end)
        while loop.step(5) do end
    end)

    it('comes before the end of the stream', function()
        with_unsent(function(s, peer, filled)
            assert.equal(1, s:shutdown 'send')
            assert.same({nil, 'closed', 0}, {s:send 'y'})
            assert.equal(('f'):rep(filled) .. 'x', read(peer))
            peer:send 'three\n'
            assert.equal('two', s:receive())
            s:settimeout(5)
            assert.equal('three', s:receive())
            assert.same({nil, 'closed', 0}, {s:send 'y'})
        end)
    end)

    it('comes before the end of the stream and of the socket', function()
        with_unsent(function(s, peer, filled)
            s:shutdown 'both'
            s:close()
            assert.equal(('f'):rep(filled) .. 'x', read(peer))
        end)
    end)

    it('is counted', function()
        with_unsent(function(s, _, filled)
            assert.equal(filled + 1, select(2, s:getstats()))
        end)
    end)

    it('makes getsocket wait', function()
        with_unsent(function(s, peer, filled)
            local object
            s:settimeout(nil)
            loop.newthread(function() object = s:getsocket() end)
            loop.sleep(0.005)
            assert.is_nil(object)
            assert.equal('fx', read(peer, filled + 1):sub(-2))
            assert.is_true(eventually(function() return object end))
        end)
    end)

    it('makes one object for two threads that ask', function()
        with_unsent(function(s, peer, filled)
            s:settimeout(nil)
            s:receive()
            local first, second
            loop.newthread(function()
                s:receive()
                -- Raises if there is room for 'x' only later.
                pcall(function() first = s:getsocket() end)
            end)
            loop.newthread(function() second = s:getsocket() end)
            assert(peer:receive(filled))
            assert(peer:send 'three\n')
            assert.is_true(eventually(function() return second end))
            assert.equal(second, first or second)
            assert.equal(second, s:getsocket())
        end)
    end)

    it('makes setfd wait', function()
        with_unsent(function(s, peer, filled)
            local fd, over = s:getfd(), false
            s:settimeout(nil)
            loop.newthread(function()
                s:setfd(-1)
                over = true
            end)
            loop.sleep(0.005)
            assert.is_false(over)
            assert.equal('fx', read(peer, filled + 1):sub(-2))
            assert.is_true(eventually(function() return over end))
            s:setfd(fd)
        end)
    end)

    it('makes setsocket wait', function()
        with_unsent(function(s, peer, filled)
            s:receive()
            local a, b = plain.pair()
            local over = false
            s:settimeout(nil)
            loop.newthread(function()
                s:setsocket(a)
                over = true
            end)
            loop.sleep(0.005)
            assert.is_false(over)
            assert.equal('fx', read(peer):sub(-2))
            assert.is_true(eventually(function() return over end))
            assert.is_true(filled > 0)
            s:settimeout(nil)
            s:send 'y'
            assert.equal('y', b:receive(1))
            b:close()
        end)
    end)

    it('makes no thread wait beyond its timeout', function()
        local a, b = plain.pair()
        for _, mode in ipairs {'b', 't'} do
            with_unsent(function(s)
                s:settimeout(nil)
                s:settimeout(0.01, mode)
                s:receive()
                for name, call in pairs {
                    getsocket = s.getsocket,
                    setsocket = function() s:setsocket(a) end,
                    setfd = function() s:setfd(-1) end,
                } do
                    support.raises(name .. ': timeout', call, s)
                end
                assert.same({nil, 'timeout'},
                            {s:call_async(error, 'was called')})
                assert.same({nil, 'timeout'}, {s:starttls()})
                assert.same({nil, 'closed', 0}, {s:send 'in the clear'})
            end)
        end
        support.close(a, b)
    end)

    it('lets no thread receive data that setsocket takes', function()
        with_unsent(function(s, peer, filled)
            s:settimeout(nil)
            s:receive()
            local a, b = plain.pair()
            local line, ok, err
            loop.newthread(function() line = s:receive() end)
            loop.newthread(function() ok, err = pcall(s.setsocket, s, a) end)
            assert(peer:receive(filled))
            assert(peer:send 'three\nfour\n')
            assert.is_true(eventually(function() return line and err end))
            assert.is_false(ok)    -- if not for these, then for its thread
            assert.equal('four', s:receive())
            a:close()
            b:close()
        end)
    end)

    it('does not give out the object outside of threads', function()
        local s, peer, filled
        run(function()
            s, peer = connect(4096)
            peer:send 'one\ntwo\n'
            filled = support.fill(s)
            assert.is_true(eventually(function() return s:receive() end))
            s:send 'x'
        end)
        local ok, err = pcall(s.getsocket, s)
        assert.is_false(ok)
        assert.matches('has not taken yet', err)
        run(function() read(peer, filled + 1) end)
        while loop.step(5) do end
        assert.truthy(s:getsocket())
        s:close()
        peer:close()
    end)

    it('can be sent by several sockets at once', function()
        run(function()
            local all = {}
            for i = 1, 10 do
                local s, peer = connect(4096)
                peer:send 'one\ntwo\n'
                all[i] = {s, peer}
            end
            support.at_once(all, function(each)
                each[3] = support.fill(each[1])
            end)
            for i = 1, 10 do
                local s = all[i][1]
                assert.is_true(eventually(function() return s:receive() end))
                s:send(('%d'):format(i - 1))
                if i % 3 == 0 then s:close() end
                if i % 2 == 0 then loop.sleep(0) end
            end
            for i = 10, 1, -1 do
                local s, peer, filled = support.unpack(all[i])
                assert.equal(('f'):rep(filled) .. i - 1, read(peer, filled + 1))
                s:close()
                peer:close()
            end
        end)
    end)

    it('does not survive the Lua state', function()
        local status, output = process.lua [[
            local loop = require 'socketloop'
            local socket = require 'socket'
            local listener = loop.tcp('127.0.0.1', 0)
            listener:listen(1)
            local address, port = listener:getsockname()
            local peer, other = socket.connect(address, port)
            loop.newthread(function()
                local a, b = listener:accept(), listener:accept()
                loop.sleep(0)
                peer:send 'one\ntwo\n'
                other:send 'one\ntwo\n'
                for _, s in ipairs {a, b} do
                    s:settimeout(0)
                    while s:send(('f'):rep(10000)) do end
                end
                a:receive()
                a:send 'x'
                b:receive()
                b:send 'x'
                b:close()
                loop.sleep(0)
                local kept = a    -- luacheck: ignore
                loop.stop()
                loop.suspend()
            end)
            other = socket.connect(address, port)
            loop.start()
        ]]
        assert.equal('', output)
        assert.equal(0, status)
    end)

    it('is dropped if another socket has the descriptor now', function()
        with_unsent(function(s, peer, filled)
            local other = track(loop.wrap(s:getfd()))
            assert.same({nil, 'closed', 0}, {s:send 'z'})
            other:close()
            assert.equal(filled, #read(peer))
        end)
    end)

    it('is dropped after close if another socket has it now', function()
        with_unsent(function(s, peer, filled)
            local fd = s:getfd()
            s:close()
            track(loop.wrap(fd)):close()
            assert.equal(filled, #read(peer))
        end)
    end)
end)
