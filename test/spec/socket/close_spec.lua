-- close, also while threads wait on the socket, and shutdown.

local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack
local run, plain = support.run, support.plain

local big = ('0123456789abcdef'):rep(65536)

describe('close', function()
    support.hooks(before_each, after_each)

    it('gives 1, and again', function()
        local s, peer = support.mixed()
        for _ = 1, 3 do assert.same(pack(1), pack(s:close())) end
        peer:close()
    end)

    it('works on a socket that was never connected', function()
        local s = loop.tcp()
        assert.same(pack(1), pack(s:close()))
        assert.same(pack(1), pack(s:close()))
        s = loop.tcp('127.0.0.1', 0)
        assert.same(pack(1), pack(s:close()))
    end)

    it('works inside loop threads and outside', function()
        local s, peer = support.mixed()
        run(function() assert.equal(1, s:close()) end)
        assert.equal(1, s:close())
        peer:close()
    end)

    it('is seen by the peer', function()
        run(function()
            local s, peer = support.mixed()
            s:send 'last words'
            s:close()
            assert.equal('last words', (peer:receive('*a')))
            peer:close()
        end)
    end)

    it('gives the descriptor back at once', function()
        local before = support.fd_count()
        local s, peer = support.mixed()
        s:close()
        peer:close()
        assert.equal(before, support.fd_count())
    end)

    it('stops a listening socket', function()
        run(function()
            local port, listener = support.serve(function() end)
            listener:close()
            assert.same(pack(nil, 'connection refused'),
                pack(loop.connect('127.0.0.1', port)))
        end)
    end)

    describe('while threads wait', function()
        it('wakes a reader', function()
            run(function()
                for _, pattern in ipairs {'*l', '*a', 5} do
                    local s, peer = support.mixed()
                    local result
                    loop.newthread(function()
                        result = pack(s:receive(pattern))
                    end)
                    assert.is_nil(result)
                    s:close()
                    assert.is_true(support.eventually(function()
                        return result
                    end))
                    assert.same(pack(nil, 'closed', ''), result)
                    peer:close()
                end
            end)
        end)

        it('gives a reader the bytes received so far', function()
            run(function()
                local a, b = support.pair()
                local result
                loop.newthread(function()
                    result = pack(a:receive('*l', 'pre '))
                end)
                b:send 'hel'
                b:send 'lo'
                -- When this line has arrived, the loop has read the
                -- descriptor's event.
                loop.newthread(function()
                    local c, d = support.pair()
                    c:send 'x'
                    d:receive(1)
                    c:close()
                    d:close()
                    loop.sleep(0.01)
                    a:close()
                end)
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack(nil, 'closed', 'pre hello'), result)
                b:close()
            end)
        end)

        it('wakes a writer', function()
            run(function()
                local a, b = support.pair {recvbuf = 8192, sendbuf = 8192}
                local result
                loop.newthread(function() result = pack(a:send(big)) end)
                assert.is_nil(result)
                a:close()
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.is_nil(result[1])
                assert.equal('closed', result[2])
                local last = result[3]
                assert.is_true(last > 0 and last < #big)
                assert.is_true(big:sub(1, last) == b:receive('*a'))
                b:close()
            end)
        end)

        it('wakes a reader and a writer', function()
            run(function()
                local a, b = support.pair {recvbuf = 8192, sendbuf = 8192}
                local read, written
                loop.newthread(function() read = pack(a:receive()) end)
                loop.newthread(function() written = pack(a:send(big)) end)
                a:close()
                assert.is_true(support.eventually(function()
                    return read and written
                end))
                assert.same(pack(nil, 'closed', ''), read)
                assert.equal('closed', written[2])
                b:close()
            end)
        end)

        it('wakes a thread that accepts', function()
            run(function()
                local s = loop.tcp('127.0.0.1', 0)
                assert(s:listen())
                local result
                loop.newthread(function() result = pack(s:accept()) end)
                s:close()
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack(nil, 'closed'), result)
            end)
        end)

        it('wakes a thread in call_async', function()
            run(function()
                local s, peer = support.mixed()
                local result
                loop.newthread(function()
                    result = pack(s:call_async(function()
                        return nil, 'wantread'
                    end))
                end)
                assert.is_nil(result)
                s:close()
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.is_nil(result[1])
                assert.equal('closed', result[2])
                peer:close()
            end)
        end)

        it('does not wait itself', function()
            run(function()
                local s, peer = support.mixed()
                local others
                loop.newthread(function() s:receive() end)
                loop.newthread(function()
                    loop.sleep(0)
                    others = true
                end)
                s:close()
                assert.is_nil(others)
                peer:close()
                loop.sleep(0.001)
            end)
        end)

        it('works from outside loop threads', function()
            local s, peer = support.mixed()
            local result
            loop.newthread(function() result = pack(s:receive()) end)
            s:close()
            run(function()
                support.eventually(function() return result end)
            end)
            assert.same(pack(nil, 'closed', ''), result)
            peer:close()
        end)

        it('lets the woken thread use a new socket', function()
            run(function()
                local s, peer = support.mixed()
                local got
                loop.newthread(function()
                    s:receive()
                    local a, b = support.pair()
                    b:send 'anew\n'
                    got = a:receive()
                    a:close()
                    b:close()
                end)
                s:close()
                assert.is_true(support.eventually(function() return got end))
                assert.equal('anew', got)
                peer:close()
            end)
        end)

        it('forgets their timeouts', function()
            run(function()
                local s, peer = support.mixed()
                local count = 0
                s:settimeout(0.02)
                loop.newthread(function()
                    s:receive()
                    count = count + 1
                    loop.sleep(0.05)
                    count = count + 1
                end)
                s:close()
                loop.sleep(0.03)
                assert.equal(1, count)
                assert.is_true(support.eventually(function()
                    return count == 2
                end))
                peer:close()
            end)
        end)

        it('closes many', function()
            run(function()
                local sockets, woken = {}, 0
                local listener, port = plain.listen()
                for i = 1, 20 do
                    local s = assert(loop.connect('127.0.0.1', port))
                    sockets[i] = s
                    loop.newthread(function()
                        local _, err = s:receive()
                        if err == 'closed' then woken = woken + 1 end
                    end)
                end
                for _, s in ipairs(sockets) do s:close() end
                assert.is_true(support.eventually(function()
                    return woken == 20
                end))
                listener:close()
            end)
        end)
    end)

    describe('done', function()
        -- Returns a connected socket that was closed.
        local function closed()
            local s, peer = support.mixed()
            s:close()
            peer:close()
            return s
        end

        it('leaves receive closed', function()
            run(function()
                local s = closed()
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                assert.same(pack(nil, 'closed', ''), pack(s:receive('*a')))
                assert.same(pack(nil, 'closed', ''), pack(s:receive(5)))
                assert.same(pack(nil, 'closed', 'p'),
                    pack(s:receive('*l', 'p')))
            end)
        end)

        it('leaves receive closed that wants nothing more', function()
            support.each_origin(function(s)
                s:close()
                assert.same(pack(nil, 'closed', ''), pack(s:receive(0)))
                assert.same(pack(nil, 'closed', ''),
                    pack(s:receive(0, nil, true)))
                assert.same(pack(nil, 'closed', 'abc'),
                    pack(s:receive(3, 'abc')))
                assert.same(pack(nil, 'closed', 'abc'),
                    pack(s:receive(2, 'abc')))
            end)
        end)

        it('leaves send closed', function()
            run(function()
                local s = closed()
                assert.same(pack(nil, 'closed', 0), pack(s:send('hello')))
                assert.same(pack(nil, 'closed', 0), pack(s:send({'he', 'y'})))
            end)
        end)

        it('drops buffered bytes', function()
            run(function()
                local s, peer = support.mixed()
                peer:send 'one\ntwo\n'
                assert.equal('one', s:receive())
                s:close()
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                assert.is_false(s:dirty())
                peer:close()
            end)
        end)

        it('leaves no descriptor', function()
            assert.equal(-1, closed():getfd())
        end)

        it('leaves the timeouts', function()
            local s = closed()
            assert.equal(1, s:settimeout(5))
            assert.same({5, -1}, {s:gettimeout()})
        end)

        it('leaves the fields and the type', function()
            local s = closed()
            assert.equal('socketloop_socket', s.type)
            s.mine = 'here'
            assert.equal('here', s.mine)
            assert.equal('string', type(tostring(s)))
        end)

        it('leaves nil and a message for the rest', function()
            local s = closed()
            for _, call in ipairs {
                function() return s:getpeername() end,
                function() return s:getsockname() end,
                function() return s:setoption('keepalive', true) end,
                function() return s:getoption('keepalive') end,
            } do
                local ok, err = call()
                assert.is_nil(ok)
                assert.equal('string', type(err))
            end
        end)

        it('does not touch a reused descriptor', function()
            run(function()
                local s, peer = support.mixed()
                local fd = s:getfd()
                s:close()
                local a, b = support.pair()
                assert.is_true(a:getfd() == fd or b:getfd() == fd or
                    support.fd_count() > 0)
                s:close()
                assert.same(pack(nil, 'closed', 0), pack(s:send('stray')))
                s = nil     -- luacheck: ignore
                support.collect()
                a:send 'alive\n'
                assert.equal('alive', b:receive())
                b:send 'too\n'
                assert.equal('too', a:receive())
                a:close()
                b:close()
                peer:close()
            end)
        end)
    end)
