-- A folder for each test, and paths in it, for the specs about unix sockets.

local compare = require 'side_by_side'
local lfs = require 'lfs'
local process = require 'process'

local paths = {}

-- Returns LuaSocket's module of unix sockets. Where there is none, returns nil
-- and defines a pending block by busted's functions.
function paths.unix(describe, pending)
    local has_unix, unix = pcall(require, 'socket.unix')
    if has_unix then return unix end
    describe('LuaSocket without unix sockets', function()
        pending 'has nothing to compare with'
    end)
end

-- Makes a new folder, which process.cleanup removes.
function paths.new()
    paths.folder = process.tempdir()
end

function paths.path(name)
    return paths.folder .. '/' .. name
end

-- Returns the type of the file at a path: 'socket', 'file', ... or nil.
function paths.kind_of(name)
    return lfs.symlinkattributes(name, 'mode')
end

-- Like compare.tests, with a new folder for each run.
function paths.tests(it, makers, plain)
    -- connect returns 1 in LuaSocket, and true for loop sockets.
    local function normal(values)
        if values[1] == true then values[1] = 1 end
        if type(values[1]) == 'string' then
            values[1] = values[1]:gsub('^' .. paths.folder, '')
        end
        return values
    end
    local each = compare.tests(it, makers, plain, normal)
    return function(name, f)
        each(name, function(...)
            paths.new()
            f(...)
        end)
    end
end

return paths
