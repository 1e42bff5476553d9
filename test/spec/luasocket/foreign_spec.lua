-- Objects that do their own I/O: those of own_io.lua.

local loop = require 'socketloop'
local own_io = require 'own_io'
local support = require 'support'

local pack, unpack = support.pack, support.unpack
local run, plain, close = support.run, support.plain, support.close
local eventually, object = support.eventually, own_io.object
local pair = own_io.pair
local methods = own_io.methods

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

        it('and gets a timeout of 0', function()
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
                assert.equal(0, o.prefixes)    -- prefixes would be quadratic
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

        it('the bytes before an error, and the error', function()
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

        it('much, and yields to other threads', function()
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

        it('as much as the peer\'s window takes, then waits', function()
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
        it('with the bytes received until then', function()
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

        it('with the bytes sent until then', function()
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
