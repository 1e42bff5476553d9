-- UDP sockets of the loop and their LuaSocket objects.

local loop = require 'socketloop'
local datagrams = require 'datagrams'
local process = require 'process'
local socket = require 'socket'
local support = require 'support'

local pack, run = support.pack, support.run
local close, makers, bound = support.close, datagrams.makers, datagrams.bound
local connected = datagrams.connected

describe('A UDP socket in the loop', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    local make = makers['loop.udp']

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

    it('follows changes of its object', function()
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
            -- The socket is still the object's.
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
end)
