-- IPv4 and IPv6 addresses, and the errors about invalid ones.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run, plain = support.run, support.plain

-- Returns LuaSocket's error for a name. No name here leaves the host.
local function reason(f, ...)
    local ok, err = f(...)
    assert.is_nil(ok)
    return err
end

local function exchange(host)
    run(function()
        local listener = loop.tcp(host, 0)
        assert(listener:listen())
        local port = support.port(listener)
        local client = assert(loop.connect(host, port))
        local server = assert(listener:accept())
        client:send 'hello\n'
        assert.equal('hello', server:receive())
        assert.same(support.name(client:getsockname()),
            support.name(server:getpeername()))
        assert.same(support.name(client:getpeername()),
            support.name(server:getsockname()))
        client:close()
        server:close()
        listener:close()
    end)
end

describe('An address', function()
    support.hooks(before_each, after_each)

    it('may be of IPv4', function()
        exchange '127.0.0.1'
    end)

    it('may be another of this host', function()
        exchange '127.0.0.2'
    end)

    it('may be of IPv6', function()
        if not support.has_ipv6() then pending 'no IPv6 here' return end
        exchange '::1'
    end)

    it('may be localhost', function()
        if not support.knows_localhost(pending) then return end
        exchange 'localhost'
    end)

    it('of IPv4 has the family inet', function()
        support.with_pair(function(a, b)
            for _, s in ipairs {a, b} do
                local host, port, family = s:getpeername()
                assert.equal('127.0.0.1', host)
                assert.equal('number', type(port))
                assert.equal('inet', family)
                assert.equal('inet4', s:getfamily())
            end
        end)
    end)

    it('of IPv6 has the family inet6', function()
        if not support.has_ipv6() then pending 'no IPv6 here' return end
        run(function()
            local a, b = support.pair {host = '::1'}
            for _, s in ipairs {a, b} do
                local host, port, family = s:getpeername()
                assert.equal('::1', host)
                assert.equal('number', type(port))
                assert.equal('inet6', family)
                assert.equal('inet6', s:getfamily())
            end
            a:close()
            b:close()
        end)
    end)

    it('of IPv6 works for servers and LuaSocket objects', function()
        if not support.has_ipv6() then pending 'no IPv6 here' return end
        run(function()
            local port, listener = support.serve(function(client)
                client:send(client:receive():upper() .. '\n')
                client:close()
            end, '::1')
            assert.same({'::1', port, 'inet6'},
                support.name(listener:getsockname()))
            local s = loop.wrap(socket.tcp6())
            assert.is_true(s:connect('::1', port))
            s:send 'hello\n'
            assert.equal('HELLO', s:receive())
            assert.same(support.name(s:getpeername()),
                support.name(s:getsocket():getpeername()))
            s:close()
            s = loop.wrap(socket.tcp())
            assert.is_true(s:connect('::1', port))
            s:send 'hello\n'
            assert.equal('HELLO', s:receive())
            s:close()
            listener:close()
        end)
    end)

    it('of IPv6 cannot be reached from a socket bound to IPv4', function()
        if not support.has_ipv6() then pending 'no IPv6 here' return end
        run(function()
            local listener, port = plain.listen '::1'
            local s = loop.tcp('127.0.0.1', 0)
            local ok, err = s:connect('::1', port)
            assert.is_nil(ok)
            assert.equal('string', type(err))
            s:close()
            listener:close()
        end)
    end)

    it('of a server may be left out', function()
        run(function()
            local listener = support.track(loop.newserver(nil, nil,
                function(client)
                    client:send 'hello\n'
                    client:close()
                end))
            local port = support.port(listener)
            assert.is_true(port > 0)
            local s = assert(loop.connect('127.0.0.1', port))
            assert.equal('hello', s:receive())
            s:close()
            listener:close()
        end)
    end)

    describe('that is wrong', function()
        -- Numeric addresses and names that cannot exist, so no network is
        -- needed.
        local bad_hosts = {'256.256.256.256', '1.2.3.4.5', 'not a host',
            '', ':::', 'fe80:::1', '127.0.0.1 ', ('x'):rep(300)}

        it('is nil and LuaSocket\'s message in connect', function()
            run(function()
                for _, host in ipairs(bad_hosts) do
                    local expected =
                        socket.tcp():connect(host, 80) == nil and
                        reason(socket.connect, host, 80)
                    if expected and expected ~= 'connection refused' then
                        assert.same(pack(nil, expected),
                            pack(loop.connect(host, 80)), host)
                        local s = loop.tcp()
                        assert.same(pack(nil, expected),
                            pack(s:connect(host, 80)), host)
                        s:close()
                    end
                end
            end)
        end)

        it('is nil and the reason in connect', function()
            run(function()
                local s = loop.tcp()
                local ok, err = s:connect('256.256.256.256', 80)
                assert.is_nil(ok)
                assert.is_true(
                    err == 'host or service not provided, or not known' or
                    err == 'temporary failure in name resolution', err)
                s:close()
            end)
        end)

        it('is nil and LuaSocket\'s message for a service', function()
            run(function()
                local expected = reason(socket.connect, '127.0.0.1',
                    'no-such-service')
                assert.same(pack(nil, expected),
                    pack(loop.connect('127.0.0.1', 'no-such-service')))
                local s = loop.tcp()
                assert.same(pack(nil, expected),
                    pack(s:connect('127.0.0.1', 'no-such-service')))
                s:close()
            end)
        end)

        it('is nil and LuaSocket\'s message in bind', function()
            local plain_one, s = socket.tcp(), loop.tcp()
            for _, case in ipairs {{'256.256.256.256', 0},
                    {'127.0.0.1', 'no-such-service'}, {'not a host', 0}} do
                local expected = reason(plain_one.bind, plain_one, case[1],
                    case[2])
                assert.same(pack(nil, expected),
                    pack(s:bind(case[1], case[2])))
            end
            s:close()
            plain_one:close()
        end)

        it('is nil and the reason when it is not of this host', function()
            local plain_one, s = socket.tcp(), loop.tcp()
            local ok, expected = plain_one:bind('192.0.2.1', 0)
            if ok then pending 'this host has every address' return end
            assert.same(pack(nil, expected), pack(s:bind('192.0.2.1', 0)))
            s:close()
            plain_one:close()
        end)

        it('raises in tcp', function()
            local ok, err = pcall(loop.tcp, '256.256.256.256')
            assert.is_false(ok)
            assert.equal('string', type(err))
            ok, err = pcall(loop.tcp, '127.0.0.1', 'no-such-service')
            assert.is_false(ok)
            assert.equal('string', type(err))
        end)

        it('raises in newserver', function()
            assert.is_false((pcall(loop.newserver, '256.256.256.256', 0,
                print)))
            local listener, port = plain.listen()
            local ok, err = pcall(loop.newserver, '127.0.0.1', port, print)
            assert.is_false(ok)
            assert.matches('address already in use', err, 1, true)
            listener:close()
        end)

        it('is a local one, and nil in connect', function()
            run(function()
                local listener, port = plain.listen()
                local ok, err = loop.connect('127.0.0.1', port,
                    '256.256.256.256')
                assert.is_nil(ok)
                assert.equal('string', type(err))
                local other, taken = plain.listen()
                assert.same(pack(nil, 'address already in use'),
                    pack(loop.connect('127.0.0.1', port, '127.0.0.1', taken)))
                other:close()
                listener:close()
            end)
        end)
    end)
end)
