-- Listening sockets: listen and accept.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run, plain = support.run, support.plain

-- Returns a listening loop socket and its port.
local function listen(backlog)
    local listener = support.track(loop.tcp('127.0.0.1', 0))
    assert(listener:listen(backlog))
    local port = support.port(listener)
    return listener, port
end

describe('listen', function()
    support.hooks(before_each, after_each)

    it('gives 1', function()
        local s = loop.tcp('127.0.0.1', 0)
        assert.same(pack(1), pack(s:listen()))
        s:close()
    end)

    it('takes a backlog', function()
        local s = loop.tcp('127.0.0.1', 0)
        assert.same(pack(1), pack(s:listen(5)))
        s:close()
        s = loop.tcp('127.0.0.1', 0)
        assert.same(pack(1), pack(s:listen('5')))
        s:close()
    end)

    it('raises for a backlog that is no number', function()
        local s = loop.tcp('127.0.0.1', 0)
        assert.is_false((pcall(s.listen, s, {})))
        assert.is_false((pcall(s.listen, s, 'many')))
        s:close()
    end)

    it('raises on a connected or listening socket', function()
        local s = listen()
        local ok, err = pcall(s.listen, s)
        assert.is_false(ok)
        assert.matches('tcp{master} expected', err, 1, true)
        s:close()
        local a, peer = support.mixed()
        ok, err = pcall(a.listen, a)
        assert.is_false(ok)
        assert.matches('tcp{master} expected', err, 1, true)
        a:close()
        peer:close()
    end)
end)

