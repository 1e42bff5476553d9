-- Replaces the methods of LuaSocket's and LuaSec's classes. All objects of a
-- class share its table of methods through their metatable, so the replacement
-- reaches every object, whenever it was made.

local genuine = require 'socketloop.genuine'
local loops = require 'socketloop.loops'
local methods = require 'socketloop.methods'
local own = require 'socketloop.own'

-- Set by install.lua: the C functions class(name) and originals(table).
local classes = {}

-- Table of methods -> {name, table, own =, put =, is_tls =, is_visible =,
-- is_done =}, where `own` has LuaSocket's methods and `put` their replacements.
-- is_visible: one can look at bytes before the object receives them.
local replaced = {}

-- Replacement -> original method. C also uses this table, to call only
-- LuaSocket's own methods.
local originals = {}

-------------------------------------------------------------------------------
-- Replacements of methods

-- Passes on the results of a call in a thread. install may have been undone
-- during the call.
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
-- Putting them in place

local function put(class, name, replacement, make)
    local original = class.own[name]
    if not (replacement and original) then return end
    local f = class.put[name] or make(class, name, replacement)
    originals[f] = original
    class.put[name] = f
    -- A replacement of the program's own stays, and calls ours.
    if class.table[name] == original then class.table[name] = f end
end

local function new_class(name, table_)
    local class = {
        name = name, table = table_, own = {}, put = {},
        is_tls = name == 'SSL:Connection',
        is_visible = name == 'tcp{client}' or name == 'unixstream{client}',
    }
    for key, value in pairs(table_) do
        class.own[key] = genuine.of(name, key, value)
    end
    return class
end

-- Can be called again after it has failed half-way.
local function replace_class(name, table_)
    local class = replaced[table_] or new_class(name, table_)
    replaced[table_] = class
    for key in pairs(class.own) do
        put(class, key, methods.in_threads[name][key], in_threads)
        put(class, key, methods.everywhere[key], everywhere)
    end
    class.is_done = true
end

-- Replaces the methods of all classes that exist and were not replaced before.
-- A class whose module was loaded again is another class. Returns two tables:
-- original -> replacement, and the inverse, which replace.c must not rewrite
-- although it can be reached from the registry.
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

-- The replacement of a class's method.
function classes.method(name, key)
    return replaced[classes.class(name)].put[key]
end

-- Puts the original methods back, except where the program has replaced ours
-- since; ours then act as the originals. Returns two tables: replacement ->
-- original, and the table that replace.c must not rewrite.
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
