-- UDP sockets. What they give is compared with what LuaSocket's own objects
-- give: the same function runs on both.

local loop = require 'socketloop'
local names = require 'names'
local process = require 'process'
local socket = require 'socket'
local support = require 'support'

local pack, unpack = support.pack, support.unpack
local run, track = support.run, support.track
local close = support.close

-- The ways to get a loop socket.
local makers = {
    ['loop.udp'] = function() return track(loop.udp()) end,
    ['a wrapped object'] = function()
        return track(loop.wrap(socket.udp()))
    end,
    ['a wrapped object with a descriptor'] = function()
        return track(loop.wrap(assert(socket.udp4())))
    end,
    ['a bare descriptor'] = function()
        local object = assert(socket.udp4())
        local fd = object:getfd()
        object:setfd(-1)
        return track(loop.wrap(fd, 'udp'))
    end,
}

local function plain_maker()
    return track(assert(socket.udp()))
end

-- What f(make, note) notes down. note(...) keeps the values, note.err(f, ...)
-- what it raises, without the name of the function.
local function notes(f, make)
    local all = {}
    local note = setmetatable({
        err = function(g, ...)
            local ok, err = pcall(g, ...)
            all[#all + 1] = {ok, ok or err:match '%((.*)%)'}
        end,
    }, {__call = function(_, ...) all[#all + 1] = pack(...) end})
    f(make, note)
    return all
end

-- f gives the same with LuaSocket's objects and with each kind of ours.
local function compare(name, f)
    for kind, make in pairs(makers) do
        it(name .. ' (' .. kind .. ')', function()
            local expected = notes(f, plain_maker)
            assert.is_true(#expected > 0)
            assert.same(expected, run(notes, f, make))
        end)
    end
end

-- A socket bound to a port of its own, and the port.
local function bound(make, host)
    local s = make()
    assert(s:setsockname(host or '127.0.0.1', 0))
    s:settimeout(5)
    return s, support.port(s)
end

-- Two sockets that are connected with each other.
local function connected(make, host)
    host = host or '127.0.0.1'
    local a, a_port = bound(make, host)
    local b, b_port = bound(make, host)
    assert(a:setpeername(host, b_port))
    assert(b:setpeername(host, a_port))
    return a, b
end

-- A port on which nobody receives.
local function dead_port()
    local s = assert(socket.udp4())
    assert(s:setsockname('127.0.0.1', 0))
    local port = support.port(s)
    s:close()
    return port
end

describe('A UDP socket does as LuaSocket:', function()
    support.hooks(before_each, after_each)

    compare('sendto and receivefrom', function(make, note)
        local a, port = bound(make)
        local b, b_port = bound(make)
        note(b:sendto('hello', '127.0.0.1', port))
        local data, host, from = a:receivefrom()
        note(data, host, from == b_port)
        note(a:sendto('you too', host, from))
        note(b:receive())
        close(a, b)
    end)

    compare('a socket that was never bound', function(make, note)
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

    compare('connected sockets', function(make, note)
        local a, b = connected(make)
        note(a:send('hello'))
        note(b:receive())
        note(b:send('you too'))
        note(a:receive())
        local host, port, family = a:getpeername()
        note(host, tonumber(port) == support.port(b), family)
        close(a, b)
    end)

    compare('setpeername of a socket that was never bound',
        function(make, note)
            local a, port = bound(make)
            local b = make()
            note(b:setpeername('127.0.0.1', port))
            note(b:send('hello'))
            local data, host, from = a:receivefrom()
            note(data, host, from == support.port(b))
            close(a, b)
        end)

    compare('setpeername again', function(make, note)
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

    compare("setpeername('*')", function(make, note)
        local a, port = bound(make)
        local b = bound(make)
        note(b:setpeername('*'))
        note(b:setpeername('127.0.0.1', port))
        note(b:setpeername('*'))
        note(b:sendto('hello', '127.0.0.1', port))
        note(a:receive())
        note.err(b.send, b, 'x')
        note.err(b.getpeername, b)
        -- Anybody may send to it again; its port may have changed.
        local c = make()
        note(c:sendto('hello', '127.0.0.1', support.port(b)))
        note((b:receivefrom()))
        close(a, b, c)
    end)

    compare('datagrams keep their bounds', function(make, note)
        local a, b = connected(make)
        for i = 1, 20 do note(a:send(('x'):rep(i * 100))) end
        for _ = 1, 20 do note(b:receive()) end
        close(a, b)
    end)

    compare('what does not fit is cut off', function(make, note)
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

    compare('empty datagrams', function(make, note)
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

    compare('the longest datagram', function(make, note)
        local a, port = bound(make)
        local b = make()
        note(b:sendto(('x'):rep(65507), '127.0.0.1', port))
        note(#a:receive(65507))
        note(b:sendto(('x'):rep(65508), '127.0.0.1', port))
        note(b:sendto('short', '127.0.0.1', port))
        note(a:receive())
        close(a, b)
    end)

    compare('all byte values', function(make, note)
        local a, b = connected(make)
        local bytes = {}
        for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
        note(a:send(table.concat(bytes)))
        note(b:receive())
        close(a, b)
    end)

    compare('bad receivers', function(make, note)
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

    compare('broadcasts take an option', function(make, note)
        local s = make()
        note(s:sendto('x', '255.255.255.255', 9))
        close(s)
    end)

    compare('bad peers', function(make, note)
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

    compare('peers by name', function(make, note)
        if not support.knows_localhost(pending) then return end
        local s = make()
        note(s:setpeername('localhost', 9))
        local host = s:getpeername()    -- some of ours are for IPv4 only
        note(host == '127.0.0.1' or host == '::1')
        close(s)
    end)

    compare('services by name', function(make, note)
        local s = make()
        note(s:setpeername('127.0.0.1', 'domain'))
        note(s:getpeername())
        note(s:setpeername('127.0.0.1', 'tftp'))
        note(s:getpeername())
        close(s)
    end)

    compare('methods of the other class raise', function(make, note)
        local a, b = connected(make)
        local c = make()
        note.err(c.send, c, 'x')
        note.err(c.getpeername, c)
        note.err(a.sendto, a, 'x', '127.0.0.1', 9)
        note.err(a.receivefrom, a)
        note.err(a.setsockname, a, '*', 0)
        close(a, b, c)
    end)

    compare('binding', function(make, note)
        local a, port = bound(make)
        note(a:setsockname('127.0.0.1', 0))     -- twice
        local b = make()
        note(b:setsockname('127.0.0.1', port))  -- in use
        note(b:setsockname('192.0.2.1', 0))     -- nobody's
        note(b:setsockname('no such host', 0))
        note.err(b.setsockname, b)
        note.err(b.setsockname, b, '127.0.0.1')
        note(b:setsockname('*', 0))
        note((b:getsockname()))
        close(a, b)
    end)

    compare('timeouts', function(make, note)
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

    compare('a peer that is not there', function(make, note)
        local a = bound(make)
        note(a:setpeername('127.0.0.1', dead_port()))
        note(a:send('1'))
        note(a:receive())       -- connection refused
        a:settimeout(0.01)
        note(a:receive())       -- told once
        note(a:send('2'))
        note(a:send('3'))       -- connection refused
        note(a:send('4'))
        note(a:getoption 'error')
        note(a:getoption 'error')
        close(a)
    end)

    compare('an unconnected socket hears nothing of it',
        function(make, note)
            local a = bound(make)
            note(a:sendto('x', '127.0.0.1', dead_port()))
            a:settimeout(0.01)
            note(a:receivefrom())
            close(a)
        end)

    compare('options', function(make, note)
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

    compare('multicast groups', function(make, note)
        local s = bound(make, '*')
        local group = {multiaddr = '239.255.1.7', interface = '127.0.0.1'}
        note((s:setoption('ip-add-membership', group)))
        note((s:setoption('ip-add-membership', group)))     -- is in it
        note((s:setoption('ip-drop-membership', group)))
        note((s:setoption('ip-drop-membership', group)))    -- is not
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
        local function each(name, f)
            it(name, function()
                if not support.has_ipv6() then
                    pending 'no IPv6 here'
                    return
                end
                local expected = notes(f, plain_maker)
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

        each('sendto and receivefrom', function(make, note)
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

        each('connected sockets', function(make, note)
            local a, b = connected(make, '::1')
            note(a:send('hello'))
            note(b:receive())
            local host, _, family = a:getpeername()
            note(host, family)
            note(a:setpeername('*'))
            note.err(a.send, a, 'x')
            close(a, b)
        end)

        each('options', function(make, note)
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

describe('loop.udp', function()
    support.hooks(before_each, after_each)

    it('has no descriptor at first', function()
        local s = loop.udp()
        assert.equal(-1, s:getfd())
        assert.equal('socketloop_socket', s.type)
        assert.matches('udp{unconnected}', tostring(s), 1, true)
        s:close()
    end)

    it('binds to an address and port', function()
        local s = loop.udp('127.0.0.1', 0)
        local host, port, family = s:getsockname()
        assert.equal('127.0.0.1', host)
        assert.is_true(port > 0)
        assert.equal('inet', family)
        assert.matches('127.0.0.1 port ' .. port, tostring(s), 1, true)
        s:close()
    end)

    it('binds to an address alone and to a port alone', function()
        local a = loop.udp('127.0.0.1')
        local host, port = a:getsockname()
        assert.equal('127.0.0.1', host)
        assert.is_true(port > 0)
        a:close()
        local b = loop.udp(nil, port)
        assert.equal(port, support.port(b))
        b:close()
        local c = loop.udp('*', tostring(port))
        assert.equal(port, support.port(c))
        c:close()
    end)

    it('raises when it cannot bind', function()
        local s = loop.udp('127.0.0.1', 0)
        local ok, err = pcall(loop.udp, '127.0.0.1', support.port(s))
        assert.is_false(ok)
        assert.matches('udp: address already in use', err, 1, true)
        s:close()
        assert.is_false((pcall(loop.udp, '192.0.2.1')))
    end)

    it('raises for arguments of another type', function()
        for _, args in ipairs {{{}}, {'127.0.0.1', {}}, {true},
                {'127.0.0.1', 65536}, {'127.0.0.1', -1}} do
            local ok, err = pcall(loop.udp, unpack(args))
            assert.is_false(ok)
            assert.matches('bad argument', err, 1, true)
        end
    end)

    it('works without LuaSocket', function()
        local status, output = process.lua([[
            package.preload['socket.core'] = function() error 'used' end
            package.preload.socket = package.preload['socket.core']
            local loop = require 'socketloop'
            local a = loop.udp('127.0.0.1', 0)
            local b = loop.udp()
            loop.newthread(function()
                print(a:receivefrom())
                a:close()
            end)
            loop.newthread(function()
                b:sendto('hello', a:getsockname())
                b:close()
            end)
            loop.start()
        ]])
        process.cleanup()
        assert.equal(0, status, output)
        assert.matches('^hello\t127.0.0.1\t%d+\n$', output)
    end)
end)

describe('A UDP socket in the loop', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    local make = makers['loop.udp']

    it('waits and lets others run', function()
        run(function()
            local a, port = bound(make)
            local got
            loop.newthread(function() got = pack(a:receivefrom()) end)
            assert.is_nil(got)
            local b = bound(make)
            b:sendto('hello', '127.0.0.1', port)
            assert.is_true(support.eventually(function() return got end))
            assert.same(pack('hello', '127.0.0.1', support.port(b)), got)
            close(a, b)
        end)
    end)

    it('waits for datagrams of plain sockets', function()
        run(function()
            local a, port = bound(make)
            local peer = plain_maker()
            for i = 1, 10 do
                local got
                loop.newthread(function() got = a:receive() end)
                assert.is_nil(got)
                peer:sendto('message ' .. i, '127.0.0.1', port)
                assert.is_true(support.eventually(function()
                    return got
                end))
                assert.equal('message ' .. i, got)
            end
            close(a, peer)
        end)
    end)

    it('gives all that arrived at once, one by one', function()
        run(function()
            local a, port = bound(make)
            local got = {}
            loop.newthread(function()
                while #got < 50 do got[#got + 1] = a:receive() end
            end)
            local peer = plain_maker()
            for i = 1, 50 do peer:sendto(tostring(i), '127.0.0.1', port) end
            assert.is_true(support.eventually(function()
                return #got == 50
            end))
            for i = 1, 50 do assert.equal(tostring(i), got[i]) end
            a:settimeout(0)
            assert.same(pack(nil, 'timeout'), pack(a:receive()))
            close(a, peer)
        end)
    end)

    it('is remembered as ready', function()
        run(function()
            local a, port = bound(make)
            local peer = plain_maker()
            -- One is waited for; what comes then is there without an event.
            loop.newthread(function() a:receive() end)
            peer:sendto('1', '127.0.0.1', port)
            peer:sendto('2', '127.0.0.1', port)
            loop.sleep(0.005)
            peer:sendto('3', '127.0.0.1', port)
            assert.equal('2', a:receive())
            assert.equal('3', a:receive())
            close(a, peer)
        end)
    end)

    it('is a clear error outside a thread', function()
        local s = loop.udp('127.0.0.1', 0)
        for _, name in ipairs {'receive', 'receivefrom'} do
            local ok, err = pcall(s[name], s)
            assert.is_false(ok)
            assert.matches('must be called from a loop thread', err, 1, true)
        end
        local ok, err = pcall(s.sendto, s, 'x', '127.0.0.1', 9)
        assert.is_false(ok)
        assert.matches('must be called from a loop thread', err, 1, true)
        assert.equal(1, s:setpeername('127.0.0.1', 9))
        assert.is_false((pcall(s.send, s, 'x')))
        s:close()
    end)

    it('raises for a second reader and spares the first', function()
        run(function()
            local a, port = bound(make)
            local got
            loop.newthread(function() got = a:receive() end)
            for _, name in ipairs {'receive', 'receivefrom'} do
                local ok, err = pcall(a[name], a)
                assert.is_false(ok)
                assert.matches('already waited on by another thread', err, 1,
                    true)
            end
            a:sendto('fine', '127.0.0.1', port)     -- one may write
            assert.is_true(support.eventually(function() return got end))
            assert.equal('fine', got)
            a:close()
        end)
    end)

    it('wakes who waits when it is closed', function()
        run(function()
            local a, b = connected(make)
            local c = bound(make)
            local results = {}
            loop.newthread(function() results[1] = pack(a:receive()) end)
            loop.newthread(function() results[2] = pack(c:receivefrom()) end)
            loop.sleep(0)
            close(a, b, c)
            assert.is_true(support.eventually(function()
                return results[1] and results[2]
            end))
            assert.same(pack(nil, 'closed'), results[1])
            assert.same(pack(nil, 'closed'), results[2])
        end)
    end)

    it('is closed after close', function()
        run(function()
            for _, f in pairs(makers) do
                local a, b = connected(f)
                local c, d = f(), bound(f)
                for _ = 1, 2 do
                    assert.equal(1, a:close())
                    assert.equal(1, c:close())
                    assert.equal(1, d:close())
                end
                assert.same(pack(nil, 'closed'), pack(a:send('x')))
                assert.same(pack(nil, 'closed'), pack(a:receive()))
                for _, s in ipairs {c, d} do
                    assert.same(pack(nil, 'closed'),
                        pack(s:sendto('x', '127.0.0.1', 9)))
                    assert.same(pack(nil, 'closed'), pack(s:receive()))
                    assert.same(pack(nil, 'closed'), pack(s:receivefrom()))
                    assert.equal(-1, s:getfd())
                end
                b:close()
            end
        end)
    end)

    it('cannot receive before it has a descriptor', function()
        run(function()
            local s = loop.udp()
            assert.same(pack(nil, 'closed'), pack(s:receive()))
            assert.same(pack(nil, 'closed'), pack(s:receivefrom()))
            s:close()
        end)
    end)

    it('is closed when its object was closed', function()
        run(function()
            local object = assert(socket.udp4())
            assert(object:setsockname('127.0.0.1', 0))
            local s = loop.wrap(object)
            object:close()
            assert.same(pack(nil, 'closed'), pack(s:receive()))
            assert.same(pack(nil, 'closed'),
                pack(s:sendto('x', '127.0.0.1', 9)))
            s:close()
        end)
    end)

    it('is closed when its bare descriptor was closed', function()
        run(function()
            local object = assert(socket.udp4())
            assert(object:setsockname('127.0.0.1', 0))
            local s = loop.wrap(object:getfd(), 'udp')
            object:close()
            assert.same(pack(nil, 'closed'), pack(s:receive()))
            assert.same(pack(nil, 'closed'),
                pack(s:sendto('x', '127.0.0.1', 9)))
            s:setfd(-1)     -- it is somebody else's by now
            s:close()
        end)
    end)

    it('follows what is done to its object', function()
        run(function()
            local a, port = bound(make)
            local object = socket.udp()
            local s = loop.wrap(object)
            assert(object:setpeername('127.0.0.1', port))
            assert.equal(1, s:send('1'))
            assert.equal('1', a:receive())
            assert(object:setpeername('*'))
            assert.equal(1, s:sendto('2', '127.0.0.1', port))
            assert.equal('2', a:receive())
            close(a, s)
        end)
    end)

    it('stays usable after a timeout', function()
        run(function()
            local a, port = bound(make)
            local b = make()
            for i = 1, 5 do
                a:settimeout(0.005)
                local took, data, err = support.timed(a.receive, a)
                assert.is_nil(data)
                assert.equal('timeout', err)
                assert.is_true(took >= 0.003)
                a:settimeout(5)
                b:sendto('late ' .. i, '127.0.0.1', port)
                assert.equal('late ' .. i, a:receive())
            end
            close(a, b)
        end)
    end)

    it('takes the limit of the whole call too', function()
        run(function()
            local a = bound(make)
            a:settimeout(5)
            a:settimeout(0.01, 't')
            local took, _, err = support.timed(a.receive, a)
            assert.equal('timeout', err)
            assert.is_true(took < 2)
            a:close()
        end)
    end)

    it('tells a waiting reader that nobody is there', function()
        run(function()
            local a = bound(make)
            assert(a:setpeername('127.0.0.1', dead_port()))
            local result
            loop.newthread(function() result = pack(a:receive()) end)
            assert.is_nil(result)
            a:send('anybody?')
            assert.is_true(support.eventually(function() return result end))
            assert.same(pack(nil, 'connection refused'), result)
            -- And goes on.
            local b, port = bound(make)
            assert(b:setpeername('127.0.0.1', support.port(a)))
            assert(a:setpeername('127.0.0.1', port))
            b:send('yes')
            assert.equal('yes', a:receive())
            close(a, b)
        end)
    end)

    it('raises for bad sizes', function()
        run(function()
            local a = bound(make)
            for _, bad in ipairs {-1, 0/0, 'x', {}, '*l'} do
                local ok, err = pcall(a.receive, a, bad)
                assert.is_false(ok, tostring(bad))
                assert.matches('bad argument', err, 1, true)
                assert.is_false((pcall(a.receivefrom, a, bad)))
            end
            a:close()
        end)
    end)

    it('takes any size without the memory for it', function()
        run(function()
            local a, b = connected(make)
            for _, size in ipairs {2^31, 2^40, 2^62, 1e300, math.huge} do
                a:send('hello')
                assert.equal('hello', b:receive(size))
            end
            close(a, b)
        end)
    end)

    it('has ports of their range only', function()
        run(function()
            local a = bound(make)
            assert.is_false((pcall(a.sendto, a, 'x', '127.0.0.1', 65536)))
            assert.is_false((pcall(a.sendto, a, 'x', '127.0.0.1', -1)))
            assert.is_false((pcall(a.setpeername, a, '127.0.0.1', 65536)))
            for _, port in ipairs {'65536', '99999', ('9'):rep(50)} do
                local ok, err = a:sendto('x', '127.0.0.1', port)
                assert.is_nil(ok)
                assert.is_string(err)
            end
            a:close()
        end)
    end)

    it('makes a LuaSocket object on demand', function()
        run(function()
            local a, b = connected(make)
            local c = bound(make)
            local object = a:getsocket()
            assert.matches('udp{connected}', tostring(object), 1, true)
            assert.equal(a:getfd(), object:getfd())
            assert.equal(a, loop.wrap(object))
            assert.equal('inet4', object:getfamily())
            assert.same(support.name(a:getpeername()),
                support.name(object:getpeername()))
            assert.equal('userdata', type(c.socket))
            assert.matches('udp{unconnected}', tostring(c.socket), 1, true)
            -- It is the same socket still.
            b:send('hello')
            assert.equal('hello', a:receive())
            b:send('object')
            object:settimeout(1)
            assert.equal('object', object:receive())
            object:settimeout(0)
            close(a, b, c)
            assert.equal(-1, object:getfd())
        end)
    end)

    it('makes a LuaSocket object before it has a descriptor', function()
        run(function()
            local a, port = bound(make)
            local s = loop.udp()
            local object = s:getsocket()
            assert.equal(-1, object:getfd())
            assert.equal(5, s:sendto('hello', '127.0.0.1', port))
            assert.is_true(object:getfd() >= 0)
            assert.equal(object:getfd(), s:getfd())
            assert.equal('hello', a:receive())
            close(a, s)
            assert.equal(-1, object:getfd())
        end)
    end)

    it('can be swapped by setsocket', function()
        run(function()
            local a, port = bound(make)
            local s = loop.udp('127.0.0.1', 0)
            local fresh = assert(socket.udp4())
            s:setsocket(fresh)
            assert.equal(fresh, s:getsocket())
            assert.equal(1, s:sendto('x', '127.0.0.1', port))
            assert.equal('x', a:receive())
            -- A socket of another kind has other methods.
            s:setsocket(socket.tcp())
            assert.equal('function', type(s.accept))
            assert.is_nil(s.sendto)
            close(a, s)
        end)
    end)

    it('is closed when nobody needs it', function()
        local s = loop.udp('127.0.0.1', 0)
        local port = support.port(s)
        s = nil     -- luacheck: ignore
        support.collect()
        loop.udp('127.0.0.1', port):close()
    end)

    it('lives as long as a thread waits on it', function()
        run(function()
            local port, got
            do
                local s
                s, port = bound(make)
                loop.newthread(function()
                    got = s:receive()
                    s:close()
                end)
            end
            support.collect()
            local b = make()
            b:sendto('hello', '127.0.0.1', port)
            assert.is_true(support.eventually(function() return got end))
            assert.equal('hello', got)
            b:close()
        end)
    end)

    it('waits inside pcall, sort and a nested coroutine', function()
        run(function()
            local a, port = bound(make)
            local b = make()
            local function ask(what)
                loop.newthread(function()
                    loop.sleep(0.001)
                    b:sendto(what, '127.0.0.1', port)
                end)
                return (a:receive())
            end
            assert.same(pack(true, '1'), pack(pcall(ask, '1')))
            local list = {3, 1, 2}
            table.sort(list, function(x, y) return ask('2') and x < y end)
            assert.same({1, 2, 3}, list)
            assert.equal('3', coroutine.wrap(ask)('3'))
            close(a, b)
        end)
    end)

    it('does not keep others waiting when it never stops', function()
        run(function()
            local a, port = bound(make)
            local turns, done = 0, false
            loop.newthread(function()
                while not done do
                    turns = turns + 1
                    a:sendto('x', '127.0.0.1', port)
                end
            end)
            for _ = 1, 5 do loop.sleep(0) end
            done = true
            assert.is_true(turns > 64 and turns < 64 * 20)
            loop.sleep(0)
            a:close()
        end)
    end)

    it('serves a hundred threads at once', function()
        run(function()
            local server, port = bound(make)
            server:settimeout(nil)
            loop.newthread(function()
                while true do
                    local data, host, from = server:receivefrom()
                    if not data then break end
                    server:sendto('echo ' .. data, host, from)
                end
            end)
            local count = 0
            for i = 1, 100 do
                loop.newthread(function()
                    local s = make()
                    s:settimeout(5)
                    if i % 2 == 0 then
                        assert(s:setpeername('127.0.0.1', port))
                    end
                    for j = 1, 10 do
                        local text = i .. ':' .. j
                        if i % 2 == 0 then
                            s:send(text)
                        else
                            s:sendto(text, '127.0.0.1', port)
                        end
                        assert.equal('echo ' .. text, s:receive())
                        count = count + 1
                    end
                    s:close()
                end)
            end
            assert.is_true(support.eventually(function()
                return count == 1000
            end))
            server:close()
        end)
    end)

    it('lets one thread read and one write', function()
        run(function()
            local a, b = connected(make)
            local sent, got = 0, 0
            loop.newthread(function()
                while got < 200 do
                    if not b:receive() then break end
                    got = got + 1
                    b:send('answer')
                end
            end)
            local answers = 0
            loop.newthread(function()
                while answers < 200 do
                    if not a:receive() then break end
                    answers = answers + 1
                end
            end)
            loop.newthread(function()
                while sent < 200 do
                    a:send('question')
                    sent = sent + 1
                    if sent % 20 == 0 then loop.sleep(0.001) end
                end
            end)
            assert.is_true(support.eventually(function()
                return answers == 200
            end))
            close(a, b)
        end)
    end)
end)

-- In a Lua of its own, with a name service of its own: see names.lua.
describe('A UDP socket and names', function()
    after_each(process.cleanup)

    local function script(name, code)
        if names.available then
            it(name, function() names.script(code) end)
        else
            pending(name)
        end
    end

    script('looks its peer up while others run', [[
        for _, make in ipairs {loop.udp, function()
            return loop.wrap(socket.udp())
        end} do
            run(function()
                local s, ticks = make(), 0
                local over
                async(function()
                    repeat
                        loop.sleep(0.001)
                        ticks = ticks + 1
                    until over
                end)
                expect(1, s:setpeername('wait100+127.0.0.1', 9))
                over = true
                assert(ticks > 10, ticks)
                local host, port = s:getpeername()
                expect('127.0.0.1', host)
                expect(9, port)
                s:close()
            end)
        end
    ]])

    script('tries all addresses', [[
        for _, make in ipairs {loop.udp, function()
            return loop.wrap(socket.udp())
        end} do
            run(function()
                -- A broadcast address takes an option, and a route.
                local s = make()
                expect(1, s:setpeername('+255.255.255.255+127.0.0.1', 9))
                expect('127.0.0.1', (s:getpeername()))
                s:close()
                s = make()
                local ok, err = s:setpeername('+255.255.255.255', 9)
                expect(nil, ok)
                assert(err == 'permission denied' or
                       err == 'Network is unreachable', err)
                -- And can be used all the same.
                expect(1, s:sendto('x', '127.0.0.1', 9))
                s:close()
                s = make()
                local other = assert(socket.udp6())
                if other:setsockname('::1', 0) then
                    expect(1, s:setpeername('+255.255.255.255+::1', 9))
                    expect('::1', (s:getpeername()))
                end
                other:close()
                s:close()
            end)
        end
    ]])

    script('takes its timeout for the look-up', [[
        run(function()
            local s = loop.udp()
            s:settimeout(0.01)
            local took, ok, err = timed(s.setpeername, s,
                'wait1000+127.0.0.1', 9)
            expect_error('timeout', ok, err)
            assert(took < 0.5)
            s:settimeout(5)
            expect(1, s:setpeername('wait10+127.0.0.1', 9))
            s:close()
        end)
    ]])

    script('is closed during the look-up', [[
        run(function()
            local fresh, bound = loop.udp(), loop.udp('127.0.0.1', 0)
            for _, s in ipairs {fresh, bound} do
                local result = async(s.setpeername, s, 'wait200+127.0.0.1', 9)
                loop.sleep(0.005)
                s:close()
                expect_error('closed', result())
            end
        end)
    ]])

    script('refuses a second use of its far end during the look-up', [[
        run(function()
            local s = loop.udp('127.0.0.1', 0)
            local result = async(s.setpeername, s, 'wait50+127.0.0.1', 9)
            assert(not s:setpeername('127.0.0.1', 9))
            assert(not pcall(s.sendto, s, 'x', '127.0.0.1', 9))
            expect(1, (result()))
            expect(1, s:send('x'))
            s:close()
        end)
    ]])

    script('binds to names, also outside of threads', [[
        local s = loop.udp('wait10+127.0.0.1', 0)
        expect('127.0.0.1', (s:getsockname()))
        expect(1, s:setpeername('wait10+127.0.0.1', 9))
        s:close()
        run(function()
            local t = loop.udp()
            expect(1, t:setsockname('wait10+127.0.0.1', 0))
            expect('127.0.0.1', (t:getsockname()))
            t:close()
        end)
    ]])
end)

-------------------------------------------------------------------------------
-- A name server and its clients, in the format of RFC 1035

local function word(n)
    return string.char(math.floor(n / 256), n % 256)
end

local function encode_name(name)
    return (name:gsub('([^.]+)%.?', function(label)
        return string.char(#label) .. label
    end)) .. '\0'
end

local function query(id, name)
    return word(id) .. word(0x0100) .. word(1) .. ('\0'):rep(6) ..
        encode_name(name) .. word(1) .. word(1)
end

-- The name in a query, and where it ends.
local function decode_name(packet, at)
    local labels = {}
    while packet:byte(at) ~= 0 do
        local size = packet:byte(at)
        labels[#labels + 1] = packet:sub(at + 1, at + size)
        at = at + size + 1
    end
    return table.concat(labels, '.'), at + 1
end

local function answer(packet, address)
    local _, past = decode_name(packet, 13)
    local question = packet:sub(13, past + 3)
    return packet:sub(1, 2) .. word(0x8180) .. word(1) .. word(1) ..
        ('\0'):rep(4) .. question .. word(0xc00c) .. word(1) .. word(1) ..
        ('\0'):rep(2) .. word(60) .. word(4) ..
        address:gsub('(%d+)%.?', function(byte)
            return string.char(byte)
        end)
end

-- The address in the answer to the query with that id.
local function decode_answer(packet, id)
    if packet:sub(1, 2) ~= word(id) then return nil end
    return table.concat({packet:byte(-4, -1)}, '.')
end

describe('A name server over UDP', function()
    support.hooks(before_each, after_each)

    -- Answers each query but those that lost(name, how often asked) says.
    local function serve(lost)
        local server = track(loop.udp('127.0.0.1', 0))
        local asked = {}
        loop.newthread(function()
            while true do
                local packet, host, port = server:receivefrom()
                if not packet then return end
                local name = decode_name(packet, 13)
                asked[name] = (asked[name] or 0) + 1
                if not lost(name, asked[name]) then
                    local number = name:match '%d+'
                    server:sendto(answer(packet, '10.0.0.' .. number), host,
                        port)
                end
            end
        end)
        return server, support.port(server)
    end

    -- As resolvers do: asks again when no answer comes.
    local function lookup(s, id, name, tries)
        for _ = 1, tries do
            assert(s:send(query(id, name)))
            local packet, err = s:receive()
            if packet then return decode_answer(packet, id) end
            if err ~= 'timeout' then return nil, err end
        end
        return nil, 'timeout'
    end

    it('answers', function()
        run(function()
            local server, port = serve(function() end)
            local s = loop.udp()
            assert(s:setpeername('127.0.0.1', port))
            s:settimeout(5)
            assert.equal('10.0.0.7', lookup(s, 4711, 'host7.example', 1))
            assert.equal('10.0.0.8', lookup(s, 4712, 'host8.example', 1))
            close(s, server)
        end)
    end)

    it('is asked again when a datagram is lost', function()
        run(function()
            local server, port = serve(function(_, n) return n < 3 end)
            local s = loop.udp()
            assert(s:setpeername('127.0.0.1', port))
            s:settimeout(0.01)
            assert.equal('10.0.0.7', lookup(s, 1, 'host7.example', 100))
            close(s, server)
        end)
    end)

    it('is given up when it never answers', function()
        run(function()
            local server, port = serve(function() return true end)
            local s = loop.udp()
            assert(s:setpeername('127.0.0.1', port))
            s:settimeout(0.005)
            assert.same(pack(nil, 'timeout'),
                pack(lookup(s, 1, 'host1.example', 3)))
            server:close()
            -- Nobody is there: told at once, or with the next call.
            s:settimeout(5)
            local _, err = lookup(s, 2, 'host1.example', 2)
            assert.equal('connection refused', err)
            s:close()
        end)
    end)

    it('is asked by a hundred threads', function()
        run(function()
            local server, port = serve(function(name, n)
                return name:match '%d+' % 10 == 0 and n == 1
            end)
            local found = 0
            for i = 1, 100 do
                loop.newthread(function()
                    local s = loop.udp()
                    assert(s:setpeername('127.0.0.1', port))
                    s:settimeout(i % 10 == 0 and 0.05 or 5)
                    local name = ('host%d.example'):format(i)
                    assert.equal('10.0.0.' .. i, lookup(s, i, name, 50))
                    found = found + 1
                    s:close()
                end)
            end
            assert.is_true(support.eventually(function()
                return found == 100
            end))
            server:close()
        end)
    end)
end)
