-- UDP sockets in the loop. See also udp_object_spec, udp_names_spec and
-- udp_luasocket_spec.

local loop = require 'socketloop'
local datagrams = require 'datagrams'
local process = require 'process'
local support = require 'support'

local pack, unpack, run = support.pack, support.unpack, support.run
local raises = support.raises
local close, makers, bound = support.close, datagrams.makers, datagrams.bound
local connected, dead_port = datagrams.connected, datagrams.dead_port

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
        port = support.unusedport()
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
            raises('bad argument', loop.udp, unpack(args))
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
            local peer = datagrams.plain()
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

    it('gives datagrams that arrived at once, one by one', function()
        run(function()
            local a, port = bound(make)
            local got = {}
            loop.newthread(function()
                while #got < 50 do got[#got + 1] = a:receive() end
            end)
            local peer = datagrams.plain()
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
            local peer = datagrams.plain()
            -- The first datagram is waited for; the others arrive without an
            -- event.
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
            raises('must be called from a loop thread', s[name], s)
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
            a:sendto('fine', '127.0.0.1', port)     -- sending is possible
            assert.is_true(support.eventually(function() return got end))
            assert.equal('fine', got)
            a:close()
        end)
    end)

    it('wakes waiting threads when it is closed', function()
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

    it('wakes a waiting reader when its peer is missing', function()
        run(function()
            local a = bound(make)
            assert(a:setpeername('127.0.0.1', dead_port()))
            local result
            loop.newthread(function() result = pack(a:receive()) end)
            assert.is_nil(result)
            a:send('anybody?')
            assert.is_true(support.eventually(function() return result end))
            assert.same(pack(nil, 'connection refused'), result)
            -- The socket can be used afterwards.
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
                raises('bad argument', a.receive, a, bad)
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

    it('is closed when it is collected', function()
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

    it('does not keep others waiting in an endless stream', function()
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
