-- What the specs about waiting in C share: a C module (api.c) that knows of
-- socketloop what is in its header, and descriptors that no Lua object owns.

local loop = require 'socketloop'
local process = require 'process'
local support = require 'support'

local library = assert(process.helper 'api.so', 'tools/test.sh builds it')
local api = assert(package.loadlib(library, 'luaopen_api'))()

local cwait = {api = api}

-- Runs a script that has the module as api, and what it prints; before: see
-- process.script.
function cwait.script(code, before)
    return process.output(("local api = assert(package.loadlib(%q, %q))()\n%s")
        :format(library, 'luaopen_api', code), before)
end

-- Calls f with the ends of a new pipe, to read and to write, and closes them.
function cwait.with_pipe(f)
    local r, w = api.pipe()
    f(r, w)
    api.close(r, w)
end

-- Calls f with two connected sockets and closes them.
function cwait.with_pair(f)
    local a, b = api.pair()
    f(a, b)
    api.close(a, b)
end

-- Writes until there is no room.
function cwait.fill(fd)
    while api.write(fd, ('x'):rep(65536)) do end
end

function cwait.empty(fd)
    while (api.read(fd) or '') ~= '' do end
end

-- Calls f(...) in a thread, which has to wait; a table that will have its
-- results.
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

-- In a thread: what begin's f gives.
function cwait.results_of(results)
    if not support.eventually(function() return results.n >= 0 end) then
        error('it waits for ever', 2)
    end
    return support.unpack(results, 1, results.n)
end

return cwait
