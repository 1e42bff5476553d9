-- Datagram objects of LuaSocket in threads.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local run, track = support.run, support.track

describe('a LuaSocket datagram in a thread', function()
    support.hooks_installed(before_each, after_each)

    it('is waited for', function()
        run(function()
            local here, there = track(socket.udp4()), track(socket.udp4())
            assert(here:setsockname('127.0.0.1', 0))
            assert(there:setsockname('127.0.0.1', 0))
            local _, port = there:getsockname()
            assert(here:setpeername('127.0.0.1', port))
            loop.newthread(function()
                loop.sleep(0.002)
                assert(here:send 'one')
                loop.sleep(0.002)
                assert(here:send 'two')
            end)
            assert.same({'one', n = 1},
                        {n = 1, (there:receive())})
            local data, ip, from = there:receivefrom()
            assert.equal('two', data)
            assert.equal('127.0.0.1', ip)
            assert.equal(support.port(here), tonumber(from))
            loop.newthread(function()
                loop.sleep(0.002)
                assert(there:sendto('three', ip, from))
            end)
            assert.equal('three', here:receive())
            here:settimeout(0.01)
            assert.same({nil, 'timeout'}, {here:receive()})
            here:close()
            there:close()
        end)
    end)

    it('takes a name', function()
        if not support.knows_localhost(pending) then return end
        run(function()
            local here, there = track(socket.udp4()), track(socket.udp4())
            assert(there:setsockname('localhost', 0))
            assert(here:setpeername('localhost', support.port(there)))
            assert(here:send 'one')
            assert.equal('one', there:receive())
            here:close()
            there:close()
        end)
    end)

    it('may be empty', function()
        run(function()
            local here, there = track(socket.udp4()), track(socket.udp4())
            assert(there:setsockname('127.0.0.1', 0))
            assert(here:setpeername('127.0.0.1', support.port(there)))
            loop.newthread(function()
                loop.sleep(0.002)
                here:send ''
            end)
            assert.equal('', there:receive())
            here:close()
            there:close()
        end)
    end)
end)
