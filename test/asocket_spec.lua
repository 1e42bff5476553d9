local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack, unpack = support.pack, support.unpack
local run, plain = support.run, support.plain

-- A socket of each origin, its plain peer, and where it comes from.
local function each_origin(f)
    run(function()
        local s, peer = support.mixed()
        f(s, peer, 'wrapped')
        s:close()
        peer:close()

        local listener, port = plain.listen()
        s = assert(loop.connect('127.0.0.1', port))
        peer = assert(listener:accept())
        f(s, peer, 'connected')
        s:close()
        peer:close()
        listener:close()

        listener = loop.tcp('127.0.0.1', 0)
        assert(listener:listen())
        peer = plain.connect(support.port(listener))
        s = assert(listener:accept())
        f(s, peer, 'accepted')
        s:close()
        peer:close()
        listener:close()
    end)
end

-- Are s and its peer connected to each other, in both directions?
local function talk(s, peer)
    peer:send 'ping\n'
    assert.equal('ping', s:receive())
    s:send 'pong\n'
    assert.equal('pong', peer:receive())
end

describe('A loop socket', function()
    support.hooks(before_each, after_each)

    describe('as a value', function()
        it('has a type field', function()
            each_origin(function(s)
                assert.equal('socketloop_socket', s.type)
                assert.equal('userdata', type(s))
            end)
        end)

        it('is described with its descriptor and peer', function()
            each_origin(function(s)
                local text = tostring(s)
                local host, port = s:getpeername()
                assert.matches(('%d'):format(s:getfd()), text, 1, true)
                assert.matches(host, text, 1, true)
                assert.matches(('%d'):format(port), text, 1, true)
                assert.matches('tcp', text, 1, true)
            end)
        end)

        it('is described when it has no peer, listens or is closed', function()
            local s = loop.tcp()
            assert.matches('tcp', tostring(s), 1, true)
            s:close()
            assert.matches('tcp', tostring(s), 1, true)
            s = loop.tcp('127.0.0.1', 0)
            assert(s:listen())
            assert.matches('tcp', tostring(s), 1, true)
            s:close()
        end)

        it('holds the fields of its user', function()
            local s, peer = support.mixed()
            s.name = 'first'
            s[1] = 'one'
            s[s] = s
            assert.equal('first', s.name)
            assert.equal('one', s[1])
            assert.equal(s, s[s])
            s.name = nil
            assert.is_nil(s.name)
            assert.is_nil(s.never)
            assert.is_nil(s[2])
            assert.is_nil(s[true])
            assert.is_nil(s[s.nothing])
            s[s] = nil
            s:close()
            peer:close()
        end)

        it('shares no field with another', function()
            local s, peer = support.mixed()
            local other = loop.tcp()
            s.name = 'first'
            assert.is_nil(other.name)
            s:close()
            other:close()
            peer:close()
        end)

        it('raises for fields that cannot be', function()
            local s = loop.tcp()
            assert.has_error(function() s[nil] = 1 end)
            assert.has_error(function() s[0/0] = 1 end)
            s:close()
        end)

        it('lets its methods be overridden one by one', function()
            run(function()
                local s, peer = support.mixed()
                local other, other_peer = support.mixed()
                local receive = s.receive
                function s:receive(...)
                    local line = receive(self, ...)
                    return line and line:upper()
                end
                peer:send 'hello\n'
                assert.equal('HELLO', s:receive())
                other_peer:send 'hello\n'
                assert.equal('hello', other:receive())
                s.receive = nil
                peer:send 'hello\n'
                assert.equal('hello', s:receive())
                s:close()
                peer:close()
                other:close()
                other_peer:close()
            end)
        end)

        it('has every method of a LuaSocket object', function()
            local s, peer = support.mixed()
            for _, name in ipairs {'accept', 'bind', 'close', 'connect',
                    'dirty', 'getfamily', 'getfd', 'getoption', 'getpeername',
                    'getsockname', 'getstats', 'gettimeout', 'listen',
                    'receive', 'send', 'setfd', 'setoption', 'setstats',
                    'settimeout', 'shutdown'} do
                assert.equal('function', type(s[name]), name)
            end
            s:close()
            peer:close()
        end)

        it('has methods of its own', function()
            local s, peer = support.mixed()
            for _, name in ipairs {'call_async', 'getsocket', 'setsocket'} do
                assert.equal('function', type(s[name]), name)
            end
            s:close()
            peer:close()
        end)

        it('is equal to itself only', function()
            local s, t = loop.tcp(), loop.tcp()
            assert.is_true(s == s)      -- luacheck: ignore
            assert.is_false(s == t)
            s:close()
            t:close()
        end)

        it('raises when a method gets something else', function()
            local s, peer = support.mixed()
            for _, name in ipairs {'accept', 'bind', 'call_async', 'close',
                    'connect', 'dirty', 'getfamily', 'getfd', 'getoption',
                    'getpeername', 'getsocket', 'getsockname', 'getstats',
                    'gettimeout', 'listen', 'receive', 'send', 'setfd',
                    'setoption', 'setsocket', 'setstats', 'settimeout',
                    'shutdown'} do
                for _, self in ipairs {42, 'x', {}, print, io.stdout} do
                    assert.is_false((pcall(s[name], self)), name)
                end
                assert.is_false((pcall(s[name])), name)
            end
            s:close()
            peer:close()
        end)

        if support.lua_version >= 5.4 then
            it('is closed at the end of its block', function()
                local source = [[
                    local s, check = ...
                    do
                        local closing <close> = s
                        check()
                    end
                ]]
                local s, peer = support.mixed()
                assert(support.load(source))(s, function()
                    assert.not_equal(-1, s:getfd())
                end)
                assert.equal(-1, s:getfd())
                peer:close()
            end)

            it('is closed when its block fails', function()
                local source = [[
                    local closing <close> = ...
                    error 'on purpose'
                ]]
                local s, peer = support.mixed()
                assert.is_false((pcall(assert(support.load(source)), s)))
                assert.equal(-1, s:getfd())
                peer:close()
            end)
        end
    end)

    describe('has names', function()
        it('as LuaSocket gives them', function()
            each_origin(function(s, peer)
                assert.same(support.name(peer:getsockname()),
                    support.name(s:getpeername()))
                assert.same(support.name(peer:getpeername()),
                    support.name(s:getsockname()))
                assert.equal(3, select('#', s:getpeername()))
                assert.equal(3, select('#', s:getsockname()))
            end)
        end)

        it('with ports that are integers', function()
            each_origin(function(s)
                local _, port = s:getpeername()
                assert.equal(('%d'):format(port), tostring(port))
                _, port = s:getsockname()
                assert.equal(('%d'):format(port), tostring(port))
            end)
        end)

        it('but no peer unless connected', function()
            local s = loop.tcp('127.0.0.1', 0)
            local ok, err = s:getpeername()
            assert.is_nil(ok)
            assert.equal('string', type(err))
            s:close()
        end)

        it('and a family', function()
            each_origin(function(s, peer)
                assert.equal(peer:getfamily(), s:getfamily())
            end)
            local s = loop.tcp()
            assert.equal('inet4', s:getfamily())
            s:close()
        end)
    end)

    describe('has options', function()
        local sets = {
            {'keepalive', true}, {'keepalive', false},
            {'reuseaddr', true}, {'tcp-nodelay', true},
            {'tcp-nodelay', false}, {'linger', {on = true, timeout = 3}},
            {'linger', {on = false, timeout = 0}},
            {'recv-buffer-size', 65536}, {'send-buffer-size', 65536},
        }

        it('set and read as LuaSocket does', function()
            each_origin(function(s, _, origin)
                local a, b = plain.pair()
                for _, option in ipairs(sets) do
                    local known, expected =
                        pcall(a.setoption, a, unpack(option))
                    if known then
                        assert.same(expected, s:setoption(unpack(option)))
                        assert.same(pack(a:getoption(option[1])),
                            pack(s:getoption(option[1])), origin)
                    end
                end
                a:close()
                b:close()
            end)
        end)

        it('of the last error', function()
            each_origin(function(s, peer)
                assert.same(pack(peer:getoption('error')),
                    pack(s:getoption('error')))
            end)
        end)

        it('that are not supported raise', function()
            each_origin(function(s)
                local ok, err = pcall(function()
                    s:setoption('no such option', true)
                end)
                assert.is_false(ok)
                assert.matches('bad argument', err, 1, true)
                assert.matches('unsupported option', err, 1, true)
                ok, err = pcall(function() s:getoption('no such option') end)
                assert.is_false(ok)
                assert.matches('bad argument', err, 1, true)
                assert.matches('unsupported option', err, 1, true)
            end)
        end)

        it('that raise for a value of another type', function()
            each_origin(function(s, peer)
                assert.is_false((pcall(s.setoption, s, 'keepalive', 'yes')))
                assert.is_false((pcall(s.setoption, s, 'linger', 5)))
                assert.is_false((pcall(s.setoption, s)))
                assert.is_false((pcall(s.getoption, s)))
                talk(s, peer)
            end)
        end)

        it('that name a device', function()
            local s = loop.tcp('127.0.0.1', 0)
            local ok, device = s:getoption 'bindtodevice'
            if ok == nil then
                pending('this system gives no device: ' .. tostring(device))
                s:close()
                return
            end
            assert.equal('', ok)
            local set, err = s:setoption('bindtodevice', 'lo')
            assert.is_true(set == 1 or err == 'permission denied', err)
            assert.equal(set and 'lo' or '', (s:getoption 'bindtodevice'))
            assert.is_false((pcall(s.setoption, s, 'bindtodevice',
                                   ('x'):rep(100))))
            s:close()
        end)

        it('that are memberships can only be set', function()
            local s = loop.udp('127.0.0.1', 0)
            local ok, value = pcall(s.getoption, s, 'ip-add-membership')
            assert.is_true(not ok or value == nil)
            s:close()
        end)

        it('on a bound and on a listening socket too', function()
            local s = loop.tcp('127.0.0.1', 0)
            assert.equal(1, s:setoption('reuseaddr', true))
            assert.is_true(s:getoption('reuseaddr'))
            assert(s:listen())
            assert.equal(1, s:setoption('reuseaddr', false))
            assert.is_false(s:getoption('reuseaddr'))
            s:close()
        end)

        it('that leave it usable', function()
            each_origin(function(s, peer)
                s:setoption('tcp-nodelay', true)
                support.collect()
                talk(s, peer)
            end)
        end)
    end)

    describe('counts', function()
        it('what was sent and received', function()
            each_origin(function(s, peer, origin)
                peer:send '12345\r\n67890'
                assert.equal('12345', s:receive())
                assert.equal('67890', s:receive(5))
                s:send 'abc'
                s:send {'de', 'f'}
                local received, sent, age = s:getstats()
                assert.equal(12, received, origin)
                assert.equal(6, sent, origin)
                assert.is_true(age >= 0 and age < 60, origin)
                assert.equal(3, select('#', s:getstats()))
            end)
        end)

        it('from what setstats says', function()
            each_origin(function(s, peer)
                assert.same(pack(1), pack(s:setstats(100, 200, 50)))
                peer:send 'hello\n'
                s:receive()
                s:send 'hi'
                local received, sent, age = s:getstats()
                assert.equal(106, received)
                assert.equal(202, sent)
                assert.is_true(age >= 49 and age < 110)
                assert.same(pack(1), pack(s:setstats()))
                assert.equal(106, (s:getstats()))
                assert.same(pack(1), pack(s:setstats(nil, 7)))
                assert.equal(106, (s:getstats()))
                assert.equal(7, (select(2, s:getstats())))
            end)
        end)

        it('partial results too', function()
            run(function()
                local a, b = support.pair {recvbuf = 8192, sendbuf = 8192}
                a:settimeout(0.01)
                local _, _, last = a:send(('x'):rep(1000000))
                assert.equal(last, (select(2, a:getstats())))
                a:close()
                local got = b:receive('*a')
                assert.equal(last, #got)
                assert.equal(last, (b:getstats()))
                b:close()
            end)
        end)
    end)

    describe('is dirty', function()
        it('while it holds unread data', function()
            each_origin(function(s, peer, origin)
                assert.is_false(s:dirty(), origin)
                peer:send 'one\ntwo\n'
                assert.equal('one', s:receive())
                assert.is_true(s:dirty(), origin)
                assert.equal('two', s:receive())
                assert.is_false(s:dirty(), origin)
            end)
        end)

        it('when closed never', function()
            local s = loop.tcp()
            assert.is_false(s:dirty())
            s:close()
            assert.is_false(s:dirty())
        end)
    end)

    describe('has a descriptor', function()
        it('that is a number', function()
            each_origin(function(s)
                local fd = s:getfd()
                assert.equal('number', type(fd))
                assert.is_true(fd >= 0)
                assert.equal(fd, s:getfd())
            end)
        end)

        it('that socket.select takes', function()
            each_origin(function(s, peer)
                peer:send 'x'
                local readable = socket.select({s}, nil, 5)
                assert.equal(s, readable[1])
                local _, writable = socket.select(nil, {s}, 5)
                assert.equal(s, writable[1])
                assert.equal('x', s:receive(1))
            end)
        end)

        it('that can be taken away', function()
            each_origin(function(s, peer)
                local fd = s:getfd()
                s:setfd(-1)
                assert.equal(-1, s:getfd())
                s:close()
                local again = loop.wrap(fd)
                assert.equal(fd, again:getfd())
                talk(again, peer)
                again:close()
            end)
        end)

        it('that can be taken away and given back', function()
            each_origin(function(s, peer)
                local fd = s:getfd()
                s:setfd(-1)
                s:setfd(fd)
                assert.equal(fd, s:getfd())
                talk(s, peer)
            end)
        end)

        it('and raises if told another one is no number', function()
            each_origin(function(s, peer)
                assert.is_false((pcall(s.setfd, s)))
                assert.is_false((pcall(s.setfd, s, 'x')))
                assert.is_false((pcall(s.setfd, s, {})))
                talk(s, peer)
            end)
        end)
    end)

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
