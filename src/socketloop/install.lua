-- install: makes LuaSocket cooperative in loop threads.
--
-- What waits is replaced by a function that waits in the loop when it is
-- called in one of its threads, and elsewhere calls what it has replaced:
-- the methods of the classes of LuaSocket's and LuaSec's objects, and the
-- functions that wait by themselves (connect, select, sleep, dns).
--
-- socket.tcp and its kin stay as they are and give LuaSocket's objects, in
-- threads too. So it doesn't matter who made an object, when and where, and
-- with a function remembered from when; LuaSec, whose wrap takes the
-- descriptor of an object, and libraries that look into an object's metatable
-- find what they expect; and an object that came from a thread works in the
-- main program. What somebody remembered of what is replaced is replaced
-- there, too (replace.lua).
--
-- It is in effect for threads of those loops whose install was called, and
-- until each of these calls was undone.

local loops = require 'socketloop.loops'
local replace = require 'socketloop.replace'

local classes, functions    -- loaded with LuaSocket

local is_replaced = false   -- all that is to be replaced

local function load_all(tools)
    local ok, err = pcall(require, 'socket')
    if not ok then error('install needs LuaSocket: ' .. tostring(err), 0) end
    pcall(require, 'socket.unix')    -- so that its classes are there
    functions = require 'socketloop.functions'
    classes = require 'socketloop.classes'
    functions.ready = tools.ready
    classes.class, classes.originals = tools.class, tools.originals
end

-- map: what takes the place of what, everywhere but in that table of ours.
local function replace_everywhere(tools, map, of_methods, ours)
    for value, other in pairs(of_methods) do map[value] = other end
    replace(map, ours, tools)
end

-- If this fails, what is replaced does what it did before, and the next one
-- goes on.
local function put_in_place(tools)
    replace_everywhere(tools, functions.replace(), classes.replace())
    is_replaced = true
end

-- loop: the module's table; tools: what install.c offers for it. Returns a
-- function that undoes it.
return function(loop, tools)
    load_all(tools)
    local here = loops.add(loop, tools)
    if not is_replaced then
        local ok, err = pcall(put_in_place, tools)
        if not ok then
            loops.remove(here)
            error(err, 0)
        end
    end
    local is_undone = false
    return function()
        if is_undone then return end
        is_undone = true
        loops.remove(here)
        if loops.any() then return end
        is_replaced = false
        replace_everywhere(tools, functions.restore(), classes.restore())
    end
end