end)

describe('shutdown', function()
    support.hooks(before_each, after_each)

    it('gives 1', function()
        run(function()
            for _, how in ipairs {'send', 'receive', 'both'} do
                local s, peer = support.mixed()
                assert.same(pack(1), pack(s:shutdown(how)))
                s:close()
                peer:close()
            end
            local s, peer = support.mixed()
            assert.same(pack(1), pack(s:shutdown()))
            s:close()
            peer:close()
        end)
    end)

    it('of send lets the answer be received', function()
        run(function()
            local s, peer = support.mixed()
            s:send 'question'
            s:shutdown 'send'
            assert.equal('question', (peer:receive('*a')))
            peer:send 'answer'
            peer:close()
            assert.equal('answer', s:receive('*a'))
            s:close()
        end)
    end)

    it('of send ends what the peer reads in the loop', function()
        run(function()
            local a, b = support.pair()
            loop.newthread(function()
                local question = b:receive('*a')
                b:send(question:upper())
                b:close()
            end)
            a:send 'question'
            a:shutdown 'send'
            assert.equal('QUESTION', a:receive('*a'))
            a:close()
        end)
    end)

    it('of both wakes a reader', function()
        support.with_mixed(function(s)
            local result
            loop.newthread(function() result = pack(s:receive()) end)
            s:shutdown 'both'
            assert.is_true(support.eventually(function() return result end))
            assert.same(pack(nil, 'closed', ''), result)
        end)
    end)

    it('raises for another direction', function()
        local s, peer = support.mixed()
        local ok, err = pcall(function() s:shutdown 'sideways' end)
        assert.is_false(ok)
        assert.matches('bad argument', err, 1, true)
        s:close()
        peer:close()
    end)

    it('raises on a socket that is not connected', function()
        local s = loop.tcp('127.0.0.1', 0)
        local ok, err = pcall(s.shutdown, s)
        assert.is_false(ok)
        assert.matches('tcp{client} expected', err, 1, true)
        s:close()
    end)
end)
