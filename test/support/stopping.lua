-- Helpers for specs about hooks and finalizers: scripts in which threads stop
-- in all ways while others are in a hook or a finalizer.

local process = require 'process'

local stopping = {}

local prelude = [[
    local loop = require 'socketloop'
    local coro = require 'coro'
    local unpack = table.unpack or unpack
    if jit then jit.off() end

    -- Runs the loop until nothing waits, for at most 20 seconds.
    local function finish()
        local deadline = loop.now() + 20
        while loop.step(1) do assert(loop.now() < deadline, 'it hangs') end
    end

    -- Executes instructions, calls and lines, for which hooks are called.
    local function work()
        local n = 0
        for i = 1, 200 do n = n + #tostring(i) end
        return n
    end

    -- Whether a hook is called that the main program sets.
    local function hooks_work()
        local called = 0
        debug.sethook(function() called = called + 1 end, '', 10)
        work()
        debug.sethook()
        return called > 10
    end

    -- Starts threads that wait in all ways. Called before and after the tested
    -- code.
    local turns, started = 0, 0
    local waits = {
        function() loop.sleep(0.001) end,
        function() pcall(loop.sleep, 0.001) end,
        function()
            table.sort({1, 2}, function() loop.sleep(0.001) end)
        end,
        function()
            coroutine.wrap(function() loop.sleep(0.001) end)()
        end,
        function() coro.wrap(function() loop.sleep(0.001) end)() end,
        function()
            local object = setmetatable({}, {__index = function()
                loop.sleep(0.001)
                return 1
            end})
            assert(object.x == 1)
        end,
    }
    local function start_others()
        for _, wait in ipairs(waits) do
            started = started + 1
            loop.newthread(function()
                for _ = 1, 3 do wait() end
                turns = turns + 1
            end)
        end
    end

    -- debug.sethook for the calling thread only; f is called once.
    local function hook_once(f, mask, count)
        local me, done = loop.current()
        debug.sethook(function()
            if loop.current() ~= me or done then return end
            done = true
            f()
        end, mask, count)
    end
]]

-- Returns the output of a script.
function stopping.script(code)
    local status, output = process.lua(prelude .. code)
    assert(status == 0, output)
    return output
end

return stopping
