-- The classes of LuaSocket's and LuaSec's objects, whose methods are replaced.
-- Their tables of methods are those of the objects' metatables, so this
-- reaches all objects, whenever they were made.

local genuine = require 'socketloop.genuine'
local loops = require 'socketloop.loops'
local methods = require 'socketloop.methods'
local own = require 'socketloop.own'

-- Set by install: class(name) and originals(table), of install.c.
local classes = {}

-- Table of methods -> {name, table, own =, put =, is_tls =, is_done =}:
-- LuaSocket's own methods, and those of ours.
local replaced = {}

-- What took a method's place -> that method. C has it, too: it calls only
-- LuaSocket's own.
local originals = {}

-------------------------------------------------------------------------------
-- What takes the place of a method

-- Results of a call in a thread, in which install may have been undone.
local function results(self, ...)
    if not loops.used then methods.leave(self) end
    return ...
end

local function in_threads(class, name, replacement)
    local original = class.own[name]
    local find_loop = loops.here
    return function(self, ...)
        local here = find_loop()
        if here then
            return results(self, replacement(here, class, self, ...))
        end
        methods.leave(self)
        return own.method(name, original, self, ...)
    end
end

local function everywhere(class, _, replacement)
    return function(self, ...)
        return replacement(class, self, ...)
    end
end

-------------------------------------------------------------------------------
-- Putting it there

local function put(class, name, replacement, make)
    local original = class.own[name]
    if not (replacement and original) then return end
    local f = class.put[name] or make(class, name, replacement)
    originals[f] = original
    class.put[name] = f
    -- What the program has put there instead goes on to call ours.
    if class.table[name] == original then class.table[name] = f end
end

local function new_class(name, table_)
    local class = {
        name = name, table = table_, own = {}, put = {},
        is_tls = name == 'SSL:Connection',
    }
    for key, value in pairs(table_) do
        class.own[key] = genuine.of(name, key, value)
    end
    return class
end

-- May fail half-way, and then be called again.
local function replace_class(name, table_)
    local class = replaced[table_] or new_class(name, table_)
    replaced[table_] = class
    for key in pairs(class.own) do
        put(class, key, methods.in_threads[name][key], in_threads)
        put(class, key, methods.everywhere[key], everywhere)
    end
    class.is_done = true
end

-- Replaces the methods of all classes that exist by now and that it has not
-- replaced before; a class whose module was loaded again is another one.
-- Returns two tables: original -> replacement, and its inverse, which is in
-- the registry, and not to be changed.
function classes.replace()
    for name in pairs(methods.in_threads) do
        local table_ = classes.class(name)
        local class = replaced[table_]
        if table_ and not (class and class.is_done) then
            replace_class(name, table_)
        end
    end
    classes.originals(originals)
    local by_original = {}
    for f, original in pairs(originals) do by_original[original] = f end
    return by_original, originals
end

-- The method that took the place of LuaSocket's.
function classes.method(name, key)
    return replaced[classes.class(name)].put[key]
end

-- Puts back what was there, not where somebody else has replaced ours. That
-- goes on to work, and does what the original does. Returns the inverse of
-- what replace does, and a table that is not to be changed.
function classes.restore()
    methods.leave_all()
    for table_, class in pairs(replaced) do
        for key, f in pairs(class.put) do
            if table_[key] == f then table_[key] = class.own[key] end
        end
        replaced[table_] = nil
    end
    classes.originals(nil)
    local by_replacement = originals
    originals = {}
    return by_replacement, originals
end

return classes
