-- The module: how it is loaded, and its fields.

local loop = require 'socketloop'
local process = require 'process'

describe('the module', function()
    after_each(process.cleanup)

    local function script(body)
        local status, output = process.lua(body)
        assert.equal(0, status, output)
        return output
    end

    it('can be loaded from a coroutine that is garbage later', function()
        assert.equal('woken\n', script [[
            local loop
            coroutine.wrap(function() loop = require 'socketloop' end)()
            for i = 1, 3 do collectgarbage() end
            loop.newthread(function()
                loop.sleep(0)
                table.sort({1, 2}, function() loop.sleep(0) end)
                collectgarbage()
                print 'woken'
            end)
            loop.start()
        ]])
    end)

    it('can be loaded from a loop thread of another loop', function()
        assert.equal('inner\nouter\n', script [[
            local outer = require 'socketloop'
            package.loaded.socketloop = nil
            local inner
            outer.newthread(function()
                inner = require 'socketloop'
                package.loaded.socketloop = nil
                outer.sleep(0)
            end)
            outer.start()
            assert(inner.sleep)
            inner.newthread(function()
                inner.sleep(0)
                print 'inner'
            end)
            inner.start()
            outer.newthread(function()
                outer.sleep(0)
                print 'outer'
            end)
            outer.start()
        ]])
    end)

    it('gives an independent loop when it is loaded once more', function()
        assert.equal('false\ntrue\n', script [[
            local one = require 'socketloop'
            package.loaded.socketloop = nil
            local two = require 'socketloop'
            if one == two then print 'false\ntrue' return end
            two.newthread(function()
                table.sort({1, 2}, function() two.sleep(0) end)
            end)
            print(one.step(0))
            print(two.step(0))
            two.start()
        ]])
    end)

    it('does not need LuaSocket where its objects are not', function()
        script [[
            package.preload.socket = function() error 'no LuaSocket here' end
            package.preload['socket.core'] = package.preload.socket
            local loop = require 'socketloop'
            local woken
            loop.newthread(function()
                loop.sleep(0)
                woken = true
            end)
            loop.start()
            assert(woken)
        ]]
    end)

    it('has the functions the manual lists', function()
        for _, name in ipairs {'wrap', 'tcp', 'connect', 'newthread',
                'current', 'suspend', 'resume', 'newserver', 'start', 'stop',
                'step', 'sleep', 'now'} do
            assert.equal('function', type(loop[name]), name)
        end
        assert.is_nil(loop.onerror)
    end)

    it('says which version it is', function()
        assert.matches('^%d+%.%d+%.%d+$', loop._VERSION)
    end)

    it('makes no globals', function()
        assert.equal('', script [[
            local before = {}
            for k in pairs(_G) do before[k] = true end
            local loop = require 'socketloop'
            loop.newthread(loop.sleep, 0)
            loop.start()
            for k in pairs(_G) do
                if not before[k] then print(k) end
            end
        ]])
    end)
end)
