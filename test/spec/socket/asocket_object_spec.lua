-- The LuaSocket object of a loop socket, what is forwarded to it, and objects
-- that the user calls himself.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack, run, plain = support.pack, support.run, support.plain
local each_origin, talk = support.each_origin, support.talk

describe('A loop socket', function()
    support.hooks(before_each, after_each)

    describe('has a LuaSocket object', function()
        it('made on demand, always the same', function()
            each_origin(function(s, _, origin)
                local object = s:getsocket()
                assert.equal('userdata', type(object))
                assert.equal(object, s:getsocket(), origin)
                assert.equal(object, s.socket, origin)
                assert.matches('tcp{client}', tostring(object), 1, true)
                assert.equal(s:getfd(), object:getfd())
            end)
        end)

        it('that is the one that was wrapped', function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            assert.equal(client, s:getsocket())
            assert.equal(client, s.socket)
            s:close()
            peer:close()
        end)

        it('that has the same names', function()
            each_origin(function(s)
                local object = s.socket
                assert.same(support.name(s:getpeername()),
                    support.name(object:getpeername()))
                assert.same(support.name(s:getsockname()),
                    support.name(object:getsockname()))
            end)
        end)

        it('that never blocks', function()
            each_origin(function(s)
                assert.same(pack(nil, 'timeout', ''),
                    pack(s:getsocket():receive()))
            end)
        end)

        it('that works beside it', function()
            each_origin(function(s, peer)
                local object = s:getsocket()
                talk(s, peer)
                assert.equal(3, object:send('hi\n'))
                assert.equal('hi', peer:receive())
                peer:send 'ho\n'
                assert(socket.select({object}, nil, 5)[1])
                assert.equal('ho', object:receive())
                talk(s, peer)
            end)
        end)

        it('whose buffered data is read first', function()
            each_origin(function(s, peer)
                local object = s:getsocket()
                peer:send 'one\ntwo\nthr'
                assert(socket.select({object}, nil, 5)[1])
                assert.equal('one', object:receive())
                assert.is_true(s:dirty())
                assert.equal('two', s:receive())
                peer:send 'ee\n'
                assert.equal('three', s:receive())
                talk(s, peer)
            end)
        end)

        it('after which waiting still works', function()
            each_origin(function(s, peer)
                local object = s:getsocket()
                local got
                loop.newthread(function() got = s:receive() end)
                assert.is_nil(got)
                assert.is_true(object:getfd() >= 0)
                peer:send 'hello\n'
                assert.is_true(support.eventually(function() return got end))
                assert.equal('hello', got)
            end)
        end)

        it('of the class that fits', function()
            local s = loop.tcp()
            assert.matches('tcp{master}', tostring(s:getsocket()), 1, true)
            s:close()
            s = loop.tcp('127.0.0.1', 0)
            local object = s:getsocket()
            assert.matches('tcp{master}', tostring(object), 1, true)
            assert.same(support.name(s:getsockname()),
                support.name(object:getsockname()))
            assert(s:listen())
            assert.equal(object, s:getsocket())
            assert.matches('tcp{server}', tostring(object), 1, true)
            s:close()
            s = loop.tcp('127.0.0.1', 0)
            assert(s:listen())
            assert.matches('tcp{server}', tostring(s:getsocket()), 1, true)
            s:close()
        end)

        it('of a listening socket that goes on accepting', function()
            run(function()
                local s = loop.tcp('127.0.0.1', 0)
                assert(s:listen())
                local object = s:getsocket()
                local port = support.port(object)
                local peer = plain.connect(port)
                local accepted = assert(s:accept())
                talk(accepted, peer)
                accepted:close()
                peer:close()
                s:close()
            end)
        end)

        it('that becomes a client when it connects', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.tcp()
                local object = s:getsocket()
                assert(s:connect('127.0.0.1', port))
                assert.equal(object, s:getsocket())
                assert.matches('tcp{client}', tostring(object), 1, true)
                local peer = listener:accept()
                talk(s, peer)
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('that is closed with it', function()
            each_origin(function(s, peer)
                local object = s:getsocket()
                s:close()
                assert.equal(-1, object:getfd())
                assert.equal('closed', select(2, peer:receive()))
            end)
        end)

        it('whose descriptor may go to somebody else', function()
            each_origin(function(s, peer)
                local object = s:getsocket()
                local fd = object:getfd()
                object:setfd(-1)
                s:close()
                local again = loop.wrap(fd)
                talk(again, peer)
                again:close()
            end)
        end)

        it('whose descriptor survives the collection too', function()
            run(function()
                local listener, port = plain.listen()
                local s = assert(loop.connect('127.0.0.1', port))
                local peer = assert(listener:accept())
                local object = s:getsocket()
                local fd = object:getfd()
                object:setfd(-1)
                s, object = nil, nil    -- luacheck: ignore
                support.collect()
                local again = loop.wrap(fd)
                talk(again, peer)
                again:close()
                peer:close()
                listener:close()
            end)
        end)
    end)

    describe('forwards unknown names', function()
        local class

        before_each(function()
            class = debug.getregistry()['tcp{client}'].__index
            function class:test_method(...)
                return self, ...
            end
            class.test_value = 42
        end)

        after_each(function()
            class.test_method = nil
            class.test_value = nil
        end)

        it('to the methods of the wrapped object', function()
            each_origin(function(s)
                assert.same(pack(s:getsocket(), 1, nil, 'x', nil),
                    pack(s:test_method(1, nil, 'x', nil)))
            end)
        end)

        it('to the fields of the wrapped object', function()
            each_origin(function(s)
                assert.equal(42, s.test_value)
                assert.equal('tcp{client}', s.class)
            end)
        end)

        it('as methods that follow setsocket', function()
            local s, peer = support.mixed()
            local a, b = plain.pair()
            local method = s.test_method
            assert.equal(s:getsocket(), (method(s)))
            s:getsocket():close()
            s:setsocket(a)
            assert.equal(a, (method(s)))
            assert.equal(a, (s:test_method()))
            s:close()
            b:close()
            peer:close()
        end)

        it('as methods that may be kept in another name', function()
            local s, peer = support.mixed()
            s.mine = s.test_method
            assert.equal(s:getsocket(), (s:mine()))
            s:close()
            peer:close()
        end)

        it('and gives nil for what the object does not know', function()
            each_origin(function(s)
                assert.is_nil(s.no_such_name)
                assert.is_nil(s[1])
                assert.is_nil(s[1.5])
                assert.is_nil(s[print])
            end)
        end)

        it('and prefers the fields of the user', function()
            local s, peer = support.mixed()
            s.test_value = 1
            function s:test_method() return 'mine', self end
            assert.equal(1, s.test_value)
            assert.same({'mine', s}, {s:test_method()})
            s:close()
            peer:close()
        end)

        it('and lets errors through', function()
            function class:test_method()    -- luacheck: ignore
                error({'on purpose'})
            end
            local s, peer = support.mixed()
            local ok, err = pcall(function() s:test_method() end)
            assert.is_false(ok)
            assert.same({'on purpose'}, err)
            s:close()
            peer:close()
        end)
    end)

    describe('changes its object', function()
        it('and reads and writes there', function()
            run(function()
                local s, peer = support.mixed()
                talk(s, peer)
                local a, b = plain.pair()
                local before = s:getsocket()
                s:setsocket(a)
                assert.equal(a, s:getsocket())
                assert.equal(a, s.socket)
                assert.equal(a:getfd(), s:getfd())
                talk(s, b)
                -- The one before is still there.
                before:send 'bye\n'
                assert.equal('bye', peer:receive())
                before:close()
                talk(s, b)
                s:close()
                assert.equal(-1, a:getfd())
                b:close()
                peer:close()
            end)
        end)

        it('and can wait there', function()
            run(function()
                local s, peer = support.mixed()
                s:settimeout(0.01)
                assert.equal('timeout', select(2, s:receive()))
                local a, b = plain.pair()
                s:getsocket():close()
                s:setsocket(a)
                s:settimeout(nil)
                local got
                loop.newthread(function() got = s:receive() end)
                assert.is_nil(got)
                b:send 'hello\n'
                assert.is_true(support.eventually(function() return got end))
                assert.equal('hello', got)
                s:close()
                b:close()
                peer:close()
            end)
        end)

        it('to one that has read data already', function()
            run(function()
                local s, peer = support.mixed()
                local a, b = plain.pair()
                b:send 'one\ntwo\n'
                assert.equal('one', a:receive())
                s:getsocket():close()
                s:setsocket(a)
                assert.equal('two', s:receive())
                talk(s, b)
                s:close()
                b:close()
                peer:close()
            end)
        end)

        it('to another around the same descriptor', function()
            run(function()
                local s, peer = support.mixed()
                talk(s, peer)
                -- What ssl.wrap does: the descriptor changes its owner.
                local before = s:getsocket()
                local fd = before:getfd()
                local after = socket.tcp4()
                after:close()
                after:setfd(fd)
                after:settimeout(0)
                after:connect(peer:getsockname())
                before:setfd(-1)
                s:setsocket(after)
                assert.equal(fd, s:getfd())
                talk(s, peer)
                before = nil    -- luacheck: ignore
                support.collect()
                talk(s, peer)
                s:close()
                assert.equal('closed', select(2, peer:receive()))
                peer:close()
            end)
        end)

        it('and keeps its fields', function()
            local s, peer = support.mixed()
            local a, b = plain.pair()
            s.name = 'mine'
            s:getsocket():close()
            s:setsocket(a)
            assert.equal('mine', s.name)
            s:close()
            b:close()
            peer:close()
        end)

        it('but not while it holds unread data', function()
            run(function()
                local s, peer = support.mixed()
                peer:send 'one\ntwo\n'
                assert.equal('one', s:receive())
                local a, b = plain.pair()
                local ok, err = pcall(s.setsocket, s, a)
                assert.is_false(ok)
                assert.equal('string', type(err))
                assert.equal('two', s:receive())
                s:getsocket():close()
                s:setsocket(a)
                talk(s, b)
                s:close()
                b:close()
                peer:close()
            end)
        end)

        it('but raises for anything else', function()
            local s, peer = support.mixed()
            for _, bad in ipairs {true, 'x', {}, print, io.stdout} do
                local ok, err = pcall(s.setsocket, s, bad)
                assert.is_false(ok)
                assert.matches('bad argument', err, 1, true)
            end
            assert.is_false((pcall(s.setsocket, s)))
            s:close()
            peer:close()
        end)
    end)

    describe('calls a function until it is ready', function()
        it('at once if it can', function()
            run(function()
                local s, peer = support.mixed()
                local calls = 0
                assert.same(pack('a', nil, 'c', nil), pack(s:call_async(
                    function(...)
                        calls = calls + 1
                        assert.same(pack(1, nil, 3, nil), pack(...))
                        return 'a', nil, 'c', nil
                    end, 1, nil, 3, nil)))
                assert.equal(1, calls)
                s:close()
                peer:close()
            end)
        end)

        it('and gives no results if there are none', function()
            run(function()
                local s, peer = support.mixed()
                assert.same(pack(), pack(s:call_async(function() end)))
                assert.same(pack(nil), pack(s:call_async(function()
                    return nil
                end)))
                s:close()
                peer:close()
            end)
        end)

        it('waiting for data on wantread', function()
            run(function()
                local s, peer = support.mixed()
                local object = s:getsocket()
                local calls, result = 0, nil
                loop.newthread(function()
                    result = pack(s:call_async(function(a, b)
                        calls = calls + 1
                        assert.same({'x', 'y'}, {a, b})
                        local data = object:receive(5)
                        if data then return data, calls end
                        return nil, 'wantread'
                    end, 'x', 'y'))
                end)
                assert.is_nil(result)
                peer:send 'hello'
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.equal('hello', result[1])
                assert.equal(2, result.n)
                s:close()
                peer:close()
            end)
        end)

        it('and does not spin meanwhile', function()
            run(function()
                local s, peer = support.mixed()
                local object = s:getsocket()
                local calls, done = 0, nil
                loop.newthread(function()
                    s:call_async(function()
                        calls = calls + 1
                        local data = object:receive(1)
                        if data then return data end
                        return false, 'wantread'
                    end)
                    done = true
                end)
                loop.sleep(0.03)
                assert.is_true(calls <= 3, calls)
                peer:send 'x'
                assert.is_true(support.eventually(function() return done end))
                s:close()
                peer:close()
            end)
        end)

        it('waiting for room on wantwrite', function()
            run(function()
                local a, b = support.pair {recvbuf = 8192, sendbuf = 8192}
                local object = a:getsocket()
                local data, at = ('x'):rep(1000000) .. 'end', 1
                local waits, result = 0, nil
                loop.newthread(function()
                    result = pack(a:call_async(function()
                        local last, _, partial = object:send(data, at)
                        if last then return last end
                        at = partial + 1
                        waits = waits + 1
                        return false, 'wantwrite'
                    end))
                    a:close()
                end)
                assert.is_nil(result)
                assert.is_true(data == b:receive('*a'))
                assert.same(pack(#data), result)
                assert.is_true(waits > 0)
                b:close()
            end)
        end)

        it('and gives other failures as they are', function()
            run(function()
                local s, peer = support.mixed()
                assert.same(pack(nil, 'closed', 'x'),
                    pack(s:call_async(function()
                        return nil, 'closed', 'x'
                    end)))
                assert.same(pack(false, 'oops'),
                    pack(s:call_async(function() return false, 'oops' end)))
                assert.same(pack(true, 'wantread'),
                    pack(s:call_async(function() return true, 'wantread' end)))
                s:close()
                peer:close()
            end)
        end)

        it('and raises what it raises', function()
            run(function()
                local s, peer = support.mixed()
                local err = {'on purpose'}
                local ok, got = pcall(s.call_async, s, function()
                    error(err)
                end)
                assert.is_false(ok)
                assert.equal(err, got)
                talk(s, peer)
                s:close()
                peer:close()
            end)
        end)

        it('and raises what it raises after a wait', function()
            run(function()
                local s, peer = support.mixed()
                local calls, got = 0, nil
                loop.newthread(function()
                    local _
                    _, got = pcall(s.call_async, s, function()
                        calls = calls + 1
                        if calls == 1 then return nil, 'wantread' end
                        error('on purpose', 0)
                    end)
                end)
                peer:send 'hello\n'
                assert.is_true(support.eventually(function() return got end))
                assert.matches('on purpose', got, 1, true)
                assert.equal('hello', s:receive())
                s:close()
                peer:close()
            end)
        end)

        it('but raises for what is no function', function()
            run(function()
                local s, peer = support.mixed()
                assert.is_false((pcall(s.call_async, s)))
                assert.is_false((pcall(s.call_async, s, 42)))
                talk(s, peer)
                s:close()
                peer:close()
            end)
        end)

        it('but raises outside a loop thread', function()
            local s, peer = support.mixed()
            local ok, err = pcall(function()
                s:call_async(function() return nil, 'wantread' end)
            end)
            assert.is_false(ok)
            assert.matches('must be called from a loop thread', err, 1, true)
            s:close()
            peer:close()
        end)
    end)
end)
