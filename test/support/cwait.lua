-- Helpers for specs about waiting in C: a C module (host/api.c) that knows only
-- socketloop.h, and descriptors that no Lua object owns.

local loop = require 'socketloop'
local process = require 'process'
local support = require 'support'

local library = assert(process.helper 'api.so', 'tools/test.sh builds it')
local api = assert(package.loadlib(library, 'luaopen_api'))()

local cwait = {api = api}

-- Runs a script that has the module as `api`. Returns its output. before: see
-- process.script.
function cwait.script(code, before)
    return process.output(("local api = assert(package.loadlib(%q, %q))()\n%s")
        :format(library, 'luaopen_api', code), before)
end

-- Calls f with the reading and writing end of a new pipe, and closes them.
function cwait.with_pipe(f)
    local r, w = api.pipe()
    f(r, w)
    api.close(r, w)
end

-- Calls f with two connected sockets, and closes them.
function cwait.with_pair(f)
    local a, b = api.pair()
    f(a, b)
    api.close(a, b)
end

-- Writes until the descriptor has no room.
function cwait.fill(fd)
    while api.write(fd, ('x'):rep(65536)) do end
end

function cwait.empty(fd)
    while (api.read(fd) or '') ~= '' do end
end

-- Calls f(...) in a thread, in which f has to wait. Returns a table that will
-- hold its results.
function cwait.begin(f, ...)
    local results = {n = -1}
    loop.newthread(function(...)
        local got = support.pack(f(...))
        for i = 1, got.n do results[i] = got[i] end
        results.n = got.n
    end, ...)
    if results.n ~= -1 then error('it has not waited', 2) end
    return results
end

-- In a thread: waits for the end of begin's f. Returns the results of f.
function cwait.results_of(results)
    if not support.eventually(function() return results.n >= 0 end) then
        error('it waits for ever', 2)
    end
    return support.unpack(results, 1, results.n)
end

return cwait
