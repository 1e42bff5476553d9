-- What a first harsh reading of the sources found, each with its story.

local loop = require 'socketloop'
local coro = require 'coro'
local socket = require 'socket'
local support = require 'support'

local run, pack, plain = support.run, support.pack, support.plain

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    -- The error left the step after the event had been counted as dispatched,
    -- and an edge-triggered poller does not tell twice.
    it('a writer is woken though the reader of its socket fails', function()
        run(function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            local sent, size = nil, 8 * 1024 * 1024
            loop.newthread(function() sent = s:send(('x'):rep(size)) end)
            loop.newthread(function()
                s:receive()
                error {}
            end)
            loop.onerror = function() end
            peer:settimeout(0.01)
            local got = 0
            repeat
                local data, err, part = peer:receive(65536)
                got = got + #(data or part)
                if got > size / 2 then peer:send 'line\n' end
                loop.sleep(0)
            until got == size or err == 'closed'
            loop.onerror = nil
            support.eventually(function() return sent end)
            assert.equal(size, sent)
            s:close()
            peer:close()
        end)
    end)

    -- Who may not wait asks the system whether it is ready, and here that
    -- answer was taken for it being ready.
    it('call_async with a timeout of 0 times out', function()
        run(function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            local calls = 0
            s:settimeout(0)
            assert.same(pack(nil, 'timeout'), pack(s:call_async(function()
                calls = calls + 1
                return nil, calls < 1000 and 'wantread' or 'spins'
            end)))
            assert.equal(1, calls)
            s:close()
            peer:close()
        end)
    end)

    -- The traceback followed who returns to whom round and round.
    it('an error has a traceback though homes form a circle', function()
        local main = (coro.running())
        local a, b
        a = coro.create(function()
            coro.resume(b)
            coro.transfer(main)
            error 'boom'
        end)
        local err, traceback
        b = coro.create(function()
            coro.transfer(a)
            err, traceback = select(2, coro.resume(a))
            coro.transfer(main)
        end)
        coro.transfer(a)
        coro.transfer(b)
        assert.matches('boom', err)
        assert.matches('^stack traceback:\n', traceback)
    end)

    -- Data that a reset has cut short looked complete.
    it("a reset in '*a' is not the end of the stream", function()
        run(function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            client:send 'unread'    -- so that closing resets
            peer:send 'partial'
            peer:setoption('linger', {on = true, timeout = 0})
            peer:close()
            assert.same(pack(nil, 'closed', 'partial'),
                        pack(s:receive '*a'))
            s:close()
        end)
    end)

    -- Only the loop closed it, not who had resumed the handler.
    it('a client is closed when its handler fails after resume', function()
        local waiting
        local port, listener = support.serve(function()
            waiting = loop.current()
            loop.suspend()
            error {}
        end)
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            client:settimeout(5)
            support.eventually(function() return waiting end)
            assert.is_false((pcall(loop.resume, waiting)))
            assert.same(pack(nil, 'closed', ''), pack(client:receive()))
            client:close()
            listener:close()
        end)
    end)

    -- The Lua stack overflowed.
    it('bind takes any number of arguments', function()
        local s = loop.wrap(socket.tcp())
        local many = {}
        for i = 1, 200 do many[i] = i end
        assert.equal(1, s:bind('127.0.0.1', 0, support.unpack(many)))
        s:close()
    end)

    -- The old object was still thought to be this socket's.
    it('wrap of what setsocket replaced is another socket', function()
        run(function()
            local first, peer1 = plain.pair()
            local second, peer2 = plain.pair()
            local s = loop.wrap(first)
            s:setsocket(second)
            local other = loop.wrap(first)
            assert.is_false(other == s)
            for _, x in ipairs {s, other, peer1, peer2} do x:close() end
        end)
    end)

    -- The operation of a closed coroutine was tried on, with a string that
    -- had been collected.
    if coroutine.close then
        it('a send ends with its coroutine', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                local thread = loop.newthread(function()
                    s:send(('x'):rep(2 ^ 23))
                end)
                coroutine.close(thread)
                thread = nil    -- luacheck: ignore
                collectgarbage()
                peer:settimeout(0.01)
                repeat
                    local data, _, part = peer:receive(65536)
                    loop.sleep(0)
                until not data and part == ''
                assert.equal(5, (s:send 'hello'))
                assert.equal('hello', (peer:receive(5)))
                s:close()
                peer:close()
            end)
        end)

        it('a connect ends with its coroutine, and leaks nothing', function()
            local listener, port = plain.listen()
            for _ = 1, 10 do
                coroutine.close(loop.newthread(function()
                    loop.connect('127.0.0.1', port)
                end))
            end
            while loop.step(0.05) do end
            listener:close()
        end)
    end
end)
