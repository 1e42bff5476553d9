-- The results of UDP sockets, compared with those of LuaSocket's objects.

local loop = require 'socketloop'
local compare = require 'side_by_side'
local datagrams = require 'datagrams'
local socket = require 'socket'
local support = require 'support'

local run, track, close = support.run, support.track, support.close
local makers, bound = datagrams.makers, datagrams.bound
local connected, dead_port = datagrams.connected, datagrams.dead_port

local each = compare.tests(it, makers, socket.udp)
local notes = compare.notes

describe('A UDP socket does as LuaSocket:', function()
    support.hooks(before_each, after_each)

    each('sendto and receivefrom', function(make, note)
        local a, port = bound(make)
        local b, b_port = bound(make)
        note(b:sendto('hello', '127.0.0.1', port))
        local data, host, from = a:receivefrom()
        note(data, host, from == b_port)
        note(a:sendto('you too', host, from))
        note(b:receive())
        close(a, b)
    end)

    each('a socket that was never bound', function(make, note)
        local a, port = bound(make)
        local b = make()
        note(b:getfamily())
        note(b:sendto('one', '127.0.0.1', port))
        local data, host, from = a:receivefrom()
        note(data, host, from == support.port(b))
        note(b:getfamily())
        note(b:sendto('two', '127.0.0.1', port))
        note(a:receive())
        close(a, b)
    end)

    each('connected sockets', function(make, note)
        local a, b = connected(make)
        note(a:send('hello'))
        note(b:receive())
        note(b:send('you too'))
        note(a:receive())
        local host, port, family = a:getpeername()
        note(host, tonumber(port) == support.port(b), family)
        close(a, b)
    end)

    each('setpeername of a socket that was never bound',
        function(make, note)
            local a, port = bound(make)
            local b = make()
            note(b:setpeername('127.0.0.1', port))
            note(b:send('hello'))
            local data, host, from = a:receivefrom()
            note(data, host, from == support.port(b))
            close(a, b)
        end)

    each('setpeername again', function(make, note)
        local a, a_port = bound(make)
        local b, b_port = bound(make)
        local c = make()
        note(c:setpeername('127.0.0.1', a_port))
        note(c:setpeername('127.0.0.1', b_port))
        note(c:send('hello'))
        note(b:receive())
        a:settimeout(0)
        note(a:receive())
        close(a, b, c)
    end)

    each("setpeername('*')", function(make, note)
        local a, port = bound(make)
        local b = bound(make)
        note(b:setpeername('*'))
        note(b:setpeername('127.0.0.1', port))
        note(b:setpeername('*'))
        note(b:sendto('hello', '127.0.0.1', port))
        note(a:receive())
        note.err(b.send, b, 'x')
        note.err(b.getpeername, b)
        -- Any peer may send to the socket again. Its port may have changed.
        local c = make()
        note(c:sendto('hello', '127.0.0.1', support.port(b)))
        note((b:receivefrom()))
        close(a, b, c)
    end)

    each('datagrams keep their bounds', function(make, note)
        local a, b = connected(make)
        for i = 1, 20 do note(a:send(('x'):rep(i * 100))) end
        for _ = 1, 20 do note(b:receive()) end
        close(a, b)
    end)

    each('bytes that do not fit are cut off', function(make, note)
        local a, port = bound(make)
        local b = make()
        local function send(size)
            note(b:sendto(('0123456789'):rep(size / 10), '127.0.0.1', port))
        end
        send(100)
        note(a:receive(3))
        send(100)
        note((a:receivefrom(3)))
        send(100)
        note(a:receive('4'))
        send(100)
        note(a:receive(0))
        send(100)
        note(a:receive(100))
        send(100)
        note(a:receive(99.5))
        send(9000)
        note(a:receive())
        send(9000)
        note((a:receivefrom()))
        send(9000)
        note(a:receive(8999))
        send(9000)
        note(a:receive(9001))
        send(60000)
        note(a:receive(70000))
        send(60000)
        note(a:receive(1e6))
        a:settimeout(0)
        note(a:receive())
        close(a, b)
    end)

    each('empty datagrams', function(make, note)
        local a, b = connected(make)
        note(a:send(''))
        note(a:send('x'))
        note(a:send(''))
        for _ = 1, 3 do note(b:receive()) end
        local c, port = bound(make)
        local d = make()
        note(d:sendto('', '127.0.0.1', port))
        note((c:receivefrom()))
        close(a, b, c, d)
    end)

    each('the longest datagram', function(make, note)
        local a, port = bound(make)
        local b = make()
        note(b:sendto(('x'):rep(65507), '127.0.0.1', port))
        note(#a:receive(65507))
        note(b:sendto(('x'):rep(65508), '127.0.0.1', port))
        note(b:sendto('short', '127.0.0.1', port))
        note(a:receive())
        close(a, b)
    end)

    each('all byte values', function(make, note)
        local a, b = connected(make)
        local bytes = {}
        for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
        note(a:send(table.concat(bytes)))
        note(b:receive())
        close(a, b)
    end)

    each('bad receivers', function(make, note)
        local s = bound(make)
        note(s:sendto('x', 'localhost', 9))
        note(s:sendto('x', 'no such host', 9))
        note(s:sendto('x', '', 9))
        note(s:sendto('x', '::1', 9))
        note(s:sendto('x', '127.0.0.1', 'http'))
        note(s:sendto('x', '127.0.0.1', '1x'))
        note(s:sendto('x', '127.0.0.1', 0))
        note.err(s.sendto, s, 'x')
        note.err(s.sendto, s, 'x', '127.0.0.1')
        note.err(s.sendto, s, nil, '127.0.0.1', 9)
        note.err(s.sendto, s, {}, '127.0.0.1', 9)
        note(s:sendto(12, '127.0.0.1', '9'))
        close(s)
    end)

    each('broadcasts take an option', function(make, note)
        local s = make()
        note(s:sendto('x', '255.255.255.255', 9))
        close(s)
    end)

    each('bad peers', function(make, note)
        local s = bound(make)
        note(s:setpeername('no such host', 9))
        note(s:setpeername('127.0.0.1', 'no such service'))
        note(s:setpeername('::1', 9))
        note.err(s.setpeername, s)
        note.err(s.setpeername, s, '127.0.0.1')
        note.err(s.setpeername, s, {}, 9)
        note.err(s.getpeername, s)
        close(s)
    end)

    each('peers by name', function(make, note)
        if not support.knows_localhost(pending) then return end
        local s = make()
        note(s:setpeername('localhost', 9))
        local host = s:getpeername()    -- some are for IPv4 only
        note(host == '127.0.0.1' or host == '::1')
        close(s)
    end)

    each('services by name', function(make, note)
        local s = make()
        note(s:setpeername('127.0.0.1', 'domain'))
        note(s:getpeername())
        note(s:setpeername('127.0.0.1', 'tftp'))
        note(s:getpeername())
        close(s)
    end)

    each('methods of the other class raise', function(make, note)
        local a, b = connected(make)
        local c = make()
        note.err(c.send, c, 'x')
        note.err(c.getpeername, c)
        note.err(a.sendto, a, 'x', '127.0.0.1', 9)
        note.err(a.receivefrom, a)
        note.err(a.setsockname, a, '*', 0)
        close(a, b, c)
    end)

    each('binding', function(make, note)
        local a, port = bound(make)
        note(a:setsockname('127.0.0.1', 0))     -- twice
        local b = make()
        note(b:setsockname('127.0.0.1', port))  -- in use
        note(b:setsockname('192.0.2.1', 0))     -- not a local address
        note(b:setsockname('no such host', 0))
        note.err(b.setsockname, b)
        note.err(b.setsockname, b, '127.0.0.1')
        note(b:setsockname('*', 0))
        note((b:getsockname()))
        close(a, b)
    end)

    each('timeouts', function(make, note)
        local s = bound(make)
        s:settimeout(0)
        note(s:receive())
        note(s:receivefrom())
        s:settimeout(0.01)
        note(s:receive())
        note(s:receivefrom())
        s:settimeout(-1)
        s:settimeout(0.01, 't')
        note(s:receive())
        note(s:gettimeout())
        note.err(s.settimeout, s, 'x')
        close(s)
    end)

    each('a peer that does not exist', function(make, note)
        local a = bound(make)
        note(a:setpeername('127.0.0.1', dead_port()))
        note(a:send('1'))
        note(a:receive())       -- connection refused
        a:settimeout(0.01)
        note(a:receive())       -- reported once
        note(a:send('2'))
        note(a:send('3'))       -- connection refused
        note(a:send('4'))
        note(a:getoption 'error')
        note(a:getoption 'error')
        close(a)
    end)

    each('an unconnected socket gets no error',
        function(make, note)
            local a = bound(make)
            note(a:sendto('x', '127.0.0.1', dead_port()))
            a:settimeout(0.01)
            note(a:receivefrom())
            close(a)
        end)

    each('options', function(make, note)
        local s = bound(make)
        for _, name in ipairs {'broadcast', 'dontroute', 'reuseaddr',
                'ip-multicast-loop'} do
            note(s:getoption(name))
            note(s:setoption(name, true))
            note(s:getoption(name))
            note(s:setoption(name, false))
            note(s:getoption(name))
            note.err(s.setoption, s, name)
        end
        note(s:getoption 'ip-multicast-if')
        note(s:setoption('ip-multicast-if', '127.0.0.1'))
        note(s:getoption 'ip-multicast-if')
        note(s:setoption('ip-multicast-if', '*'))
        note(s:getoption 'ip-multicast-if')
        note(s:setoption('ip-multicast-ttl', 3))
        note(s:setoption('recv-buffer-size', 10000))
        note(s:getoption 'recv-buffer-size')
        note(s:getoption 'error')
        note.err(s.setoption, s, 'ip-multicast-if', 'x')
        close(s)
    end)

    each('multicast groups', function(make, note)
        local s = bound(make, '*')
        local group = {multiaddr = '239.255.1.7', interface = '127.0.0.1'}
        note((s:setoption('ip-add-membership', group)))
        note((s:setoption('ip-add-membership', group)))     -- a member
        note((s:setoption('ip-drop-membership', group)))
        note((s:setoption('ip-drop-membership', group)))    -- not a member
        for _, bad in ipairs {{}, {multiaddr = 'x'},
                {multiaddr = '239.255.1.7'},
                {multiaddr = '239.255.1.7', interface = 'x'}} do
            note.err(s.setoption, s, 'ip-add-membership', bad)
        end
        close(s)
    end)

    it('has its methods and no others', function()
        local a, b, t = loop.udp(), socket.udp(), loop.tcp()
        local wrapped = loop.wrap(assert(socket.udp()))
        local methods = {}
        for name in pairs(getmetatable(b).__index) do methods[name] = true end
        for _, name in ipairs {'accept', 'bind', 'connect', 'listen',
                'shutdown', 'getstats', 'setstats', 'receive', 'send',
                'nosuchmethod'} do
            methods[name] = true
        end
        for name in pairs(methods) do
            if name ~= 'class' then
                assert.equal(type(b[name]), type(a[name]), name)
                assert.equal(type(b[name]), type(wrapped[name]), name)
            end
        end
        assert.equal('function', type(t.accept))
        close(a, b, t, wrapped)
    end)

    it('raises for options that are none of UDP', function()
        local s = loop.udp('127.0.0.1', 0)
        for _, name in ipairs {'tcp-nodelay', 'keepalive', 'linger', 'x'} do
            local ok, err = pcall(s.setoption, s, name, true)
            assert.is_false(ok)
            assert.matches('unsupported option', err, 1, true)
            assert.is_false((pcall(s.getoption, s, name)))
        end
        s:close()
        local t = loop.tcp('127.0.0.1', 0)
        assert.is_false((pcall(t.setoption, t, 'broadcast', true)))
        t:close()
    end)

    describe('on IPv6,', function()
        local function each_on_ipv6(name, f)
            it(name, function()
                if not support.has_ipv6() then
                    pending 'no IPv6 here'
                    return
                end
                local expected = notes(f, datagrams.plain)
                assert.is_true(#expected > 0)
                assert.same(expected, run(notes, f, makers['loop.udp']))
                assert.same(expected,
                    run(notes, f, makers['a wrapped object']))
                assert.same(notes(f, function()
                    return track(assert(socket.udp6()))
                end), run(notes, f, function()
                    local object = assert(socket.udp6())
                    local fd = object:getfd()
                    object:setfd(-1)
                    return track(loop.wrap(fd, 'udp6'))
                end))
            end)
        end

        each_on_ipv6('sendto and receivefrom', function(make, note)
            local a, port = bound(make, '::1')
            note(a:getfamily())
            local b = make()
            note(b:sendto('hello', '::1', port))
            note(b:getfamily())
            local data, host, from = a:receivefrom()
            note(data, host, from == support.port(b))
            note(b:sendto('x', '127.0.0.1', port))
            local name = support.name(b:getsockname())
            note(name[1], name[3])
            close(a, b)
        end)

        each_on_ipv6('connected sockets', function(make, note)
            local a, b = connected(make, '::1')
            note(a:send('hello'))
            note(b:receive())
            local host, _, family = a:getpeername()
            note(host, family)
            note(a:setpeername('*'))
            note.err(a.send, a, 'x')
            close(a, b)
        end)

        each_on_ipv6('options', function(make, note)
            local a = bound(make, '::1')
            note(a:getoption 'ipv6-v6only')
            note(a:setoption('ipv6-unicast-hops', 7))
            note(a:getoption 'ipv6-unicast-hops')
            note(a:setoption('ipv6-multicast-loop', false))
            note(a:getoption 'ipv6-multicast-loop')
            local group = {multiaddr = 'ff02::1:7'}
            note.err(a.setoption, a, 'ipv6-add-membership', {})
            note.err(a.setoption, a, 'ipv6-add-membership', {multiaddr = 'x'})
            note(pcall(a.setoption, a, 'ipv6-drop-membership', group) ~= nil)
            close(a)
        end)
    end)
end)
