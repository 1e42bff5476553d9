-- LuaSocket's own functions and methods. A program may have replaced them by
-- functions that call the original ones.

local socket = require 'socket'

local genuine = {}

-- Set by install.lua: the C functions class(name), genuine(loader, name) and
-- same(f, g).
genuine.tools = nil

-- known[class][key]: LuaSocket's own function. The class is the name of an
-- object's class, 'socket' or 'dns'.
local known = {}

-- The luaopen_ function of a C module, or nil.
local function loader_of(name)
    for _, search in ipairs(package.searchers or package.loaders) do
        local ok, loader = pcall(search, name)
        if ok and type(loader) == 'function' then return loader end
    end
end

local function has_any(tools, functions, table_)
    for key, f in pairs(functions) do
        if tools.same(f, table_[key]) then return true end
    end
    return false
end

-- Whether the functions are of the library that the program has loaded, and not
-- of another copy.
local function is_loaded(tools, found)
    for name, functions in pairs(found) do
        local table_ = name == 'socket' and socket or tools.class(name)
        if table_ and has_any(tools, functions, table_) then return true end
    end
    return false
end

local function load_module(tools, name)
    local loader = loader_of(name)
    local made = loader and tools.genuine(loader, name)
    if not made then return end
    local found = {}
    for key, value in pairs(made) do
        if type(value) == 'table' then found[key] = value.__index end
    end
    if name == 'socket.core' then
        found.socket, found.dns = made[name], made[name].dns
    end
    if not is_loaded(tools, found) then return end
    for key, functions in pairs(found) do known[key] = functions end
end

function genuine.load(tools)
    genuine.tools = tools
    for _, name in ipairs {'socket.core', 'socket.unix', 'socket.serial'} do
        load_module(tools, name)
    end
end

-- LuaSocket's own function for a key of a class. `value` is the program's
-- current value; it is returned if it is LuaSocket's. nil if that is unknown.
function genuine.of(kind, key, value)
    local same = genuine.tools.same
    local f = known[kind] and known[kind][key]
    if f and not same(f, value) then return f end
    return same(value, value) and value or nil
end

return genuine
