-- Objects that do their own I/O, here those of foreign.lua.

local loop = require 'socketloop'
local foreign = require 'foreign'
local socket = require 'socket'
local support = require 'support'

local pack, unpack = support.pack, support.unpack
local run, plain, close = support.run, support.plain, support.close
local eventually, object = support.eventually, foreign.object
local methods = foreign.methods

-- An asocket with such an object, and its plain peer.
local function pair(opts)
    local client, peer = plain.pair()
    local o = object(client, opts)
    return support.track(loop.wrap(o)), peer, o
end

describe('a foreign object', function()
    support.hooks(before_each, after_each)

    describe('is wrapped', function()
        it('by wrap, and is the socket of the loop socket', function()
            local s, peer, o = pair()
            assert.equal('socketloop_socket', s.type)
            assert.equal(o, s:getsocket())
            assert.equal(o, s.socket)
            assert.equal(s, loop.wrap(o))
            close(s, peer)
        end)

        it('by setsocket', function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            local o = object(client)
            s:setsocket(o)
            assert.equal(o, s:getsocket())
            run(function()
                peer:send 'hello\n'
                assert.equal('hello', s:receive())
            end)
            assert.equal(1, o.calls)
            close(s, peer)
        end)

        it('and told not to wait itself', function()
            local client, peer = plain.pair()
            local o = object(client)
            o:settimeout(5)
            local s = loop.wrap(o)
            assert.equal(0, o.timeouts)
            close(s, peer)
        end)

        it('only if it has receive, send, close and getfd', function()
            for name in pairs {receive = 1, send = 1, close = 1, getfd = 1} do
                local o = {}
                for key, method in pairs(methods) do o[key] = method end
                o[name] = nil
                assert.error_matches(function() loop.wrap(o) end,
                    "bad argument #1 to 'wrap' %(socket object")
            end
            for _, value in ipairs {{}, 'x', true, io.stdout} do
                assert.error_matches(function() loop.wrap(value) end,
                    "bad argument #1 to 'wrap'")
            end
        end)

        it('and named with descriptor and peer', function()
            local s, peer = pair()
            local _, port = peer:getsockname()
            assert.equal(('foreign{client}: fd %d, 127.0.0.1 port %d'):format(
                s:getfd(), port), tostring(s))
            close(s, peer)
            assert.equal('foreign{client}: closed', tostring(s))
        end)

        it('and unwrapped again by setsocket', function()
            local client, peer = plain.pair()
            local s = loop.wrap(object(client))
            s:setsocket(client)
            assert.equal(client, s:getsocket())
            run(function()
                peer:send 'hello\n'
                assert.equal('hello', s:receive())
            end)
            close(s, peer)
        end)

        it('with properties of its descriptor', function()
            local s, peer = pair()
            assert.same(support.name(peer:getsockname()),
                support.name(s:getpeername()))
            assert.same(support.name(peer:getpeername()),
                support.name(s:getsockname()))
            assert.equal(1, s:setoption('tcp-nodelay', true))
            close(s, peer)
        end)

        it('so that its methods and fields are found', function()
            local s, peer, o = pair()
            o.field = 'value'
            assert.equal('value', s.field)
            assert.is_nil(s.unknown)
            assert.same({n = 2, o, 6}, pack(s:sum(1, 2, 3)))
            close(s, peer)
        end)
    end)

    describe('receives', function()
        for name, opts in pairs {
            ['with all there is at once'] = {},
            ['a byte at a time'] = {step = 1},
            ['three bytes at a time'] = {step = 3},
            ['while it says timeout'] = {read = 'timeout'},
            ['while it wants to write'] = {read = 'wantwrite', step = 2},
        } do
            it('all patterns ' .. name, function()
                run(function()
                    local s, peer = pair(opts)
                    local function try(data, ...)
                        local args = pack(...)
                        local results
                        loop.newthread(function()
                            results = pack(s:receive(
                                unpack(args, 1, args.n)))
                        end)
                        for i = 1, #data, 5 do
                            peer:send(data:sub(i, i + 4))
                            loop.sleep(0)
                        end
                        assert.is_true(eventually(function()
                            return results
                        end))
                        return results
                    end
                    local function gives(data) return {n = 3, data} end
                    assert.same(gives 'a line', try('a \rline\r\n'))
                    assert.same(gives '', try('\n', '*l'))
                    assert.same(gives 'prefixed', try('fixed\n', '*l', 'pre'))
                    assert.same(gives '0123456789', try('0123456789', 10))
                    assert.same(gives 'ab2345', try('2345', '6', 'ab'))
                    assert.same(gives '', try('', 0))
                    assert.same(gives 'long', try('', 3, 'long'))
                    peer:send 'the rest, all'
                    peer:close()
                    assert.same(gives 'of the rest, all',
                        try('', '*a', 'of '))
                    assert.same({n = 3, nil, 'closed', 'x'},
                        try('', '*a', 'x'))
                    assert.same({n = 3, nil, 'closed', 'y'},
                        try('', '*l', 'y'))
                    s:close()
                end)
            end)
        end

        it('less if that is enough', function()
            run(function()
                local s, peer = pair {step = 2}
                peer:send 'abcde'
                assert.equal('pab', s:receive(100, 'p', true))
                assert.equal('cd', s:receive('*a', nil, true))
                assert.equal('e', s:receive('*l', nil, true))
                close(s, peer)
            end)
        end)

        it('nothing more than it was asked for', function()
            run(function()
                local s, peer, o = pair()
                peer:send 'line\nrest'
                assert.equal('line', s:receive())
                assert.equal('re', s:receive(2))
                assert.equal('st', o:receive(2))
                close(s, peer)
            end)
        end)

        it('with a prefix that it needs not know', function()
            run(function()
                local s, peer, o = pair {step = 1}
                loop.newthread(function()
                    for i = 1, 500 do
                        peer:send(tostring(i % 10))
                        if i % 50 == 0 then loop.sleep(0) end
                    end
                    peer:send '\n'
                end)
                local line = s:receive('*l', 'prefix')
                assert.equal(506, #line)
                assert.equal(0, o.prefixes)    -- else it would be quadratic
                close(s, peer)
            end)
        end)

        it('bytes that are pending in it without waiting', function()
            run(function()
                local s, peer, o = pair()
                o.pending = 'pending\nmore'
                assert.is_true(s:dirty())
                s:settimeout(0)
                assert.equal('pending', s:receive())
                assert.equal('more', s:receive(4))
                assert.is_false(s:dirty())
                close(s, peer)
            end)
        end)

        it('what came before an error, and its error', function()
            run(function()
                local s, peer = pair {read = 'bad record'}
                peer:send 'abc'
                assert.same({n = 3, nil, 'bad record', 'pabc'},
                    pack(s:receive('*l', 'p')))
                assert.same({n = 3, nil, 'bad record', ''},
                    pack(s:receive('*a')))
                close(s, peer)
            end)
        end)

        it('an error even where the object has no word for it', function()
            run(function()
                local s, peer, o = pair()
                function o.receive() return nil, nil, 'x' end
                function o.send() end
                assert.same({n = 3, nil, 'unknown error', 'x'},
                    pack(s:receive()))
                assert.same({n = 3, nil, 'unknown error', 0}, pack(s:send 'x'))
                close(s, peer)
            end)
        end)

        it('for the statistics', function()
            run(function()
                local s, peer = pair()
                peer:send 'abcdef'
                s:receive(6)
                s:send 'xyz'
                assert.same({6, 3}, {(s:getstats()),
                    (select(2, s:getstats()))})
                close(s, peer)
            end)
        end)

        it('no bad pattern', function()
            run(function()
                local s, peer = pair()
                assert.error_matches(function() s:receive '*x' end,
                    'invalid receive pattern')
                assert.error_matches(function() s:receive(-1) end,
                    'invalid receive pattern')
                close(s, peer)
            end)
        end)

        it('much in turns with others', function()
            run(function()
                local s, peer, o = pair()
                o.receive = function(_, n) return ('x'):rep(n) end
                local turns, done = 0, false
                loop.newthread(function()
                    repeat
                        loop.sleep(0)
                        turns = turns + 1
                    until done
                end)
                assert.equal(20000000, #s:receive(20000000))
                done = true
                assert.is_true(turns > 3)
                close(s, peer)
            end)
        end)
    end)

    describe('sends', function()
        for name, opts in pairs {
            ['all at once'] = {},
            ['a byte at a time'] = {step = 1},
            ['while it says timeout'] = {step = 2, write = 'timeout'},
            ['while it wants to read'] = {
                step = 3, write = {'wantread', 'wantwrite'},
            },
        } do
            it('strings and parts of them ' .. name, function()
                run(function()
                    local s, peer = pair(opts)
                    if type(opts.write) == 'table' then peer:send 'x' end
                    assert.same({n = 3, 10}, pack(s:send('0123456789')))
                    assert.same({n = 3, 5}, pack(s:send('0123456789', 3, 5)))
                    assert.same({n = 3, 9}, pack(s:send('0123456789', -3, -2)))
                    assert.same({n = 3, 5}, pack(s:send('0123456789', 6, 5)))
                    assert.same({n = 3, 4}, pack(s:send {'ab', 'c', 1}))
                    assert.equal('012345678923478abc1', peer:receive(19))
                    close(s, peer)
                end)
            end)
        end

        it('what the window of the peer takes, then waits', function()
            run(function()
                local s, peer = pair()
                local data = ('0123456789'):rep(500000)
                local got = {}
                loop.newthread(function()
                    peer:settimeout(0)
                    local size = 0
                    while size < #data do
                        local all, _, part = peer:receive(100000)
                        got[#got + 1] = all or part
                        size = size + #got[#got]
                        loop.sleep(0)
                    end
                end)
                assert.equal(#data, s:send(data))
                assert.is_true(eventually(function()
                    return #table.concat(got) == #data
                end))
                assert.is_true(table.concat(got) == data)
                close(s, peer)
            end)
        end)

        it('up to an error, and says how much', function()
            run(function()
                local s, peer = pair {step = 4, write = 'broken'}
                assert.same({n = 3, nil, 'broken', 6},
                    pack(s:send('0123456789', 3)))
                close(s, peer)
            end)
        end)

        it('through a method that was looked up before', function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            local send, receive = s.send, s.receive
            local o = object(client)
            s:setsocket(o)
            run(function()
                send(s, 'x')
                peer:send 'y'
                receive(s, 1)
            end)
            assert.equal(2, o.calls)
            close(s, peer)
        end)
    end)

    describe('has a timeout', function()
        it('with what was received until then', function()
            run(function()
                local s, peer = pair {step = 1}
                s:settimeout(0.02)
                peer:send 'abc'
                assert.same({n = 3, nil, 'timeout', 'pabc'},
                    pack(s:receive('*l', 'p')))
                peer:send 'def\n'
                assert.equal('def', s:receive())
                close(s, peer)
            end)
        end)

        it('of zero', function()
            run(function()
                local s, peer = pair()
                s:settimeout(0)
                assert.same({n = 3, nil, 'timeout', ''}, pack(s:receive()))
                peer:send 'ab'
                assert.is_true(eventually(function()
                    local _, _, part = s:receive(3)
                    return part == 'ab'
                end))
                close(s, peer)
            end)
        end)

        it('of the whole call', function()
            run(function()
                local s, peer = pair()
                local stop, stopped = false, false
                loop.newthread(function()
                    while not stop do
                        peer:send 'x'
                        loop.sleep(0.005)
                    end
                    stopped = true
                end)
                s:settimeout(0.05, 't')
                local line, err, part = s:receive()
                stop = true
                assert.is_nil(line)
                assert.equal('timeout', err)
                assert.is_true(#part > 0)
                assert.is_true(eventually(function() return stopped end))
                s:settimeout(0, 't')
                s:receive '*a'
                assert.same({n = 3, nil, 'timeout', ''}, pack(s:receive()))
                close(s, peer)
            end)
        end)

        it('with what was sent until then', function()
            run(function()
                local s, peer = pair()
                s:settimeout(0.02)
                local data = ('x'):rep(20000000)
                local ok, err, last = s:send(data)
                assert.is_nil(ok)
                assert.equal('timeout', err)
                assert.is_true(last > 0 and last < #data)
                close(s, peer)
            end)
        end)
    end)

    describe('is waited on', function()
        it('by one reader and one writer', function()
            run(function()
                local s, peer = pair()
                local got, sent
                loop.newthread(function() got = s:receive() end)
                loop.newthread(function()
                    sent = s:send(('x'):rep(5000000))
                end)
                assert.error_matches(function() s:receive() end,
                    'receive: the socket is already waited on by another')
                assert.error_matches(function() s:send 'x' end,
                    'send: the socket is already waited on by another')
                peer:send 'hello\n'
                assert.is_true(eventually(function() return got end))
                assert.equal('hello', got)
                assert.is_nil(sent)
                peer:settimeout(0)
                assert.is_true(eventually(function()
                    peer:receive(100000)
                    return sent
                end))
                close(s, peer)
            end)
        end)

        it('by two threads that want to write', function()
            run(function()
                local s, peer, o = pair()
                local sent, got
                loop.newthread(function()
                    sent = s:send(('x'):rep(5000000))
                end)
                local function writable()
                    local _, list = socket.select({}, {o.inner}, 0)
                    return list[1] ~= nil
                end
                assert.is_true(eventually(function()
                    return not writable()
                end))
                local wanted = 0
                function o.receive()
                    if writable() then return 'got' end
                    wanted = wanted + 1
                    return nil, 'wantwrite', ''
                end
                loop.newthread(function() got = s:receive() end)
                assert.equal(1, wanted)
                peer:settimeout(0)
                assert.is_true(eventually(function()
                    peer:receive(100000)
                    return sent and got
                end))
                close(s, peer)
            end)
        end)

        it('by two threads that want to read', function()
            run(function()
                local s, peer, o = pair()
                local sent, got
                local may_send = false
                function o.send(_, _, _, j)
                    if may_send then return j end
                    return nil, 'wantread'
                end
                function o.receive(self)
                    local line = methods.receive(self, '*l')
                    if not line then return nil, 'wantread', '' end
                    may_send = true    -- all there was to be read is read
                    return nil, 'wantread', ''
                end
                loop.newthread(function() got = pack(s:receive()) end)
                loop.newthread(function() sent = s:send 'abc' end)
                loop.sleep(0)
                assert.is_nil(sent)
                peer:send 'x\n'
                assert.is_true(eventually(function() return sent end))
                assert.is_nil(got)
                s:close()
                assert.is_true(eventually(function() return got end))
                assert.same({n = 3, nil, 'closed', ''}, got)
                peer:close()
            end)
        end)

        it('by a reader whose bytes came while another sent', function()
            run(function()
                local s, peer, o = pair()
                local got
                loop.newthread(function() got = s:receive() end)
                assert.is_nil(got)
                function o.send(self, _, _, j)
                    self.pending = 'came along\n'
                    return j
                end
                assert.equal(3, s:send 'abc')
                assert.is_true(eventually(function() return got end))
                assert.equal('came along', got)
                close(s, peer)
            end)
        end)

        it('by a reader whose bytes a method brought', function()
            run(function()
                local s, peer, o = pair()
                local got
                loop.newthread(function() got = s:receive() end)
                function o.pump(self) self.pending = 'pumped\n' end
                s:pump()
                assert.is_true(eventually(function() return got end))
                assert.equal('pumped', got)
                close(s, peer)
            end)
        end)

        it('only in a loop thread', function()
            local s, peer, o = pair()
            for name, f in pairs {
                receive = function() s:receive() end,
                send = function() s:send 'x' end,
            } do
                assert.error_matches(f,
                    name .. ' must be called from a loop thread')
                local ok, err = coroutine.resume(coroutine.create(f))
                assert.is_false(ok)
                assert.matches('must be called from a loop thread', err)
            end
            assert.equal(0, o.calls)
            close(s, peer)
        end)

        it('inside metamethods, sorts and coroutines', function()
            run(function()
                local s, peer = pair {step = 1}
                peer:send 'one\ntwo\nthree\n'
                local t = {3, 1, 2}
                local lines = {}
                table.sort(t, function(a, b)
                    lines[#lines + 1] = #lines < 2 and s:receive() or nil
                    return a < b
                end)
                lines[3] = coroutine.wrap(function()
                    return s:receive()
                end)()
                assert.same({'one', 'two', 'three'}, lines)
                close(s, peer)
            end)
        end)
    end)

    describe('that waits itself', function()
        it('may', function()
            run(function()
                local s, peer, o = pair()
                function o.receive(self, pattern)
                    loop.sleep(0.001)
                    return methods.receive(self, pattern)
                end
                peer:send 'abc\n'
                assert.equal('abc', s:receive())
                close(s, peer)
            end)
        end)

        it('raises its errors, and is as before', function()
            run(function()
                local s, peer, o = pair {step = 1}
                peer:send 'abcd\n'
                function o.receive(self, pattern)
                    if self.calls == 2 then
                        self.calls = 3
                        loop.sleep(0)
                        error 'oops'
                    end
                    return methods.receive(self, pattern)
                end
                assert.error_matches(function() s:receive() end, 'oops')
                assert.equal('abcd', s:receive())
                close(s, peer)
            end)
        end)

        it('gives each of two threads what it asked for', function()
            run(function()
                local s, peer, o = pair()
                function o.receive(self, pattern)
                    loop.sleep(0)
                    return methods.receive(self, pattern)
                end
                function o.send(self, data, i, j)
                    loop.sleep(0)
                    return methods.send(self, data, i, j)
                end
                local bytes, sent
                peer:send 'abcd'
                loop.newthread(function() bytes = s:receive(2, 'x') end)
                assert.equal('bcd', s:receive(3))
                assert.equal('xa', bytes)
                loop.newthread(function() sent = s:send 'ab' end)
                assert.equal(3, s:send 'cde')
                assert.equal(2, sent)
                assert.equal('abcde', peer:receive(5))
                close(s, peer)
            end)
        end)
    end)

    describe('is closed', function()
        it('once, and wakes those who wait', function()
            run(function()
                local s, peer, o = pair()
                local read, written
                peer:send 'part'
                loop.newthread(function() read = pack(s:receive()) end)
                loop.newthread(function()
                    written = pack(s:send(('x'):rep(5000000)))
                end)
                loop.sleep(0.001)
                assert.equal(1, s:close())
                assert.equal(1, o.closed)
                assert.is_true(eventually(function()
                    return read and written
                end))
                assert.same({n = 3, nil, 'closed', 'part'}, read)
                assert.is_nil(written[1])
                assert.equal('closed', written[2])
                assert.is_true(written[3] > 0)
                local calls = o.calls
                assert.same({n = 3, nil, 'closed', 'p'},
                    pack(s:receive('*a', 'p')))
                assert.same({n = 3, nil, 'closed', 0}, pack(s:send 'x'))
                assert.equal(1, s:close())
                assert.equal(1, o.closed)
                assert.equal(calls, o.calls)
                peer:close()
            end)
        end)

        it('and its descriptor can be used by the next', function()
            run(function()
                local client, peer = plain.pair()
                local o = object(client)
                o.close = function() end    -- somebody else has it, too
                local s = loop.wrap(o)
                s:settimeout(0.001)
                s:receive()
                s:close()
                local again = loop.wrap(client)
                peer:send 'again\n'
                assert.equal('again', again:receive())
                close(again, peer)
            end)
        end)

        it('behind our back', function()
            run(function()
                local s, peer, o = pair()
                o.inner:close()
                assert.same({n = 3, nil, 'closed', ''}, pack(s:receive()))
                assert.equal(-1, s:getfd())
                close(s, peer)
                assert.equal(1, o.closed)
            end)
        end)

        it('not when another is set while a thread waits', function()
            run(function()
                local s, peer = pair()
                local client, other = plain.pair()
                local got
                loop.newthread(function() got = s:receive() end)
                assert.error_matches(function() s:setsocket(client) end,
                    'a thread waits on the socket')
                peer:send 'fine\n'
                assert.is_true(eventually(function() return got end))
                assert.equal('fine', got)
                close(s, peer, client, other)
            end)
        end)

        it('by the collector with its loop socket', function()
            local client, peer = plain.pair()
            local seen = setmetatable({}, {__mode = 'k'})
            do
                local o = object(client)
                seen[o] = true
                run(function()
                    local s = loop.wrap(o)
                    seen[s] = true
                    s:settimeout(0)
                    s:receive()
                end)
            end
            support.collect()
            support.collect()
            assert.is_nil(next(seen))
            close(client, peer)
        end)
    end)

    describe('has methods', function()
        it('that are called until they are done', function()
            run(function()
                local s, peer, o = pair()
                local n = 0
                function o.work(self, a, b)
                    n = n + 1
                    if n == 1 then return false, 'wantwrite' end
                    if n == 2 then return nil, 'wantread' end
                    return self, a, b, nil
                end
                peer:send 'x'
                assert.same({n = 4, o, 'a', nil}, pack(s:work('a', nil)))
                assert.equal(3, n)
                close(s, peer)
            end)
        end)

        it('that give nil and timeout when they take too long', function()
            run(function()
                local s, peer, o = pair()
                function o.work() return nil, 'wantread' end
                s:settimeout(0.01)
                assert.same({n = 2, nil, 'timeout'}, pack(s:work()))
                close(s, peer)
            end)
        end)

        it('that call_async calls', function()
            run(function()
                local s, peer, o = pair()
                peer:send 'abc'
                local result = pack(s:call_async(o.receive, o, 3))
                assert.same({n = 1, 'abc'}, result)
                result = nil
                loop.newthread(function()
                    result = pack(s:call_async(o.receive, o, 2))
                end)
                assert.is_nil(result)
                s:close()
                assert.is_true(eventually(function() return result end))
                assert.same({n = 2, nil, 'closed'}, result)
                peer:close()
            end)
        end)

        it('for half-closing, or none', function()
            run(function()
                local s, peer, o = pair()
                assert.is_nil((s:shutdown 'send'))
                function o.shutdown(self, how)
                    return self.inner:shutdown(how)
                end
                assert.equal(1, s:shutdown 'send')
                assert.equal('closed', (select(2, peer:receive(1))))
                close(s, peer)
            end)
        end)
    end)
end)
