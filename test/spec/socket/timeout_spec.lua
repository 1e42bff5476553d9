-- Timeouts of operations that wait on a socket.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run, plain, timed = support.run, support.plain, support.timed

-- Tolerance for comparisons of clocks, in seconds.
local tick = 0.002

local big = ('0123456789abcdef'):rep(65536)

describe('A timeout', function()
    support.hooks(before_each, after_each)

    describe('of receive', function()
        it('is nil, timeout and the bytes that arrived', function()
            support.with_mixed(function(s, peer)
                peer:send 'half a li'
                assert(socket.select({s}, nil, 5)[1])
                s:settimeout(0.01)
                assert.same(pack(nil, 'timeout', 'half a li'),
                    pack(s:receive()))
            end)
        end)

        it('comes neither early nor much too late', function()
            for _, mode in ipairs {'b', 't'} do
                support.with_mixed(function(s)
                    s:settimeout(0.03, mode)
                    local took, data, err = timed(s.receive, s)
                    assert.is_nil(data)
                    assert.equal('timeout', err)
                    assert.is_true(took >= 0.03 - tick, took)
                    assert.is_true(took < 5, took)
                end)
            end
        end)

        it('follows the clock of the loop', function()
            support.with_mixed(function(s)
                s:settimeout(0.02)
                local start = loop.now()
                s:receive()
                assert.is_true(loop.now() - start >= 0.02 - tick)
            end)
        end)

        it('leaves the socket usable', function()
            support.with_mixed(function(s, peer)
                s:settimeout(0.005)
                for i = 1, 3 do
                    assert.equal('timeout', select(2, s:receive()))
                    peer:send(i .. '\n')
                    assert(socket.select({s}, nil, 5)[1])
                    assert.equal(tostring(i), s:receive())
                end
            end)
        end)

        it('loses nothing beyond the partial result', function()
            run(function()
                local a, b = support.pair()
                local all = ('0123456789'):rep(50)
                loop.newthread(function()
                    for digit in all:gmatch '.' do
                        b:send(digit)
                        if digit == '9' then loop.sleep(0.001) end
                    end
                    b:close()
                end)
                a:settimeout(0)
                local got = {}
                while true do
                    local data, err, partial = a:receive(7)
                    got[#got + 1] = data or partial
                    if err == 'closed' then break end
                    if err then loop.sleep(0) end
                end
                assert.equal(all, table.concat(got))
                a:close()
            end)
        end)

        it('of 0 does not wait', function()
            support.with_mixed(function(s, peer)
                s:settimeout(0)
                local others
                loop.newthread(function()
                    loop.sleep(0)
                    others = true
                end)
                assert.same(pack(nil, 'timeout', ''), pack(s:receive()))
                assert.same(pack(nil, 'timeout', 'p'),
                    pack(s:receive('*a', 'p')))
                assert.is_nil(others)
                peer:send 'hello\nwor'
                assert(socket.select({s}, nil, 5)[1])
                assert.equal('hello', s:receive())
                assert.same(pack(nil, 'timeout', 'wor'), pack(s:receive()))
                loop.sleep(0.001)
            end)
        end)

        it('of 0 in total does not wait either', function()
            support.with_mixed(function(s)
                s:settimeout(0, 't')
                assert.same(pack(nil, 'timeout', ''), pack(s:receive()))
            end)
        end)

        it('below 0 means for ever', function()
            for _, time in ipairs {-1, -0.5, -1e300, -math.huge} do
                support.with_mixed(function(s, peer)
                    s:settimeout(time)
                    s:settimeout(time, 't')
                    loop.newthread(function()
                        loop.sleep(0.005)
                        peer:send 'hello\n'
                    end)
                    assert.equal('hello', s:receive())
                end)
            end
        end)

        it('may be as long as one likes', function()
            for _, time in ipairs {1e6, 1e9, 1e10, 1e15, 1e18, 1e300,
                    math.huge} do
                support.with_mixed(function(s, peer)
                    s:settimeout(time)
                    s:settimeout(time, 't')
                    loop.newthread(function()
                        loop.sleep(0.005)
                        peer:send 'hello\n'
                    end)
                    assert.same(pack('hello', nil, nil), pack(s:receive()))
                end)
            end
        end)

        it('may be as short as one likes', function()
            for _, time in ipairs {1e-3, 1e-6, 1e-9, 1e-300} do
                support.with_mixed(function(s)
                    s:settimeout(time)
                    assert.same(pack(nil, 'timeout', ''), pack(s:receive()))
                end)
            end
        end)

        it('takes the shorter of the two', function()
            support.with_mixed(function(s)
                s:settimeout(60)
                s:settimeout(0.01, 't')
                local took = timed(s.receive, s)
                assert.is_true(took >= 0.01 - tick and took < 5, took)
                s:settimeout(0.01)
                s:settimeout(60, 't')
                took = timed(s.receive, s)
                assert.is_true(took >= 0.01 - tick and took < 5, took)
            end)
        end)

        -- Sends a byte now and then until state.stop is set.
        local function trickle(peer, pause)
            local state = {}
            loop.newthread(function()
                while not state.stop do
                    if not peer:send 'x' then break end
                    loop.sleep(pause)
                end
                state.stopped = true
            end)
            return state
        end

        it('per wait starts anew with every byte', function()
            support.with_pair(function(a, b)
                a:settimeout(0.25, 'b')
                local state = trickle(b, 0.01)
                local took, data, err = timed(a.receive, a, 35)
                assert.is_nil(err)
                assert.equal(('x'):rep(35), data)
                assert.is_true(took > 0.26, took)
                state.stop = true
                assert.is_true(support.eventually(function()
                    return state.stopped
                end))
            end)
        end)

        it('per call does not', function()
            for _, mode in ipairs {'t', 'r'} do
                support.with_pair(function(a, b)
                    a:settimeout(0.05, mode)
                    local state = trickle(b, 0.005)
                    local took, data, err, partial = timed(a.receive, a)
                    assert.is_nil(data)
                    assert.equal('timeout', err)
                    assert.is_true(#partial > 0)
                    assert.is_true(took >= 0.05 - tick and took < 5, took)
                    state.stop = true
                    assert.is_true(support.eventually(function()
                        return state.stopped
                    end))
                end)
            end
        end)

        it('per call starts anew with every call', function()
            support.with_pair(function(a, b)
                a:settimeout(0.25, 't')
                local state = trickle(b, 0.01)
                for _ = 1, 35 do assert.equal('x', a:receive(1)) end
                state.stop = true
                assert.is_true(support.eventually(function()
                    return state.stopped
                end))
            end)
        end)
    end)

    describe('of send', function()
        it('is nil, timeout and the last index sent', function()
            run(function()
                local a, b = support.pair {recvbuf = 8192, sendbuf = 8192}
                for _, mode in ipairs {'b', 't'} do
                    a:settimeout(-1, 'b')
                    a:settimeout(-1, 't')
                    a:settimeout(0.02, mode)
                    local took, ok, err, last = timed(a.send, a, big)
                    assert.is_nil(ok)
                    assert.equal('timeout', err)
                    assert.is_true(last >= 0 and last < #big)
                    assert.is_true(took >= 0.02 - tick and took < 5, took)
                end
                a:close()
                b:close()
            end)
        end)

        it('of 0 sends again as much as fits, without a step', function()
            support.with_mixed(function(s, peer)
                s:setoption('send-buffer-size', 8192)
                peer:setoption('recv-buffer-size', 8192)
                s:settimeout(0)
                local _, err = s:send(big)
                assert.equal('timeout', err)
                peer:settimeout(0.05)
                while peer:receive(65536) do end    -- luacheck: ignore
                local _, writable = socket.select(nil, {s}, 5)
                assert.equal(s, writable[1])
                assert.equal(5, (s:send('hello')))
            end)
        end)

        it('of 0 sends as much as fits', function()
            run(function()
                local a, b = support.pair {recvbuf = 8192, sendbuf = 8192}
                a:settimeout(0)
                assert.same(pack(5, nil, nil), pack(a:send('hello')))
                local ok, err, last = a:send(big)
                assert.is_nil(ok)
                assert.equal('timeout', err)
                assert.is_true(last > 0 and last < #big)
                a:close()
                assert.is_true('hello' .. big:sub(1, last) == b:receive('*a'))
                b:close()
            end)
        end)
    end)

    describe('of accept', function()
        it('is nil, timeout', function()
            run(function()
                local s = loop.tcp('127.0.0.1', 0)
                assert(s:listen())
                for _, mode in ipairs {'b', 't'} do
                    s:settimeout(-1, 'b')
                    s:settimeout(0.01, mode)
                    local took, client, err = timed(s.accept, s)
                    assert.is_nil(client)
                    assert.equal('timeout', err)
                    assert.is_true(took >= 0.01 - tick and took < 5, took)
                end
                s:close()
            end)
        end)
    end)

    it('of one direction leaves the other alone', function()
        run(function()
            local a, b = support.pair {recvbuf = 8192, sendbuf = 8192}
            local written
            loop.newthread(function() written = pack(a:send(big)) end)
            a:settimeout(0.01)
            assert.same(pack(nil, 'timeout', ''), pack(a:receive()))
            assert.is_nil(written)
            assert.is_true(big == b:receive(#big))
            assert.is_true(support.eventually(function() return written end))
            assert.same(pack(#big, nil, nil), written)
            a:close()
            b:close()
        end)
    end)

    it('that did not come does not come later', function()
        support.with_pair(function(a, b)
            local steps = {}
            loop.newthread(function()
                a:settimeout(0.02)
                steps[#steps + 1] = a:receive()
                a:settimeout(nil)
                steps[#steps + 1] = a:receive()
                steps[#steps + 1] = 'done'
            end)
            b:send 'one\n'
            loop.sleep(0.05)
            assert.same({'one'}, steps)
            b:send 'two\n'
            assert.is_true(support.eventually(function() return steps[3] end))
            assert.same({'one', 'two', 'done'}, steps)
        end)
    end)

    it('comes to each in the order of their ends', function()
        run(function()
            local listener, port = plain.listen()
            local order, ends, sockets = {}, {}, {}
            for i = 1, 4 do
                sockets[i] = assert(loop.connect('127.0.0.1', port))
            end
            for i, time in ipairs {0.3, 0.1, 0.4, 0.2} do
                local s = sockets[i]
                s:settimeout(time)
                loop.newthread(function()
                    ends[#ends + 1] = loop.now() + time
                    local own = ends[#ends]
                    assert.equal('timeout', select(2, s:receive()))
                    order[#order + 1] = own
                end)
            end
            table.sort(ends)
            assert.is_true(support.eventually(function() return order[4] end))
            assert.same(ends, order)
            for _, s in ipairs(sockets) do s:close() end
            listener:close()
        end)
    end)

    it('comes to many at once', function()
        run(function()
            local count, sockets = 0, {}
            for i = 1, 100 do
                local s = loop.tcp('127.0.0.1', 0)
                assert(s:listen())
                sockets[i] = s
                s:settimeout(0.02)
                loop.newthread(function()
                    local _, err = s:accept()
                    if err == 'timeout' then count = count + 1 end
                end)
            end
            assert.is_true(support.eventually(function()
                return count == 100
            end))
            for _, s in ipairs(sockets) do s:close() end
        end)
    end)

    it('comes also when another socket keeps the loop busy', function()
        run(function()
            local a, b = support.pair()
            local stop
            loop.newthread(function()
                while not stop do
                    if not a:receive(1) or not a:send 'x' then break end
                end
                a:close()
            end)
            loop.newthread(function()
                b:send 'x'
                while b:receive(1) and b:send 'x' do end    -- luacheck: ignore
                b:close()
            end)
            local s, peer = support.mixed()
            s:settimeout(0.02)
            local took, _, err = timed(s.receive, s)
            stop = true
            assert.equal('timeout', err)
            assert.is_true(took < 5, took)
            s:close()
            peer:close()
            assert.is_true(support.eventually(function()
                return a:getfd() == -1 and b:getfd() == -1
            end))
        end)
    end)
end)
