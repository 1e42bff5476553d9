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
-- there, too (replace.c).
--
-- It is in effect for threads of those loops whose install was called, and
-- until each of these calls was undone.

local loops = require 'socketloop.loops'
local own = require 'socketloop.own'

local require = require    -- later the global one may be another

local classes, functions    -- loaded with LuaSocket

local is_replaced = false   -- all that is to be replaced
local is_changing = false   -- adjust is running

-- A module of C was loaded, which may have brought classes, or be LuaSocket
-- once more.
local function loaded(name, module)
    if not is_replaced then return end
    if name == 'socket.core' then functions.replace_in(module) end
    classes.replace()
end

local function load_all(tools)
    local ok, err = pcall(require, 'socket')
    if not ok then error('install needs LuaSocket: ' .. tostring(err), 0) end
    require 'socketloop.genuine'.load(tools)
    functions = require 'socketloop.functions'
    classes = require 'socketloop.classes'
    functions.ready, functions.searcher = tools.ready, tools.searcher
    functions.method, functions.loaded = classes.method, loaded
    classes.class, classes.originals = tools.class, tools.originals
end

-- Compiled code has functions for constants. LuaJIT refuses to drop it in a
-- finalizer.
local function flush()
    local jit = package.loaded.jit
    return not jit or pcall(jit.flush)
end

-- map: what takes the place of what, everywhere but in that table of ours.
local function replace_everywhere(tools, map, of_methods, ours)
    for value, other in pairs(of_methods) do map[value] = other end
    tools.replace(map, ours, flush)
    flush()
end

-- If this fails, what is replaced does what it did before, and the next one
-- goes on.
local function put_in_place(tools)
    if not classes then load_all(tools) end
    replace_everywhere(tools, functions.replace(), classes.replace())
    is_replaced = true
end

local function put_back(tools)
    is_replaced = false
    replace_everywhere(tools, functions.restore(), classes.restore())
end

local function change(tools)
    while loops.used ~= is_replaced do
        if is_replaced then put_back(tools) else put_in_place(tools) end
    end
end

-- Puts in place what is to be replaced, or back, by whether install is in
-- effect for a loop. A finalizer may call install meanwhile, or undo it: the
-- call that is running does that, too.
local function adjust(tools)
    if is_changing then return end
    is_changing = true
    local ok, err = pcall(change, tools)
    is_changing = false
    if not ok then error(err, 0) end
end

-- loop: the module's table; tools: what install.c offers for it. Returns a
-- function that undoes it.
return function(loop, tools)
    if not flush() then
        own.misuse('install: cannot be called in a finalizer')
    end
    local here = loops.add(loop, tools)
    local ok, err = pcall(adjust, tools)
    if not ok then
        loops.remove(here)
        error(err, 0)
    end
    local is_undone = false
    return function()
        if is_undone then return end
        is_undone = true
        loops.remove(here)
        adjust(tools)
    end
end
