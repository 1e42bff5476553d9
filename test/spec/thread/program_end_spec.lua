-- The end of a program while some of its threads wait.

local process = require 'process'
local support = require 'support'

local version, luajit = support.lua_version, support.luajit

describe('the end of the program', function()
    after_each(process.cleanup)

    local prelude = [[
        local loop = require 'socketloop'
        local function frozen() table.sort({1, 2}, function()
            loop.sleep(60)
        end) end
        local function nested() coroutine.wrap(function()
            loop.sleep(60)
        end)() end
        for i = 1, 20 do
            loop.newthread(frozen)
            loop.newthread(nested)
            loop.newthread(pcall, loop.sleep, 60)
            loop.newthread(loop.sleep, 60)
            loop.newthread(loop.suspend)
            loop.newthread(function()
                string.gsub('x', 'x', function() loop.suspend() end)
            end)
        end
        local server = loop.newserver('127.0.0.1', 0, function(client)
            string.gsub('x', 'x', function() client:receive() end)
        end)
        local _, port = server:getsockname()
        loop.newthread(function()
            local client = loop.connect('127.0.0.1', port)
            client:receive()
        end)
        for i = 1, 5 do loop.step(0) end
    ]]

    local function ends(status, body)
        local got, output = process.lua(prelude .. body)
        -- A leak checker does not see pointers in LuaJIT's heap, so it reports
        -- false leaks when the Lua state is not closed.
        if body:match 'os.exit%(3%)' and luajit and
           output:match 'LeakSanitizer: detected' then
            return
        end
        assert.equal(status, got, output)
    end

    it('is clean with threads waiting in all ways', function()
        ends(0, '')
    end)

    it('is clean after an error', function()
        ends(1, 'error "boom"')
    end)

    it('is clean after an error in a thread', function()
        ends(1, [[
            loop.newthread(function() loop.sleep(0) error 'boom' end)
            loop.start()
        ]])
    end)

    it('is clean when a finalizer steps the loop', function()
        local status, output = process.lua([[
            local loop = require 'socketloop'
            local class = {__gc = function() loop.step(0) loop.step(0) end}
            if newproxy then
                last = newproxy(true)
                getmetatable(last).__gc = class.__gc
            else
                last = setmetatable({}, class)
            end
        ]] .. prelude)
        assert.equal(0, status, output)
    end)

    it('is clean by os.exit', function()
        ends(3, 'os.exit(3)')
    end)

    it('is clean by os.exit in a thread', function()
        ends(3, [[
            loop.newthread(function() loop.sleep(0) os.exit(3) end)
            loop.start()
        ]])
    end)

    it('is clean by os.exit in a frozen thread', function()
        ends(3, [[
            loop.newthread(function()
                table.sort({1, 2}, function()
                    loop.sleep(0)
                    os.exit(3)
                end)
            end)
            loop.start()
        ]])
    end)

    if version >= 5.2 or luajit then
        it('is clean by os.exit that closes the state', function()
            ends(3, 'os.exit(3, true)')
        end)

        it('is clean when a thread closes the state', function()
            ends(3, [[
                loop.newthread(function() loop.sleep(0) os.exit(3, true) end)
                loop.start()
            ]])
        end)

        it('is clean when a frozen thread closes the state', function()
            ends(3, [[
                loop.newthread(function()
                    coroutine.wrap(function()
                        table.sort({1, 2}, function()
                            loop.sleep(0)
                            os.exit(3, true)
                        end)
                    end)()
                end)
                loop.start()
            ]])
        end)
    end

    it('is clean inside a step of the loop', function()
        ends(1, [[
            loop.newthread(function()
                loop.sleep(0)
                error(setmetatable({}, {__tostring = function()
                    return 'boom'
                end}))
            end)
            loop.start()
        ]])
    end)
end)
