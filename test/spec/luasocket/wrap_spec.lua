-- wrap, of LuaSocket's objects and of bare descriptors.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run, plain, raises = support.run, support.plain, support.raises

-- Are s and its plain peer connected, in both directions, and does s wait in
-- the loop rather than block the process?
local function talk(s, peer)
    local got
    loop.newthread(function() got = s:receive() end)
    assert.is_nil(got)
    peer:send 'ping\n'
    assert.is_true(support.eventually(function() return got end))
    assert.equal('ping', got)
    s:send 'pong\n'
    assert.equal('pong', peer:receive())
end

-- A descriptor that nobody else owns, connected to the plain peer.
local function bare_fd(host)
    local client, peer = plain.pair(host)
    local fd = client:getfd()
    client:setfd(-1)
    return fd, peer
end

describe('wrap', function()
    support.hooks(before_each, after_each)

    describe('of a LuaSocket object', function()
        it('takes one that has no descriptor yet', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.wrap(socket.tcp())
                assert.is_true(s:connect('127.0.0.1', port))
                local peer = assert(listener:accept())
                talk(s, peer)
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('takes one of tcp4', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.wrap(assert(socket.tcp4()))
                assert.is_true(s:connect('127.0.0.1', port))
                local peer = assert(listener:accept())
                talk(s, peer)
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('takes one of tcp6', function()
            if not support.has_ipv6() then pending 'no IPv6 here' return end
            run(function()
                local listener, port = plain.listen '::1'
                local s = loop.wrap(assert(socket.tcp6()))
                assert.is_true(s:connect('::1', port))
                local peer = assert(listener:accept())
                talk(s, peer)
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('takes a bound one', function()
            run(function()
                local listener, port = plain.listen()
                local object = assert(socket.tcp())
                assert(object:bind('127.0.0.1', 0))
                local own = support.port(object)
                local s = loop.wrap(object)
                assert.equal(own, support.port(s))
                assert.is_true(s:connect('127.0.0.1', port))
                local peer = assert(listener:accept())
                assert.equal(own, (select(2, peer:getpeername())))
                talk(s, peer)
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('takes a bound one that then listens', function()
            run(function()
                local object = assert(socket.tcp())
                assert(object:bind('127.0.0.1', 0))
                local s = loop.wrap(object)
                assert.equal(1, s:listen())
                local peer = plain.connect(support.port(s))
                local accepted = assert(s:accept())
                talk(accepted, peer)
                accepted:close()
                peer:close()
                s:close()
            end)
        end)

        it('takes a fresh one that then binds and listens', function()
            run(function()
                local s = loop.wrap(socket.tcp())
                assert.equal(1, s:bind('127.0.0.1', 0))
                assert.equal(1, s:listen())
                local peer = plain.connect(support.port(s))
                local accepted = assert(s:accept())
                talk(accepted, peer)
                accepted:close()
                peer:close()
                s:close()
            end)
        end)

        it('takes a connected one', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                assert.same(support.name(client:getpeername()),
                    support.name(s:getpeername()))
                talk(s, peer)
                s:close()
                assert.equal(-1, client:getfd())
                peer:close()
            end)
        end)

        it('takes an accepted one and makes it non-blocking', function()
            run(function()
                local client, accepted = plain.pair()
                local s = loop.wrap(accepted)
                talk(s, client)
                s:close()
                client:close()
            end)
        end)

        it('takes a listening one', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.wrap(listener)
                local accepted
                loop.newthread(function() accepted = s:accept() end)
                assert.is_nil(accepted)
                local peer = plain.connect(port)
                assert.is_true(support.eventually(function()
                    return accepted
                end))
                talk(accepted, peer)
                accepted:close()
                peer:close()
                s:close()
            end)
        end)

        it('takes a closed one, which is closed', function()
            run(function()
                local client, peer = plain.pair()
                client:close()
                local s = loop.wrap(client)
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                assert.same(pack(nil, 'closed', 0), pack(s:send('hello')))
                s:close()
                peer:close()
            end)
        end)

        it('takes the data it has read already', function()
            run(function()
                local client, peer = plain.pair()
                peer:send 'one\ntwo\nthree'
                assert.equal('one', client:receive())
                assert.is_true(client:dirty())
                local s = loop.wrap(client)
                assert.equal('two', s:receive())
                assert.equal('th', s:receive(2))
                peer:send ' and four\n'
                assert.equal('ree and four', s:receive())
                talk(s, peer)
                s:close()
                peer:close()
            end)
        end)

        it('takes the data it has read already and its end', function()
            run(function()
                local client, peer = plain.pair()
                peer:send 'one\ntwo\nthree'
                peer:close()
                assert.equal('one', client:receive())
                local s = loop.wrap(client)
                assert.equal('two\nthree', s:receive('*a'))
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                s:close()
            end)
        end)

        it('is dirty if the object is', function()
            local client, peer = plain.pair()
            peer:send 'one\ntwo\n'
            client:receive()
            local s = loop.wrap(client)
            assert.is_true(s:dirty())
            s:close()
            peer:close()
        end)

        it('works in a loop thread and outside', function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            run(function()
                talk(s, peer)
                local c, p = plain.pair()
                local t = loop.wrap(c)
                talk(t, p)
                t:close()
                p:close()
            end)
            s:close()
            peer:close()
        end)

        it('keeps the object alive', function()
            run(function()
                local s, peer = support.mixed()
                support.collect()
                talk(s, peer)
                s:close()
                peer:close()
            end)
        end)
    end)

    describe('of a descriptor', function()
        it('takes one that is connected', function()
            run(function()
                local fd, peer = bare_fd()
                local s = loop.wrap(fd)
                assert.equal('socketloop_socket', s.type)
                assert.equal(fd, s:getfd())
                assert.same(support.name(peer:getsockname()),
                    support.name(s:getpeername()))
                talk(s, peer)
                s:close()
                assert.equal('closed', select(2, peer:receive()))
                peer:close()
            end)
        end)

        it('takes the type tcp', function()
            run(function()
                local fd, peer = bare_fd()
                local s = loop.wrap(fd, 'tcp')
                talk(s, peer)
                s:close()
                peer:close()
            end)
        end)

        it('takes the type tcp6', function()
            if not support.has_ipv6() then pending 'no IPv6 here' return end
            run(function()
                local fd, peer = bare_fd '::1'
                local s = loop.wrap(fd, 'tcp6')
                assert.same(support.name(peer:getsockname()),
                    support.name(s:getpeername()))
                assert.equal('inet6', s:getfamily())
                talk(s, peer)
                s:close()
                peer:close()
            end)
        end)

        it('takes one that listens', function()
            run(function()
                local listener, port = plain.listen()
                local fd = listener:getfd()
                listener:setfd(-1)
                local s = loop.wrap(fd)
                local accepted
                loop.newthread(function() accepted = s:accept() end)
                assert.is_nil(accepted)
                local peer = plain.connect(port)
                assert.is_true(support.eventually(function()
                    return accepted
                end))
                talk(accepted, peer)
                accepted:close()
                peer:close()
                s:close()
            end)
        end)

        it('takes one that is bound', function()
            run(function()
                local object = assert(socket.tcp4())
                assert(object:bind('127.0.0.1', 0))
                local own = support.port(object)
                local fd = object:getfd()
                object:setfd(-1)
                local s = loop.wrap(fd)
                assert.equal(own, support.port(s))
                assert.equal(1, s:listen())
                local peer = plain.connect(own)
                local accepted = assert(s:accept())
                talk(accepted, peer)
                accepted:close()
                peer:close()
                s:close()
            end)
        end)

        it('makes a LuaSocket object on demand', function()
            run(function()
                local fd, peer = bare_fd()
                local s = loop.wrap(fd)
                local object = s:getsocket()
                assert.matches('tcp{client}', tostring(object), 1, true)
                assert.equal(fd, object:getfd())
                talk(s, peer)
                s:close()
                assert.equal(-1, object:getfd())
                peer:close()
            end)
        end)

        it('closes it when nobody needs it', function()
            local fd, peer = bare_fd()
            local s = loop.wrap(fd)
            assert.equal(fd, s:getfd())
            s = nil     -- luacheck: ignore
            support.collect()
            assert.equal('closed', select(2, peer:receive()))
            peer:close()
        end)

        it('raises for one that is not open', function()
            local fd, peer = bare_fd()
            local s = loop.wrap(fd)
            s:close()
            assert.is_false((pcall(loop.wrap, fd)))
            assert.is_false((pcall(loop.wrap, 1000000)))
            peer:close()
        end)

        it('raises for numbers that are none', function()
            for _, bad in ipairs {-1, -2, 1.5, 0/0, math.huge, -math.huge,
                    1e300, 2^31, 2^32, 2^53} do
                raises('bad argument', loop.wrap, bad)
            end
        end)

        it('raises for an unknown type', function()
            local fd, peer = bare_fd()
            for _, bad in ipairs {'tcp5', '', 'x', 'TCP'} do
                raises('bad argument', loop.wrap, fd, bad)
            end
            loop.wrap(fd):close()
            peer:close()
        end)
    end)

    describe('of a descriptor and its type', function()
        local has_unix, unix = pcall(require, 'socket.unix')

        -- What LuaSocket makes, as a bare descriptor; class of its asocket.
        local kinds = {
            {'tcp', 'tcp{master}', socket.tcp4, {'tcp'}},
            {'udp', 'udp{unconnected}', socket.udp4, {'udp'}},
        }
        if support.has_ipv6() then
            kinds[#kinds + 1] =
                {'tcp6', 'tcp{master}', socket.tcp6, {'tcp', 'tcp6'}}
            kinds[#kinds + 1] =
                {'udp6', 'udp{unconnected}', socket.udp6, {'udp', 'udp6'}}
        end
        if has_unix then
            kinds[#kinds + 1] =
                {'unix', 'unixstream{master}', unix.stream, {'unix'}}
            kinds[#kinds + 1] =
                {'unixdgram', 'unixdgram{unconnected}', unix.dgram, {'unix'}}
        end

        local function bare(make)
            local object = assert(make())
            local fd = object:getfd()
            object:setfd(-1)
            return fd
        end

        for _, kind in ipairs(kinds) do
            local name, class, make, types = support.unpack(kind)

            it('finds out that it is ' .. name, function()
                local fd = bare(make)
                local s = loop.wrap(fd)
                assert.equal(class, tostring(s):match '^[^:]*')
                assert.equal(fd, s:getfd())
                assert.equal(s, loop.wrap(fd))
                s:close()
            end)

            it('takes no other type for ' .. name, function()
                local fd, fits = bare(make), {}
                for _, fitting in ipairs(types) do fits[fitting] = true end
                for _, any in ipairs {'tcp', 'tcp6', 'udp', 'udp6', 'unix'} do
                    if not fits[any] then
                        local ok, err = pcall(loop.wrap, fd, any)
                        assert.is_false(ok, any)
                        assert.matches('bad argument #2', err, 1, true)
                        assert.matches('of another type', err, 1, true)
                    end
                end
                local s = loop.wrap(fd, types[1])
                for _, fitting in ipairs(types) do
                    assert.equal(s, loop.wrap(fd, fitting))
                end
                s:close()
            end)
        end

        it('finds out who is connected', function()
            local a, b = assert(socket.udp4()), assert(socket.udp4())
            assert(a:setsockname('127.0.0.1', 0))
            assert(b:setpeername(a:getsockname()))
            local fd = b:getfd()
            b:setfd(-1)
            local s = loop.wrap(fd)
            assert.matches('udp{connected}', tostring(s), 1, true)
            run(function() assert.equal(5, s:send 'hello') end)
            assert.equal('hello', a:receive())
            s:close()
            a:close()
        end)

        it('takes no descriptor that is none of these', function()
            local ok, err = pcall(loop.wrap, 0, 'tcp')    -- not a socket
            assert.is_false(ok)
            assert.matches('bad argument #1', err, 1, true)
        end)
    end)

    describe('of the same', function()
        it('object gives the same socket', function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            s.name = 'mine'
            assert.equal(s, loop.wrap(client))
            assert.equal('mine', loop.wrap(client).name)
            s:close()
            peer:close()
        end)

        it('loop socket gives the same socket', function()
            local s, peer = support.mixed()
            assert.equal(s, loop.wrap(s))
            local t = loop.tcp()
            assert.equal(t, loop.wrap(t))
            s:close()
            t:close()
            assert.equal(s, loop.wrap(s))
            peer:close()
        end)

        it('object made on demand gives its loop socket', function()
            run(function()
                local a, b = support.pair()
                assert.equal(a, loop.wrap(a:getsocket()))
                assert.equal(b, loop.wrap(b:getsocket()))
                a:close()
                b:close()
            end)
        end)

        it('fresh object gives the same socket', function()
            local object = socket.tcp()
            local s = loop.wrap(object)
            assert.equal(s, loop.wrap(object))
            s:close()
        end)

        it('descriptor gives the same socket', function()
            local fd, peer = bare_fd()
            local s = loop.wrap(fd)
            assert.equal(s, loop.wrap(fd))
            s:close()
            peer:close()
        end)
    end)

    describe('with bad arguments', function()
        it('raises', function()
            for _, bad in ipairs {true, 'x', '3', {}, print, io.stdout,
                    coroutine.create(function() end)} do
                raises('bad argument', loop.wrap, bad)
            end
            assert.is_false((pcall(loop.wrap)))
            assert.is_false((pcall(loop.wrap, nil)))
        end)

        it('names the function', function()
            local _, err = pcall(function() loop.wrap({}) end)
            assert.matches('wrap', err, 1, true)
        end)
    end)

    describe('of one that is closed behind our back', function()
        it('is closed', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                talk(s, peer)
                client:close()
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                assert.same(pack(nil, 'closed', 0), pack(s:send('hello')))
                assert.equal(1, s:close())
                peer:close()
            end)
        end)

        it('is closed when it was made on demand', function()
            run(function()
                local a, b = support.pair()
                local object = a:getsocket()
                object:close()
                assert.same(pack(nil, 'closed', ''), pack(a:receive()))
                assert.same(pack(nil, 'closed', 0), pack(a:send('hello')))
                assert.equal(1, a:close())
                b:close()
            end)
        end)

        it('is closed for who waits, at the latest with us', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                local result
                loop.newthread(function() result = pack(s:receive()) end)
                assert.is_nil(result)
                client:close()
                -- Some pollers notice, others only when we close it too.
                loop.sleep(0.005)
                s:close()
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack(nil, 'closed', ''), result)
                peer:close()
            end)
        end)

        it('never does I/O for who got the descriptor next', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                talk(s, peer)
                local fd = client:getfd()
                client:close()
                -- The lowest free number is taken again.
                local listener, port = plain.listen()
                local t = assert(loop.connect('127.0.0.1', port))
                local other = assert(listener:accept())
                assert.is_true(fd == t:getfd() or fd == listener:getfd() or
                    fd == other:getfd())
                assert.equal('closed', select(2, s:receive()))
                assert.equal('closed', select(2, s:send('stray\n')))
                s:close()
                talk(t, other)
                t:close()
                other:close()
                listener:close()
                peer:close()
            end)
        end)

        it('never does I/O for who got it outside the loop', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                talk(s, peer)
                local fd = client:getfd()
                client:close()
                local other, other_peer = plain.pair()
                assert.is_true(fd == other:getfd() or
                    fd == other_peer:getfd())
                other:send 'not yours\n'
                other_peer:send 'not yours\n'
                assert.same(pack(nil, 'closed', 0), pack(s:send('stray\n')))
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                s:close()
                assert.equal('not yours', other:receive())
                assert.equal('not yours', other_peer:receive())
                other:send 'fine\n'
                assert.equal('fine', other_peer:receive())
                other:close()
                other_peer:close()
                peer:close()
            end)
        end)

        it('never closes who got the descriptor next', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                client:close()
                local a, b = support.pair()
                s:close()
                s, client = nil, nil     -- luacheck: ignore
                support.collect()
                a:send 'alive\n'
                assert.equal('alive', b:receive())
                b:send 'too\n'
                assert.equal('too', a:receive())
                a:close()
                b:close()
                peer:close()
            end)
        end)

        it('wakes who waits when the descriptor is used again', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                local result
                loop.newthread(function() result = pack(s:receive()) end)
                assert.is_nil(result)
                local fd = client:getfd()
                client:close()
                local reused
                local sockets = {}
                for i = 1, 5 do
                    local t = loop.tcp('127.0.0.1', 0)
                    sockets[i] = t
                    if t:getfd() == fd then
                        reused = true
                        assert(t:listen())
                        local timeout = 0
                        t:settimeout(timeout)
                        t:accept()
                        break
                    end
                end
                assert.is_true(reused)
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack(nil, 'closed', ''), result)
                for _, t in ipairs(sockets) do t:close() end
                peer:close()
            end)
        end)
    end)

    it('lets many exchange at once', function()
        run(function()
            local count = 0
            for i = 1, 50 do
                local client, server = plain.pair()
                local a, b = loop.wrap(client), loop.wrap(server)
                loop.newthread(function()
                    local line = a:receive()
                    a:send(line .. ' answered\n')
                    a:close()
                end)
                loop.newthread(function()
                    b:send('question ' .. i .. '\n')
                    if b:receive() == 'question ' .. i .. ' answered' then
                        count = count + 1
                    end
                    b:close()
                end)
            end
            assert.is_true(support.eventually(function()
                return count == 50
            end))
        end)
    end)
end)