describe('accept', function()
    support.hooks(before_each, after_each)

    it('gives a loop socket', function()
        run(function()
            local listener, port = listen()
            local peer = plain.connect(port)
            local results = pack(listener:accept())
            assert.equal(1, results.n)
            local s = results[1]
            assert.equal('socketloop_socket', s.type)
            assert.same(support.name(peer:getsockname()),
                support.name(s:getpeername()))
            assert.same(support.name(peer:getpeername()),
                support.name(s:getsockname()))
            peer:send 'hello\n'
            assert.equal('hello', s:receive())
            s:send 'world\n'
            assert.equal('world', peer:receive())
            s:close()
            peer:close()
            listener:close()
        end)
    end)

    it('waits for a client', function()
        run(function()
            local listener, port = listen()
            local accepted
            loop.newthread(function() accepted = listener:accept() end)
            loop.sleep(0)
            assert.is_nil(accepted)
            local peer = plain.connect(port)
            assert.is_true(support.eventually(function() return accepted end))
            assert.same(support.name(peer:getsockname()),
                support.name(accepted:getpeername()))
            accepted:close()
            peer:close()
            listener:close()
        end)
    end)

    it('gives sockets that do not block the process', function()
        run(function()
            local listener, port = listen()
            local peer = plain.connect(port)
            local s = assert(listener:accept())
            local got
            loop.newthread(function() got = s:receive() end)
            assert.is_nil(got)
            peer:send 'later\n'
            assert.is_true(support.eventually(function() return got end))
            assert.equal('later', got)
            s:close()
            peer:close()
            listener:close()
        end)
    end)

    it('gives every client that came', function()
        run(function()
            local listener, port = listen()
            local peers, waiting = {}, {}
            for i = 1, 10 do
                peers[i] = plain.connect(port)
                waiting[support.port(peers[i])] = true
            end
            for _ = 1, 10 do
                local s = assert(listener:accept())
                local _, theirs = s:getpeername()
                assert.is_true(waiting[theirs])
                waiting[theirs] = nil
                s:close()
            end
            for _, peer in ipairs(peers) do peer:close() end
            listener:close()
        end)
    end)

    it('accepts on a wrapped listening socket', function()
        run(function()
            local bound, port = plain.listen()
            local listener = loop.wrap(bound)
            local accepted
            loop.newthread(function() accepted = listener:accept() end)
            assert.is_nil(accepted)
            local s = assert(loop.connect('127.0.0.1', port))
            assert.is_true(support.eventually(function() return accepted end))
            assert.equal('socketloop_socket', accepted.type)
            s:send 'hello\n'
            assert.equal('hello', accepted:receive())
            s:close()
            accepted:close()
            listener:close()
        end)
    end)

    it('gives sockets without a timeout', function()
        run(function()
            local listener, port = listen()
            listener:settimeout(5)
            local peer = plain.connect(port)
            local s = assert(listener:accept())
            assert.same({-1, -1}, {s:gettimeout()})
            s:close()
            peer:close()
            listener:close()
        end)
    end)

    it('is nil, timeout without a client', function()
        run(function()
            local listener, port = listen()
            listener:settimeout(0.01)
            assert.same(pack(nil, 'timeout'), pack(listener:accept()))
            listener:settimeout(0)
            assert.same(pack(nil, 'timeout'), pack(listener:accept()))
            listener:settimeout(5)
            local peer = plain.connect(port)
            local s = assert(listener:accept())
            s:close()
            peer:close()
            listener:close()
        end)
    end)

    it('accepts a waiting client with a timeout of 0', function()
        run(function()
            local listener, port = listen()
            listener:settimeout(0)
            for _ = 1, 3 do
                assert.same(pack(nil, 'timeout'), pack(listener:accept()))
                local peer = plain.connect(port)
                assert(socket.select({listener}, nil, 5)[1])
                local s = assert(listener:accept())
                s:close()
                peer:close()
            end
            listener:close()
        end)
    end)

    it('is nil, closed when the socket is closed', function()
        run(function()
            local listener = listen()
            local result
            loop.newthread(function() result = pack(listener:accept()) end)
            assert.is_nil(result)
            listener:close()
            assert.is_true(support.eventually(function() return result end))
            assert.same(pack(nil, 'closed'), result)
            assert.same(pack(nil, 'closed'), pack(listener:accept()))
        end)
    end)

    it('goes on when a client left before it was accepted', function()
        run(function()
            local listener, port = listen()
            local gone = plain.connect(port)
            gone:setoption('linger', {on = true, timeout = 0})
            gone:close()
            local peer = plain.connect(port)
            local own = support.port(peer)
            local s
            for _ = 1, 2 do
                s = assert(listener:accept())
                local _, theirs = s:getpeername()
                if theirs == own then break end
                s:close()
            end
            peer:send 'hello\n'
            assert.equal('hello', s:receive())
            s:close()
            peer:close()
            listener:close()
        end)
    end)

    it('works in several threads one after another', function()
        run(function()
            local listener, port = listen()
            local count = 0
            for i = 1, 3 do
                local peer = plain.connect(port)
                loop.newthread(function()
                    local s = assert(listener:accept())
                    count = count + 1
                    s:close()
                end)
                assert.is_true(support.eventually(function()
                    return count == i
                end))
                peer:close()
            end
            listener:close()
        end)
    end)

    it('raises for a second thread that accepts', function()
        run(function()
            local listener, port = listen()
            local accepted
            loop.newthread(function() accepted = listener:accept() end)
            local ok, err = pcall(listener.accept, listener)
            assert.is_false(ok)
            assert.matches('already waited on by another thread', err, 1, true)
            local peer = plain.connect(port)
            assert.is_true(support.eventually(function() return accepted end))
            accepted:close()
            peer:close()
            listener:close()
        end)
    end)

    it('raises on a socket that does not listen', function()
        run(function()
            local s = loop.tcp('127.0.0.1', 0)
            local ok, err = pcall(s.accept, s)
            assert.is_false(ok)
            assert.matches('tcp{server} expected', err, 1, true)
            s:close()
            local a, peer = support.mixed()
            ok, err = pcall(a.accept, a)
            assert.is_false(ok)
            assert.matches('tcp{server} expected', err, 1, true)
            a:close()
            peer:close()
        end)
    end)

    it('fails on a descriptor that takes no connections', function()
        run(function()
            local s = loop.tcp('127.0.0.1', 0)
            local datagrams = assert(socket.udp())
            assert(datagrams:setsockname('127.0.0.1', 0))
            s:listen()
            local own = s:getfd()
            s:setfd(datagrams:getfd())
            loop.wrap(own):close()
            datagrams:setfd(-1)
            s:settimeout(0.1)
            local accepted, err = s:accept()
            assert.is_nil(accepted)
            assert.is_string(err)
            assert.not_equal('timeout', err)
            s:close()
        end)
    end)

    it('raises outside a loop thread', function()
        local listener = listen()
        local ok, err = pcall(function() return listener:accept() end)
        assert.is_false(ok)
        assert.matches('must be called from a loop thread', err, 1, true)
        assert.matches('accept', err, 1, true)
        listener:close()
    end)
end)
