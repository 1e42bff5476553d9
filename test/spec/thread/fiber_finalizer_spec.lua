-- Waits inside finalizers and debug hooks.

local process = require 'process'
local support = require 'support'

local luajit = support.luajit

-- Places where Lua calls a function at a time of its own choice.
describe('a wait inside', function()
    after_each(process.cleanup)

    -- `others` are threads that run meanwhile and must not lose anything.
    local prelude = [[
        local loop = require 'socketloop'
        local function finalizable(f)
            if not newproxy then return setmetatable({}, {__gc = f}) end
            local proxy = newproxy(true)
            getmetatable(proxy).__gc = f
            return proxy
        end
        local function collect()
            collectgarbage()
            collectgarbage()
        end
        local turns = 0
        local function others()
            for i = 1, 3 do
                loop.newthread(function()
                    for j = 1, 5 do
                        loop.sleep(0.001)
                        turns = turns + 1
                    end
                end)
                loop.newthread(function()
                    for j = 1, 5 do
                        table.sort({1, 2}, function() loop.sleep(0) end)
                        turns = turns + 1
                    end
                end)
            end
        end
    ]]

    local function script(body)
        local status, output = process.lua(prelude .. body)
        assert.equal(0, status, output)
        return output
    end

    it('a finalizer disturbs no other thread', function()
        local output = script [[
            local finalized = 0
            for i = 1, 3 do
                loop.newthread(function()
                    loop.sleep(0)
                    finalizable(function()
                        local ok = pcall(loop.sleep, 0.002)
                        if ok then finalized = finalized + 1 end
                    end)
                    collect()
                end)
            end
            others()
            loop.start()
            io.write(finalized, ' finalized, ', turns, ' turns')
        ]]
        assert.matches(' 30 turns$', output)
        -- LuaJIT may refuse the wait.
        if not luajit then assert.matches('^3 finalized', output) end
    end)

    it('a thread started by a finalizer disturbs no other', function()
        local output = script [[
            finalizable(function()
                pcall(loop.newthread, function()
                    loop.sleep(0.001)
                    io.write 'woken, '
                end)
            end)
            others()
            collect()
            loop.start()
            io.write(turns, ' turns')
        ]]
        assert.matches('30 turns$', output)
        if not luajit then assert.matches('^woken', output) end
    end)

    it('a finalizer leaves the socket as it was', function()
        local output = script [[
            local unix = require 'socket.unix'
            local path = os.tmpname()
            os.remove(path)
            local receiver = unix.dgram()
            assert(receiver:bind(path))
            receiver:settimeout(0)
            local s = loop.wrap(unix.dgram())
            loop.newthread(function()
                s:settimeout(0)
                while s:sendto('x', path) do end
                s:settimeout(-1)
                finalizable(function() pcall(s.sendto, s, 'y', path) end)
                loop.newthread(function()
                    for i = 1, 100 do
                        loop.sleep(0.01)
                        while receiver:receive() do end
                    end
                end)
                collect()
                s:connect(path)
                s:settimeout(0)
                while s:send 'x' do end
                s:settimeout(10)
                io.write(tostring(s:send 'x'))
                loop.stop()
            end)
            loop.start()
            os.remove(path)
        ]]
        assert.equal('1', (output:gsub('%.0$', '')))
    end)

    it('a finalizer that the main program runs is refused', function()
        assert.matches('^false', script [[
            finalizable(function() print(pcall(loop.sleep, 0)) end)
            collect()
        ]])
    end)

    it('a debug hook disturbs no other thread', function()
        assert.equal('sorted, 30 turns', script [[
            if jit then jit.off() end
            local hooks = 0
            loop.newthread(function()
                debug.sethook(function()
                    hooks = hooks + 1
                    if hooks % 10 == 0 then pcall(loop.sleep, 0) end
                end, '', 100)
                local list = {}
                for i = 1, 1000 do list[i] = i * 7919 % 1009 end
                table.sort(list, function(a, b) return a < b end)
                debug.sethook()
                for i = 2, 1000 do assert(list[i - 1] <= list[i]) end
                io.write 'sorted, '
            end)
            others()
            loop.start()
            assert(hooks > 10)
            io.write(turns, ' turns')
        ]])
    end)
end)
