-- install: makes LuaSocket cooperative in loop threads.
--
-- The methods of LuaSocket's and LuaSec's objects that wait, and the functions
-- that wait (connect, select, sleep, dns), are replaced. A replacement waits in
-- the loop when it is called in one of the loop's threads. Elsewhere it calls
-- the original function.
--
-- socket.tcp and similar functions are not replaced and return LuaSocket's
-- objects, in threads too. So the place and time at which an object was made do
-- not matter; LuaSec, whose wrap takes the descriptor of an object, and
-- libraries that inspect an object's metatable find what they expect; and an
-- object made in a thread works in the main program. References that the
-- program keeps to replaced functions are replaced, too (replace.c).
--
-- The replacements are in effect for threads of the loops whose install was
-- called, until each of these calls is undone.

local loops = require 'socketloop.loops'
local own = require 'socketloop.own'

local require = require    -- the global one may be replaced later

local classes, functions    -- loaded with LuaSocket

local is_replaced = false   -- the replacements are in place
local is_changing = false   -- adjust is running

-- Called after a C module was loaded: it may have added classes, or be another
-- copy of LuaSocket.
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

-- Discards compiled code, in which functions are constants. False in a
-- finalizer, where LuaJIT refuses that.
local function flush()
    local jit = package.loaded.jit
    return not jit or pcall(jit.flush)
end

-- Replaces each key of `map` by its value wherever the program refers to it,
-- except in the module's table `ours`.
local function replace_everywhere(tools, map, of_methods, ours)
    for value, other in pairs(of_methods) do map[value] = other end
    tools.replace(map, ours, flush)
    flush()
end

-- If this fails half-way, the functions replaced so far act as the original
-- ones, and the next call continues.
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

-- Puts the replacements in place if install is in effect for any loop, else
-- puts the originals back. A finalizer may call or undo install meanwhile: the
-- running call handles that, too.
local function adjust(tools)
    if is_changing then return end
    is_changing = true
    local ok, err = pcall(change, tools)
    is_changing = false
    if not ok then error(err, 0) end
end

-- install(loop, tools) -> function that undoes the call. `loop` is the module's
-- table, `tools` the C functions of install.c for this loop.
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
