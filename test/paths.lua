-- A folder for each test, and paths in it, for the specs of unix sockets.

local lfs = require 'lfs'
local process = require 'process'

local paths = {}

-- Makes another folder, which process.cleanup removes.
function paths.new()
    paths.folder = process.tempdir()
end

function paths.path(name)
    return paths.folder .. '/' .. name
end

-- What there is at a path: 'socket', 'file', ... or nil.
function paths.kind_of(name)
    return lfs.symlinkattributes(name, 'mode')
end

return paths
