-- Calling what was LuaSocket's own before it was replaced, so that misuse is
-- reported as if it had been called by the program itself.

local own = {}

local getinfo = debug and debug.getinfo or function() end

-- The folder that this file is in, which holds nobody else's.
local folder = (getinfo(1, 'S') or {source = ''}).source:match '^.*/'

-- Is that the source of one of our functions? It may be, where we don't know:
-- there is no debug library, or the files were put into one, or stripped.
function own.is_ours(source)
    return folder == nil or source:sub(1, #folder) == folder
end

-- Where the program called us: 'file:line: ', or ''.
local function position()
    for level = 3, math.huge do
        local info = getinfo(level, 'Sl')
        if not info then return '' end
        if info.currentline > 0 and not own.is_ours(info.source) then
            return info.short_src .. ':' .. info.currentline .. ': '
        end
    end
end

-- Of a C function that pcall calls Lua knows no name, and not that it is a
-- method, whose self doesn't count as an argument.
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

-- f(self, ...) and f(...), known to the program under that name.
function own.method(name, f, ...)
    return results(name, true, pcall(f, ...))
end

function own.call(name, f, ...)
    return results(name, false, pcall(f, ...))
end

-- Raises an error of ours in the name of the program.
function own.misuse(message)
    error(position() .. message, 0)
end

return own
