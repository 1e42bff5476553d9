-- Replaces values wherever the program holds them.
--
-- Modules keep LuaSocket's functions in locals of their own (`local sleep =
-- socket.sleep`), and methods of objects, and may have done so before install
-- was called. So we go through everything that can be reached from the
-- registry, the globals, threads and the stacks of coroutines, as a collector
-- does, and in about the same time. Where functions can't be told from ours
-- (own.lua) only tables are reached.

local own = require 'socketloop.own'

local debug = debug or {}

local function nothing() end

local getmetatable = debug.getmetatable or getmetatable
local getuservalue = debug.getuservalue or nothing
local getfenv = debug.getfenv or nothing
local getinfo = debug.getinfo or nothing
local getlocal, setlocal = debug.getlocal, debug.setlocal

local load = load

local MANY = 255    -- locals or upvalues of one function; Lua has no more

local has_parts = {
    ['table'] = true, ['function'] = true, userdata = true, thread = true,
}

-- A walk is a stack of the values that are still to be visited; `seen` has
-- all that ever were in it, `map` what takes the place of what.

-- What takes the place of the value, or nil; then it is to be visited.
local function look(walk, value)
    local other = walk.map[value]
    if other == nil and has_parts[type(value)] and not walk.seen[value] then
        walk.seen[value] = true
        walk[#walk + 1] = value
    end
    return other
end

local function visit_table(walk, t)
    look(walk, getmetatable(t))
    for key, value in next, t do
        look(walk, key)
        if value ~= nil then
            local other = look(walk, value)
            if other ~= nil then rawset(t, key, other) end
        end
    end
end

local function is_ours(info)
    return not info or own.is_ours(info.source)
end

-- Our own functions know what is replaced, and must go on to do so.
local function visit_function(walk, f)
    if is_ours(getinfo(f, 'S')) then return end
    look(walk, getfenv(f))
    for i = 1, MANY do
        local is_there, value = walk.upvalue(f, i)
        if not is_there then return end
        local other = value ~= nil and look(walk, value)
        if other then walk.upvalue(f, i, other) end
    end
end

local function visit_userdata(walk, u)
    look(walk, getmetatable(u))
    look(walk, getuservalue(u))
    look(walk, getfenv(u))
end

-- The locals of one level of a coroutine's stack.
local function visit_level(walk, thread, level, count)
    for i = 1, count do
        local name, value = getlocal(thread, level, i)
        if not name then return end
        local other = value ~= nil and look(walk, value)
        if other and not name:find '^%(' then
            setlocal(thread, level, i, other)
        end
    end
end

local function visit_thread(walk, thread)
    look(walk, getfenv(thread))
    local level = 0
    while true do
        local info = getinfo(thread, level, 'fS')
        if not info then return end
        if not is_ours(info) then
            look(walk, info.func)
            -- Above its four arguments `load` has the function that it makes,
            -- where asking for an upvalue crashes.
            visit_level(walk, thread, level, info.func == load and 4 or MANY)
        end
        level = level + 1
    end
end

local visit = {
    ['table'] = visit_table, ['function'] = visit_function,
    userdata = visit_userdata, thread = visit_thread,
}

local function go(walk)
    while walk[1] do
        local value = table.remove(walk)
        visit[type(value)](walk, value)
    end
end

-- Puts map[value] in the place of every value that is a key of map, but not in
-- the table `ours`. tools are install.c's.
return function(map, ours, tools)
    local walk = {seen = {}, map = map, upvalue = tools.upvalue}
    walk.seen[map], walk.seen[ours] = true, true
    look(walk, _G)
    look(walk, package.loaded)
    look(walk, getmetatable '')
    if debug.getregistry then look(walk, debug.getregistry()) end
    if getlocal then look(walk, tools.thread()) end
    look(walk, tools.anchored())
    -- In a coroutine, so that the one that runs is one among others.
    coroutine.wrap(go)(walk)
    -- Compiled code has taken such values for constants.
    if jit then jit.flush() end     -- luacheck: ignore
end
