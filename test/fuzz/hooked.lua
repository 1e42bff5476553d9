-- Random programs as in resumed.lua, parts of which run in finalizers and debug
-- hooks. Afterwards the collector must work and hooks must be called, too.
-- Started like resumed.lua:
--
--     LD_PRELOAD=.../model.so lua hooked.lua SEED PROGRAMS SECONDS

if os.getenv 'SOCKETLOOP_TEST_GC' then require 'gc' end

-- Compiled code calls no hooks.
local jit = rawget(_G, 'jit')
if jit then jit.off() end

local loop = require 'socketloop'
local programs = require 'fuzz.programs'
local values = require 'fuzz.values'

local chance, pick, random = values.chance, values.pick, values.random
local acts, some, try = programs.acts, programs.some, programs.try

-- The number of this program, and how many of its hooks and finalizers may
-- still act. The limit makes the program end.
local current, left = 0, 0

-- Returns a function that runs part of this program, and does nothing in later
-- programs. Outside of the main program it may fail.
local function interruption()
    local program, f = current, some(3)
    return function()
        if program ~= current or left == 0 then return end
        left = left - 1
        programs.interrupt(function()
            if programs.at_main() or chance(80) then
                try('interruption', f)
            else
                f()
            end
        end)
    end
end

-- Makes garbage that has a finalizer.
local function finalize(f)
    local proxy = rawget(_G, 'newproxy')
    if proxy then
        getmetatable(proxy(true)).__gc = f
    else
        setmetatable({}, {__gc = f})
    end
end

local masks = {'c', 'r', 'l', 'cr', 'crl', ''}

local function hook_arguments()
    local mask = pick(masks)
    return interruption(), mask, (mask == '' or chance(20)) and random(20) or 0
end

local more = {
    function() finalize(interruption()) end,
    function()
        finalize(interruption())
        acts[programs.collect]()
    end,
    function() debug.sethook(hook_arguments()) end,
    function() debug.sethook(hook_arguments()) end,
    function() debug.sethook(programs.victim(), hook_arguments()) end,
    function() debug.sethook() end,
}
for _ = 1, 2 do
    for _, act in ipairs(more) do acts[#acts + 1] = act end
end

-- The debug library of plain 5.1 has the hook functions of all coroutines in a
-- table of the registry, by addresses. It keeps those of collected coroutines,
-- so each collection takes longer than the one before. nil on other Luas.
local function find_hook_table()
    local function marker() end
    debug.sethook(marker, 'c')
    local found
    for key, value in pairs(debug.getregistry()) do
        local is_candidate = type(key) == 'userdata' and type(value) == 'table'
        for _, f in pairs(is_candidate and value or {}) do
            if f == marker then found = value end
        end
    end
    debug.sethook()
    return found
end

local hook_table = _VERSION == 'Lua 5.1' and not jit and find_hook_table()

local function unset_hooks()
    debug.sethook()
    for address in pairs(hook_table or {}) do hook_table[address] = nil end
end

-------------------------------------------------------------------------------
-- Afterwards

local function check_hook()
    local calls = 0
    debug.sethook(function() calls = calls + 1 end, 'c')
    tostring(1)
    debug.sethook()
    assert(calls > 0, 'hooks are not called any more')
end

-- On 5.4 collectgarbage refuses while the collector is off.
local function kilobytes()
    return assert(collectgarbage 'count', 'the collector is off')
end

-- Allocates until garbage is collected. An explicit collection could turn the
-- collector on.
local function check_collector()
    local garbage = setmetatable({{}}, {__mode = 'v'})
    local limit = 2 * kilobytes() + 20000
    while garbage[1] do
        assert(kilobytes() < limit, 'the collector is off')
        for _ = 1, 1000 do local _ = {} end
    end
end

programs.run(function()
    current, left = current + 1, 20
    unset_hooks()
end, function()
    check_hook()
    loop.newthread(check_hook)
    check_collector()
end)
