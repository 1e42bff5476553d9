-- Calls LuaSocket's own functions for the program. Errors about arguments are
-- reported as if the program had called the functions itself.

local own = {}

local getinfo = debug and debug.getinfo or function() end

-- The folder of this file. It has only files of this module.
local folder = (getinfo(1, 'S') or {source = ''}).source:match '^.*/'

-- Whether a function with that source is the module's. True if the folder is
-- unknown: without the debug library, or if the files were bundled or stripped.
function own.is_ours(source)
    return folder == nil or source:sub(1, #folder) == folder
end

-- The program's position in the call: 'file:line: ', or ''.
local function position()
    for level = 3, math.huge do
        local info = getinfo(level, 'Sl')
        if not info then return '' end
        if info.currentline > 0 and not own.is_ours(info.source) then
            return info.short_src .. ':' .. info.currentline .. ': '
        end
    end
end

-- Corrects Lua's argument errors of a C function that was called by pcall: Lua
-- does not know its name then, and counts a method's self as argument 1.
local function reword(message, name, is_method)
    local number, rest = message:match "^bad argument #(%d+) to '[^']*'(.*)"
    if not number then return message end
    number = tonumber(number) - (is_method and 1 or 0)
    if number == 0 then
        return position() .. "calling '" .. name .. "' on bad self" .. rest
    end
    return ("%sbad argument #%d to '%s'%s"):format(position(), number, name,
                                                   rest)
end

local function results(name, is_method, ok, ...)
    if ok then return ... end
    local err = ...
    if type(err) == 'string' then err = reword(err, name, is_method) end
    error(err, 0)
end

-- own.method calls f(self, ...), own.call calls f(...). `name` is the name in
-- error messages.
function own.method(name, f, ...)
    return results(name, true, pcall(f, ...))
end

function own.call(name, f, ...)
    return results(name, false, pcall(f, ...))
end

-- Raises an error at the program's position.
function own.misuse(message)
    error(position() .. message, 0)
end

return own
