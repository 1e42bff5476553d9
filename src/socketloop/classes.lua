-- The classes of LuaSocket's and LuaSec's objects, whose methods are replaced.
-- Their tables of methods are those of the objects' metatables, so this
-- reaches all objects, whenever they were made.

local loops = require 'socketloop.loops'
local methods = require 'socketloop.methods'
local own = require 'socketloop.own'

-- Set by install: class(name) and originals(table), of install.c.
local classes = {}

local replaced = {}     -- name -> {name, table, own =, put =, is_done =}: its
                        -- methods as they were, and those of ours

-- What took a method's place -> that method. C has it, too: it calls only
-- LuaSocket's own.
local originals = {}

-------------------------------------------------------------------------------
-- What takes the place of a method

-- Results of a call in a thread, in which install may have been undone.
local function results(self, ...)
    if not loops.any() then methods.leave(self) end
    return ...
end

local function in_threads(class, name, replacement)
    local original = class.own[name]
    return function(self, ...)
        local here = loops.here()
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

-- By this LuaSec takes the descriptor of an object; the first time it does
-- so, its class may be new.
local function setfd(class, self, ...)
    classes.replace()
    return own.method('setfd', class.own.setfd, self, ...)
end

-------------------------------------------------------------------------------
-- Putting it there

local function put(class, name, replacement, make)
    if not replacement then return end
    local f = class.put[name] or make(class, name, replacement)
    originals[f] = class.own[name]
    class.put[name] = f
    class.table[name] = f
end

local function new_class(name, table_)
    local class = {name = name, table = table_, own = {}, put = {}}
    for key, value in pairs(table_) do class.own[key] = value end
    return class
end

-- May fail half-way, and then be called again.
local function replace_class(name, table_)
    local class = replaced[name] or new_class(name, table_)
    replaced[name] = class
    for key in pairs(class.own) do
        put(class, key, methods.in_threads[name][key], in_threads)
        put(class, key, methods.everywhere[key], everywhere)
    end
    if class.own.setfd then put(class, 'setfd', setfd, everywhere) end
    class.is_done = true
end

-- Replaces the methods of all classes that exist by now and that it has not
-- replaced before. What took the place of which; and a table that is not to be
-- changed, though it is in the registry.
function classes.replace()
    for name in pairs(methods.in_threads) do
        local is_done = replaced[name] and replaced[name].is_done
        local table_ = not is_done and classes.class(name)
        if table_ then replace_class(name, table_) end
    end
    classes.originals(originals)
    local by_original = {}
    for f, original in pairs(originals) do by_original[original] = f end
    return by_original, originals
end

-- Puts back what was there; not where somebody else has replaced ours. That
-- goes on to work, and does what the original does. The reverse table.
function classes.restore()
    methods.leave_all()
    for name, class in pairs(replaced) do
        for key, f in pairs(class.put) do
            if class.table[key] == f then class.table[key] = class.own[key] end
        end
        replaced[name] = nil
    end
    classes.originals(nil)
    local by_replacement = originals
    originals = {}
    return by_replacement, originals
end

return classes
