-- The plain loop and the coro loop, for specs about each of them and about
-- the two together.

local loop = require 'socketloop'
local coro = require 'coro'
local places = require 'places'
local socket = require 'socket'
local support = require 'support'

local loops = {}

loops.all = {['the plain loop'] = loop, ['the coro loop'] = loop.coro}

-- Places around a wait in which a thread is frozen on some Lua.
loops.inside = places.few {
    ['an iterator'] = places.passing['an iterator'],
    ['a standard coroutine'] = places.passing['a standard coroutine'],
    ['a wrapped function'] = function(f) coro.wrap(f)() end,
    ['a safewrapped function'] = function(f) coro.safewrap(f)() end,
    ['a resumed thread'] = function(f)
        local ok, err = coro.resume(coro.create(f))
        if not ok then error(err, 0) end
    end,
}

-- Installs support.hooks for a whole spec file, with checks of the two loops.
function loops.hooks(before_each, after_each)
    support.hooks(before_each, after_each)
    after_each(function()
        loop.onerror, loop.coro.onerror = nil, nil
        support.at_rest(loop.coro)
    end)
    support.ends_in_main(after_each)
end

-- Steps the two loops in turn until nothing waits in either.
function loops.drain_both()
    local deadline = socket.gettime() + support.limit
    repeat
        local waiting = loop.step(0.001)
        waiting = loop.coro.step(0.001) or waiting
        if socket.gettime() > deadline then
            error('the loops do not come to rest', 2)
        end
    until not waiting
end

-- Returns a socket of the loop and its plain peer.
function loops.mixed(which)
    return support.mixed(nil, which)
end

-- Starts a server of the loop on a free port. Returns port, listening socket.
function loops.serve(which, handler)
    return support.serve(handler, nil, which)
end

return loops
