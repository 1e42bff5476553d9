-- Names that C would read differently: those with a zero byte, and ports that
-- getaddrinfo would parse as another port.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack, run, raises = support.pack, support.run, support.raises

local unknown = 'host or service not provided, or not known'
local failed = {n = 2, nil, unknown}

local hosts = {
    '127.0.0.1\0.good.test', '127.0.0.1\0', '\0', 'localhost\0.good.test',
    '::1\0', 'fe80::1%lo\0x', '*\0', '\000127.0.0.1',
}

-- Strings that are no ports, though getaddrinfo may parse the first ones as
-- `port`.
local function no_ports(port)
    return {
        ('%d'):format(port + 65536), ('%d'):format(port - 65536),
        ('%d'):format(port + 2^32), port .. '\0abc', port .. '\0', ' ' .. port,
        '+' .. port, '-' .. port, port .. ' ', '\t' .. port,
        ('0x%x'):format(port), '', '*', '-1', '65536', '99999999999999999999',
        'http\0', '\0', '80\n',
    }
end

local function listen()
    local listener = loop.newserver('127.0.0.1', 0, function(s) s:close() end)
    return listener, support.port(listener)
end

describe('a host with a zero byte', function()
    support.hooks(before_each, after_each)

    it('is not known', function()
        run(function()
            local listener, port = listen()
            for _, host in ipairs(hosts) do
                assert.same(failed, pack(loop.connect(host, port)))
                assert.same(failed, pack(loop.resolve(host)))
                assert.same(failed, pack(loop.resolve(host, port, 1)))
                local s = loop.tcp()
                assert.same(failed, pack(s:connect(host, port)))
                s:close()
                s = loop.tcp()
                assert.same(failed, pack(s:bind(host, 0)))
                s:close()
                s = loop.udp()
                assert.same(failed, pack(s:setsockname(host, 0)))
                assert.same(failed, pack(s:setpeername(host, port)))
                assert.same(failed, pack(s:sendto('x', host, port)))
                s:close()
                assert.is_nil((loop.connect('127.0.0.1', port, host, 0)))
            end
            listener:close()
        end)
    end)

    it('raises where failures raise', function()
        for _, host in ipairs(hosts) do
            raises(unknown, loop.tcp, host, 0)
            raises(unknown, loop.udp, host, 0)
            if host:byte() ~= 0 then    -- otherwise an abstract path
                raises(unknown, loop.newserver, host, 0, print)
            end
        end
    end)

    it('is not known to wrapped objects', function()
        run(function()
            for _, host in ipairs(hosts) do
                local s = loop.wrap(socket.tcp())
                assert.same(failed, pack(s:connect(host, 1)))
                s:close()
                s = loop.wrap(socket.udp())
                assert.same(failed, pack(s:setpeername(host, 1)))
                assert.same(failed, pack(s:sendto('x', host, 1)))
                s:close()
            end
        end)
    end)
end)

describe('a port', function()
    support.hooks(before_each, after_each)

    it('is decimal digits up to 65535, or a service', function()
        run(function()
            local listener, port = listen()
            for _, text in ipairs(no_ports(port)) do
                local function check(...)
                    assert.same(failed, pack(...), text)
                end
                check(loop.connect('127.0.0.1', text))
                check(loop.resolve('127.0.0.1', text))
                check(loop.resolve('localhost', text))
                local s = loop.tcp()
                check(s:bind('127.0.0.1', text))
                s:close()
                s = loop.udp()
                check(s:sendto('x', '127.0.0.1', text))
                check(s:setpeername('127.0.0.1', text))
                s:close()
                raises(unknown, loop.tcp, '127.0.0.1', text)
                raises(unknown, loop.newserver, '127.0.0.1', text, print)
            end
            for _, text in ipairs {
                ('%d'):format(port), ('%05d'):format(port),
                ('00%d'):format(port),
            } do
                local s = assert(loop.connect('127.0.0.1', text))
                s:close()
            end
            for _, text in ipairs {'no-such-service', '1e3', '9p'} do
                assert.is_nil((loop.connect('127.0.0.1', text)))
            end
            local list = assert(loop.resolve('127.0.0.1', '65535'))
            assert.equal(65535, list[1].port)
            listener:close()
        end)
    end)
end)

