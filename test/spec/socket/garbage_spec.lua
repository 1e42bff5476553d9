-- Sockets that are no longer referred to: which are closed and collected.

local loop = require 'socketloop'
local process = require 'process'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run, plain = support.run, support.plain

-- Makes an object in a function of its own, so that no register or local of the
-- caller refers to it. Returns a weak table with the object.
local function weakly(make)
    local weak = setmetatable({}, {__mode = 'k'})
    local function call()
        local function keep(...)
            for i = 1, select('#', ...) do weak[(select(i, ...))] = true end
        end
        keep(make())
    end
    call()
    return weak
end

-- Asserts that a socket made by make() is collected.
local function is_collected(make)
    local weak = weakly(make)
    support.collect()
    assert.is_nil(next(weak))
end

-- Whether the peer receives the end of the stream.
local function sees_end(peer)
    peer:settimeout(5)
    return select(2, peer:receive('*a')) == 'closed'
end

describe('Garbage', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    describe('closes', function()
        it('a wrapped socket', function()
            local client, peer = plain.pair()
            local weak = weakly(function() return loop.wrap(client) end)
            client = nil    -- luacheck: ignore
            support.collect()
            assert.is_nil(next(weak))
            assert.is_true(sees_end(peer))
            peer:close()
        end)

        it('a connected and an accepted socket', function()
            local before = support.fd_count()
            is_collected(function()
                return run(function() return support.pair() end)
            end)
            assert.equal(before, support.fd_count())
        end)

        it('a listening socket', function()
            local port
            weakly(function()
                local s = loop.tcp('127.0.0.1', 0)
                assert(s:listen())
                port = support.port(s)
                return s
            end)
            support.collect()
            assert.same(pack(nil, 'connection refused'),
                pack(socket.connect('127.0.0.1', port)))
        end)

        it('a bound socket', function()
            local before = support.fd_count()
            weakly(function() return loop.tcp('127.0.0.1', 0) end)
            support.collect()
            assert.equal(before, support.fd_count())
        end)

        it('a socket that holds unread data', function()
            is_collected(function()
                return run(function()
                    local s, peer = support.mixed()
                    peer:send 'one\ntwo\n'
                    assert.equal('one', s:receive())
                    peer:close()
                    return s
                end)
            end)
        end)

        it('a socket with its LuaSocket object', function()
            local before = support.fd_count()
            local weak = weakly(function()
                return run(function()
                    local a, b = support.pair()
                    return a, b, a:getsocket(), b.socket
                end)
            end)
            support.collect()
            support.collect()
            assert.is_nil(next(weak))
            assert.equal(before, support.fd_count())
        end)

        it('a socket whose thread timed out', function()
            is_collected(function()
                return run(function()
                    local s, peer = support.mixed()
                    s:settimeout(0.005)
                    assert.equal('timeout', select(2, s:receive()))
                    peer:close()
                    return s
                end)
            end)
        end)

        it('a socket with a long timeout that was not needed', function()
            is_collected(function()
                return run(function()
                    local s, peer = support.mixed()
                    s:settimeout(3600)
                    loop.newthread(function() peer:send 'hello\n' end)
                    assert.equal('hello', s:receive())
                    peer:close()
                    return s
                end)
            end)
        end)

        it('a socket that refers to itself', function()
            is_collected(function()
                local s, peer = support.mixed()
                s.itself = s
                s.socket_of_mine = s:getsocket()
                s.close_it = function() s:close() end
                peer:close()
                return s
            end)
        end)

        it('two sockets that refer to each other', function()
            is_collected(function()
                local a, b = loop.tcp('127.0.0.1', 0), loop.tcp('127.0.0.1', 0)
                a.other, b.other = b, a
                return a, b
            end)
        end)

        it('a socket of a thread that failed', function()
            local client, peer = plain.pair()
            local weak = weakly(function()
                local s = loop.wrap(client)
                local ok = pcall(loop.newthread, function()
                    local mine = s
                    error('on purpose: ' .. mine.type)
                end)
                assert.is_false(ok)
                return s
            end)
            client = nil    -- luacheck: ignore
            support.collect()
            assert.is_nil(next(weak))
            assert.is_true(sees_end(peer))
            peer:close()
        end)

        it('the socket of a suspended thread without references', function()
            local client, peer = plain.pair()
            local weak = weakly(function()
                local s = loop.wrap(client)
                local thread = loop.newthread(function()
                    loop.suspend()
                    s:receive()
                end)
                return s, thread
            end)
            client = nil    -- luacheck: ignore
            support.collect()
            support.collect()
            assert.is_nil(next(weak))
            assert.is_true(sees_end(peer))
            peer:close()
        end)

        it('a socket that was dropped while closed', function()
            is_collected(function()
                local s, peer = support.mixed()
                s:close()
                peer:close()
                return s
            end)
        end)
    end)

    describe('spares', function()
        it('a socket that is referred to', function()
            local a, b = run(support.pair)
            support.collect()
            run(function()
                a:send 'hello\n'
                assert.equal('hello', b:receive())
            end)
            a:close()
            b:close()
        end)

        it('a socket with a thread that reads', function()
            run(function()
                local client, peer = plain.pair()
                local got
                loop.newthread(function()
                    local s = loop.wrap(client)
                    client = nil
                    got = s:receive()
                    s:close()
                end)
                support.collect()
                assert.is_nil(got)
                peer:send 'still\n'
                assert.is_true(support.eventually(function() return got end))
                assert.equal('still', got)
                assert.is_true(sees_end(peer))
                peer:close()
            end)
        end)

        it('a socket whose thread waits and forgets it', function()
            run(function()
                local peers, got = {}, {}
                for i = 1, 20 do
                    local client, peer = plain.pair()
                    peers[i] = peer
                    loop.newthread(function()
                        -- Only the wait refers to the socket.
                        local line = loop.wrap(client):receive()
                        got[#got + 1] = line
                    end)
                end
                support.collect()
                for i, peer in ipairs(peers) do peer:send(i .. '\n') end
                assert.is_true(support.eventually(function()
                    return #got == 20
                end))
                for _, peer in ipairs(peers) do peer:close() end
            end)
        end)

        it('a socket with a thread that writes', function()
            run(function()
                local reader
                do
                    local a, b = support.pair {recvbuf = 8192, sendbuf = 8192}
                    reader = b
                    loop.newthread(function()
                        a:send(('x'):rep(1000000))
                        a:close()
                    end)
                end
                support.collect()
                assert.equal(1000000, #reader:receive('*a'))
                reader:close()
            end)
        end)

        it('a server without references', function()
            local port
            weakly(function()
                local p, listener = support.serve(function(client)
                    client:send 'hello\n'
                    client:close()
                end)
                port = p
                return listener
            end)
            support.collect()
            run(function()
                local s = assert(loop.connect('127.0.0.1', port))
                assert.equal('hello', s:receive())
                s:close()
            end)
            -- Only the loop refers to the socket.
            for s in pairs(support.made) do
                if support.port(s) == port then s:close() end
            end
        end)

        it('a thread that sleeps', function()
            local woken
            weakly(function()
                return loop.newthread(function()
                    loop.sleep(0.005)
                    woken = true
                end)
            end)
            support.collect()
            run(function()
                assert.is_true(support.eventually(function()
                    return woken
                end))
            end)
        end)

        it('a thread that waits in a nested coroutine', function()
            support.with_mixed(function(s, peer)
                local got
                loop.newthread(function()
                    coroutine.wrap(function()
                        got = s:receive()
                    end)()
                end)
                support.collect()
                peer:send 'hello\n'
                assert.is_true(support.eventually(function() return got end))
                assert.equal('hello', got)
            end)
        end)

        it('a LuaSocket object that outlives its loop socket', function()
            local client, peer = plain.pair()
            local weak = weakly(function() return loop.wrap(client) end)
            support.collect()
            assert.is_nil(next(weak))
            peer:send 'hello\n'
            client:settimeout(5)
            assert.equal('hello', client:receive())
            client:close()
            peer:close()
        end)

        it('a LuaSocket object made on demand that is still used', function()
            local object, peer
            weakly(function()
                return run(function()
                    local listener, port = plain.listen()
                    local s = assert(loop.connect('127.0.0.1', port))
                    peer = assert(listener:accept())
                    listener:close()
                    object = s:getsocket()
                    return s
                end)
            end)
            support.collect()
            peer:send 'hello\n'
            object:settimeout(5)
            assert.equal('hello', object:receive())
            object:close()
            peer:close()
        end)
    end)

    describe('does not pile up', function()
        it('as descriptors', function()
            run(function()
                local before = support.fd_count()
                for _ = 1, 200 do
                    local a, b = support.pair()
                    a:close()
                    b:close()
                end
                assert.equal(before, support.fd_count())
            end)
        end)

        it('as descriptors of sockets that were not closed', function()
            run(function()
                local before = support.fd_count()
                for _ = 1, 10 do
                    for _ = 1, 20 do support.pair() end
                    support.collect()
                end
                support.collect()
                -- A register may still refer to the last pair.
                assert.is_true(support.fd_count() <= before + 2)
            end)
        end)

        it('as memory', function()
            local function round()
                run(function()
                    for _ = 1, 50 do
                        local a, b = support.pair()
                        a:settimeout(100)
                        a:send 'one\ntwo\n'
                        assert.equal('one', b:receive())
                        a:close()
                        b:close()
                    end
                end)
                support.collect()
                return collectgarbage 'count'
            end
            round()
            round()
            local before = round()
            for _ = 1, 5 do round() end
            assert.is_true(round() - before < 50)
        end)

        it('as loop sockets of one object', function()
            local client, peer = plain.pair()
            for _ = 1, 100 do
                weakly(function() return loop.wrap(client) end)
                support.collect()
            end
            client:settimeout(5)
            peer:send 'alive\n'
            assert.equal('alive', client:receive())
            client:close()
            peer:close()
        end)
    end)

    -- The collector waits until the heap has doubled; C stacks are not in the
    -- heap. ThreadSanitizer maps more memory for each stack.
    local counts = os.getenv 'TSAN_OPTIONS' and pending or it
    counts('does not pile up as C stacks beside a large heap', function()
        local status, output = process.lua [[
            local loop = require 'socketloop'
            local function mappings()
                local n = 0
                local file = io.open '/proc/self/maps'
                if not file then return n end
                for _ in file:lines() do n = n + 1 end
                file:close()
                return n
            end
            local heap = {}
            for i = 1, 200000 do heap[i] = {i} end
            collectgarbage()
            local before, most = mappings(), 0
            for i = 1, 20 do
                for _ = 1, 500 do
                    loop.newthread(function() loop.suspend() end)
                end
                if i % 5 == 0 then most = math.max(most, mappings()) end
            end
            assert(#heap == 200000)
            assert(most - before < 9000, most - before)
        ]]
        assert.equal(0, status, output)
    end)

    it('may be collected at any moment', function()
        local collector = support.collector
        local pause, mul = collector('pause', 1), collector('stepmul', 400)
        local ok, err = pcall(run, function()
            for i = 1, 20 do
                local a, b = support.pair()
                loop.newthread(function()
                    a:send('line ' .. i .. '\n')
                    a:send {'of ', i, '\n'}
                end)
                assert.equal('line ' .. i, b:receive())
                assert.equal('of ' .. i, b:receive())
                a:close()
                b:close()
            end
        end)
        collector('pause', pause)
        collector('stepmul', mul)
        if not ok then error(err, 0) end
    end)
end)
