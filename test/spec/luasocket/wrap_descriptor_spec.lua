-- wrap: descriptors.

local loop = require 'socketloop'
local socket = require 'socket'
local scenes = require 'scenes'
local support = require 'support'

local run, plain, raises = support.run, support.plain, support.raises
local talk, bare_fd = scenes.dialogue, scenes.bare_fd

describe('wrap', function()
    support.hooks(before_each, after_each)

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

        it('closes it when the socket is collected', function()
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

        -- LuaSocket's objects, wrapped as bare descriptors; the class of the
        -- result.
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

        it('finds the peer', function()
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
end)
