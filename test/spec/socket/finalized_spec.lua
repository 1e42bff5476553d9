-- Sockets after their finalizer has run.

local loop = require 'socketloop'
local process = require 'process'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack

describe('Garbage', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    describe('once it was finalized', function()
        local function finalizable(f)
            if not newproxy then return setmetatable({}, {__gc = f}) end
            local proxy = newproxy(true)    -- luacheck: ignore
            getmetatable(proxy).__gc = f
            return proxy
        end

        -- Of objects that are collected together, those made earlier are
        -- finalized later.
        local function afterwards(make, use)
            local tried, ok, err
            local function drop()
                local s
                finalizable(function()
                    tried, ok, err = true, pcall(use, s)
                end)
                s = make()
            end
            collectgarbage 'stop'
            drop()
            support.collect()
            collectgarbage 'restart'
            assert.is_true(tried)
            if not ok then error(err, 0) end
        end

        local function closed(...)
            assert.same({n = 2, nil, 'closed'}, pack(...))
        end

        for name, make in pairs {
            tcp = loop.tcp,
            udp = loop.udp,
            unix = loop.unix,
            ['unix datagram'] = function()
                return loop.wrap(require 'socket.unix'.dgram())
            end,
            listening = function()
                local s = loop.tcp('127.0.0.1', 0)
                assert(s:listen())
                return s
            end,
            wrapped = function() return loop.wrap(assert(socket.tcp())) end,
            asked = function()
                local s = loop.tcp()
                s:getsocket()
                return s
            end,
        } do
            it(name .. ' is closed to later finalizers', function()
                afterwards(make, function(s)
                    closed(s:settimeout(1))
                    closed(s:getsocket())
                    closed(s:send('x'))
                    closed(s:receive())
                    assert.is_nil(s.socket)
                    assert.is_nil(s.connect and s:connect('127.0.0.1', 9))
                    assert.equal('socketloop_socket', s.type)
                    assert.equal(s, loop.wrap(s))
                    tostring(s)
                    assert.equal(1, s:close())
                    assert.equal(1, s:close())
                end)
            end)
        end

        it('it keeps its fields', function()
            afterwards(function()
                local s = loop.tcp()
                s.field = 1
                return s
            end, function(s)
                assert.equal(1, s.field)
                s.field, s.other = nil, 2
                assert.is_nil(s.field)
                assert.equal(2, s.other)
                closed(s:receive())
            end)
            afterwards(loop.tcp, function(s)
                s.field = 1
                assert.equal(1, s.field)
                closed(s:receive())
            end)
        end)

        it('methods from before raise, but close', function()
            local s = loop.tcp()
            local send, close = s.send, s.close
            s:close()
            afterwards(loop.tcp, function(collected)
                assert.has_error(function() send(collected, 'x') end,
                                 'socketloop: the socket was collected')
                assert.equal(1, close(collected))
            end)
        end)
    end)
end)
