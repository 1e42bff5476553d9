-- socket.select in loop threads while install is in effect.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local run, pack, track = support.run, support.pack, support.track
local close, pair = support.close, support.unwrapped

-- Kept before install is called.
local select = socket.select

local function later(f, ...)
    local args = pack(...)
    loop.newthread(function()
        loop.sleep(0.005)
        f(support.unpack(args, 1, args.n))
    end)
end

describe('socket.select in a thread', function()
    support.hooks_installed(before_each, after_each)

    it('waits for the first of many', function()
        run(function()
            local objects, peers = {}, {}
            for i = 1, 20 do objects[i], peers[i] = pair() end
            later(peers[13].send, peers[13], 'x\n')
            local readable, writable, err = select(objects, nil, 5)
            assert.same({objects[13], [objects[13]] = 1}, readable)
            assert.same({}, writable)
            assert.is_nil(err)
            assert.equal('x', objects[13]:receive())
            close(support.unpack(objects))
            close(support.unpack(peers))
        end)
    end)

    it('gives all that are ready', function()
        run(function()
            local a, a_peer = pair()
            local b, b_peer = pair()
            local c, c_peer = pair()
            a_peer:send 'x'
            c_peer:send 'x'
            assert(support.eventually(function()
                return #select({a, b, c}, nil, 0) == 2
            end))
            local readable = select({a, b, c})
            assert.equal(a, readable[1])
            assert.equal(c, readable[2])
            assert.equal(1, readable[a])
            assert.is_nil(readable[b])
            assert.equal(2, readable[c])
            close(a, b, c, a_peer, b_peer, c_peer)
        end)
    end)

    it('times out', function()
        run(function()
            local a, peer = pair()
            local seconds, readable, writable, err =
                support.timed(select, {a}, {}, 0.02)
            assert.same({{}, {}, 'timeout'}, {readable, writable, err})
            assert.is_true(seconds >= 0.019)
            close(a, peer)
        end)
    end)

    it('only waits, without a list', function()
        run(function()
            local turns, goes_on = 0, true
            loop.newthread(function()
                while goes_on do
                    turns = turns + 1
                    loop.sleep(0.001)
                end
            end)
            local results = pack(select(nil, nil, 0.02))
            assert.same({{}, {}, 'timeout', n = 3}, results)
            goes_on = false
            assert.is_true(turns > 1)
        end)
    end)

    it('with 0 does not wait, but lets others run', function()
        run(function()
            local a, peer = pair()
            local turns = 0
            loop.newthread(function()
                for _ = 1, 10 do
                    turns = turns + 1
                    loop.sleep(0)
                end
                peer:send 'x\n'
            end)
            repeat until select({a}, nil, 0)[1]
            assert.equal(10, turns)
            close(a, peer)
        end)
    end)

    it('waits until there is room to send', function()
        run(function()
            local a, peer = pair()
            local b, b_peer = pair()
            a:settimeout(0)
            repeat
                local ok = a:send(('x'):rep(65536))
            until not ok and not select(nil, {a}, 0)[1]
            local _, writable = select({a}, {a, b}, 5)
            assert.same({b, [b] = 1}, writable)
            later(function()
                peer:settimeout(0.02)
                repeat until not peer:receive(65536)
            end)
            local readable
            readable, writable = select({a}, {a}, 5)
            assert.same({}, readable)
            assert.same({a, [a] = 1}, writable)
            loop.sleep(0.03)
            close(a, peer, b, b_peer)
        end)
    end)

    it('finds unread bytes at once', function()
        run(function()
            local a, peer = pair()
            local b, b_peer = pair()
            peer:send 'one\ntwo\n'
            assert.equal('one', a:receive())
            assert.is_true(a:dirty())
            assert.same({a, [a] = 1}, (select({b, a})))
            b_peer:send 'x'
            assert(support.eventually(function()
                return #select({b}, nil, 0) == 1
            end))
            local readable = select({b, a})
            assert.equal(2, #readable)
            assert.is_number(readable[a])
            assert.is_number(readable[b])
            close(a, peer, b, b_peer)
        end)
    end)

    it('finds that the peer has gone', function()
        run(function()
            local a, peer = pair()
            later(peer.close, peer)
            assert.same({a, [a] = 1}, (select({a}, nil, 5)))
            assert.same({nil, 'closed', '', n = 3}, pack(a:receive()))
            a:close()
        end)
    end)

    it('finds a connection to accept', function()
        run(function()
            local listener = track(assert(socket.bind('127.0.0.1', 0)))
            local client
            later(function()
                client = loop.connect('127.0.0.1', support.port(listener))
            end)
            assert.same({listener, [listener] = 1},
                        (select({listener}, nil, 5)))
            local accepted = assert(listener:accept())
            close(accepted, client, listener)
        end)
    end)

    it('takes loop sockets, and mixtures', function()
        run(function()
            local a, peer = pair()
            later(a.send, a, 'x\ny\n')
            assert.same({peer, [peer] = 1}, (select({peer, a}, nil, 5)))
            assert.equal('x', peer:receive())
            assert.same({peer, [peer] = 1}, (select({a, peer}, nil, 5)))
            later(peer.send, peer, 'z\n')
            assert.equal('y', peer:receive())
            assert.same({a, [a] = 1}, (select({a, peer}, nil, 5)))
            close(a, peer)
        end)
    end)

    it('takes any object with getfd and dirty', function()
        run(function()
            local a, peer = pair()
            local is_dirty = false
            local object = {
                getfd = function() return a:getfd() end,
                dirty = function() return is_dirty end,
            }
            later(peer.send, peer, 'x')
            assert.same({object, [object] = 1}, (select({object}, nil, 5)))
            a:receive(1)
            assert.equal('timeout', pack(select({object}, nil, 0))[3])
            is_dirty = true
            assert.same({object, [object] = 1}, (select({object})))
            close(a, peer)
        end)
    end)

    it('ignores objects without a descriptor', function()
        run(function()
            local a, peer = pair()
            local unconnected = socket.tcp()
            peer:send 'x'
            assert(support.eventually(function()
                local r = select({unconnected, {}, a}, nil, 0.01)
                return r[1] == a and r[a] == 1 and #r == 1
            end))
            close(a, peer)
        end)
    end)

    it('may wait for an object that another thread waits for', function()
        run(function()
            local a, peer = pair()
            local line, found
            loop.newthread(function() line = a:receive() end)
            loop.newthread(function() found = select({a}, {}, 0.05) end)
            loop.newthread(function() select({a}, {}, 0.05) end)
            later(peer.send, peer, 'x\n')
            assert(support.eventually(function() return line and found end))
            assert.equal('x', line)
            later(peer.send, peer, 'y\n')
            assert.equal('y', a:receive())
            loop.sleep(0.05)
            close(a, peer)
        end)
    end)

    it('may wait for a loop socket on which a thread waits', function()
        run(function()
            local a, peer = pair()
            local line
            loop.newthread(function() line = peer:receive() end)
            loop.newthread(function() select({peer}, {peer}, 0.02) end)
            loop.newthread(function() select({peer}, {}, 0.02) end)
            later(a.send, a, 'x\n')
            assert(support.eventually(function() return line end))
            assert.equal('x', line)
            loop.sleep(0.03)
            close(a, peer)
        end)
    end)

    it('returns when one of its objects is closed', function()
        run(function()
            local a, peer = pair()
            local result
            loop.newthread(function()
                result = pack(select({a}, nil, 5))
            end)
            loop.newthread(function() select({peer}, nil, 5) end)
            loop.sleep(0.002)
            a:close()
            peer:close()
            loop.sleep(0.002)
            assert.is_table(result)
        end)
    end)

    it('raises for wrong arguments', function()
        run(function()
            assert.error_matches(function() select(1) end,
                                 "bad argument #1 to 'select'")
            assert.error_matches(function() select({}, 'x') end,
                                 "bad argument #2 to 'select'")
            assert.error_matches(function() select({}, {}, {}) end,
                                 "bad argument #3 to 'select'")
        end)
    end)

    it('leaves nothing behind in thousands of calls', function()
        run(function()
            local a, peer = pair()
            local many = os.getenv 'SOCKETLOOP_TEST_GC' and 500 or 3000
            loop.newthread(function()
                for _ = 1, many do
                    peer:send 'x'
                    peer:receive(1)
                end
            end)
            for _ = 1, many do
                local readable = select({a}, {}, 5)
                assert(readable[1] == a)
                assert(a:receive(1))
                a:send 'y'
            end
            close(a, peer)
        end)
    end)
end)

describe('socket.select outside of threads', function()
    support.hooks(before_each, after_each)

    it('is unchanged', function()
        local a, b = support.plain.pair()
        local before = pack(select({a, b}, {a, b}, 0))
        local undo = loop.install()
        assert.same(before, pack(select({a, b}, {a, b}, 0)))
        assert.same({{}, {}, 'timeout', n = 3}, pack(select({a}, nil, 0.01)))
        b:send 'x'
        assert.same({{a, [a] = 1}, {}, n = 2}, pack(select({a}, nil, 5)))
        assert.error_matches(function() select(1) end,
                             "bad argument #1 to 'select'")
        undo()
        a:close()
        b:close()
    end)
end)

describe('socket.select with many descriptors', function()
    local process = require 'process'
    after_each(process.cleanup)

    it('has no limit but the poller\'s', function()
        if loop.poller == 'select' then
            pending 'this poller has the limit itself'
            return
        end
        if process.max_descriptors() < 3000 then
            pending 'the system allows few descriptors only'
            return
        end
        local status, output = process.lua([[
            local socket = require 'socket'
            local loop = require 'socketloop'
            loop.install()
            local held, objects = {}, {}
            for i = 1, 1100 do held[i] = socket.udp4() end
            local peer = socket.udp4()
            peer:setsockname('127.0.0.1', 0)
            for i = 1, 100 do
                objects[i] = socket.udp4()
                objects[i]:setsockname('127.0.0.1', 0)
            end
            assert(objects[100]:getfd() > 1100)
            loop.newthread(function()
                loop.sleep(0.01)
                peer:sendto('x', objects[77]:getsockname())
            end)
            loop.newthread(function()
                local readable = socket.select(objects, nil, 10)
                print(#readable, readable[1] == objects[77])
            end)
            loop.start()
        ]], 'ulimit -n 3000')
        assert.equal(0, status, output)
        assert.equal('1\ttrue\n', output)
    end)
end)
