-- A loop socket as a value: name, options, counts and descriptor.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack, unpack, run = support.pack, support.unpack, support.run
local plain, each_origin = support.plain, support.each_origin
local talk = support.talk

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

    it('fails to set an option without a descriptor', function()
        for _, make in ipairs {loop.tcp, loop.udp, loop.unix} do
            local s = make()
            local ok, err = s:setoption('reuseaddr', true)
            assert.is_nil(ok)
            assert.matches('no descriptor', err)
            local read = s.getoption or function() return nil, err end
            assert.matches('no descriptor', (select(2, read(s, 'reuseaddr'))))
            s:close()
            assert.equal('closed', (select(2, s:setoption('reuseaddr', true))))
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

        it('that are not those of a socket that came instead', function()
            local s, other = loop.tcp('127.0.0.1', 0)
            local value = setmetatable({}, {__index = function(_, key)
                if not other then
                    s:close()
                    other = loop.tcp('127.0.0.1', 0)
                end
                return key == 'on' or 5
            end})
            assert.is_nil((s:setoption('linger', value)))
            assert.is_false(other:getoption 'linger'.on)
            other:close()
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
        it('the bytes sent and received', function()
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

        it('from the values of setstats', function()
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

        it('and raises for a descriptor that is not a number', function()
            each_origin(function(s, peer)
                assert.is_false((pcall(s.setfd, s)))
                assert.is_false((pcall(s.setfd, s, 'x')))
                assert.is_false((pcall(s.setfd, s, {})))
                talk(s, peer)
            end)
        end)
    end)
end)