describe('a path with a zero byte', function()
    support.hooks(before_each, after_each)

    it('is a bad argument', function()
        local words = 'there is a zero byte in the path'
        run(function()
            for _, path in ipairs {
                '/tmp/socketloop-no\0such', './x\0', 'x\0/y',
            } do
                local s = loop.unix()
                raises(words, s.bind, s, path)
                raises(words, s.connect, s, path)
                s:close()
                raises(words, loop.newserver, path, nil, print)
            end
        end)
    end)
end)

describe('an option with a zero byte', function()
    support.hooks(before_each, after_each)

    it('is a bad argument', function()
        local s = loop.tcp('127.0.0.1', 0)
        raises("bad argument #1 to 'setoption'", s.setoption, s,
               'keepalive\0x', true)
        raises("bad argument #1 to 'getoption'", s.getoption, s, 'keepalive\0')
        raises("bad argument #2 to 'wrap'", loop.wrap, s:getfd(), 'tcp\0x')
        s:close()
        local u = loop.udp('127.0.0.1', 0)
        raises("bad argument #2 to 'setoption'", u.setoption, u,
               'ip-multicast-if', '127.0.0.1\0x')
        for _, group in ipairs {
            {multiaddr = '224.0.0.1\0', interface = '*'},
            {multiaddr = '224.0.0.1', interface = '127.0.0.1\0x'},
        } do
            raises("bad argument #2 to 'setoption'", u.setoption, u,
                   'ip-add-membership', group)
        end
        u:close()
        support.with_pair(function(a)
            raises("bad argument #1 to 'shutdown'", a.shutdown, a, 'send\0')
        end)
    end)
end)

describe('with install in a thread', function()
    support.hooks_installed(before_each, after_each)

    it('a host with a zero byte is not known', function()
        run(function()
            for _, host in ipairs(hosts) do
                assert.same(failed, pack(socket.connect(host, 1)))
                local s = assert(socket.tcp())
                assert.same(failed, pack(s:connect(host, 1)))
                assert.same(failed, pack(s:bind(host, 0)))
                s:close()
                s = assert(socket.udp())
                assert.same(failed, pack(s:setpeername(host, 1)))
                assert.same(failed, pack(s:setsockname(host, 0)))
                assert.same(failed, pack(s:sendto('x', host, 1)))
                s:close()
                assert.same(failed, pack(socket.dns.getaddrinfo(host)))
                assert.same(failed, pack(socket.dns.getnameinfo(host)))
                assert.same({n = 2, nil, 'host not found'},
                            pack(socket.dns.toip(host)))
                assert.same({n = 2, nil, 'host not found'},
                            pack(socket.dns.tohostname(host)))
            end
        end)
    end)

    it('a port is decimal digits up to 65535, or a service', function()
        run(function()
            local listener, port = listen()
            for _, text in ipairs(no_ports(port)) do
                assert.same(failed, pack(socket.connect('127.0.0.1', text)))
                local s = assert(socket.tcp())
                assert.same(failed, pack(s:bind('127.0.0.1', text)))
                s:close()
                s = assert(socket.udp())
                assert.same(failed, pack(s:sendto('x', '127.0.0.1', text)))
                assert.same(failed, pack(s:setpeername('127.0.0.1', text)))
                s:close()
            end
            assert.same(failed, pack(socket.connect('127.0.0.1',
                                                    port + 65536)))
            assert.same(failed, pack(socket.dns.getnameinfo('127.0.0.1',
                                                            '80\0')))
            assert(socket.connect('127.0.0.1', ('%d'):format(port))):close()
            listener:close()
        end)
    end)

    it('a path with a zero byte is a bad argument', function()
        local ok, unix = pcall(require, 'socket.unix')
        if not ok then pending 'LuaSocket has no unix sockets' return end
        local make = type(unix) == 'table' and unix.stream or unix
        run(function()
            local s = assert(make())
            raises("bad argument #1 to 'connect' (there is a zero byte",
                   s.connect, s, '/tmp/x\0y')
            s:close()
        end)
    end)
end)
