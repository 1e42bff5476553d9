-- Calls of methods of LuaSocket's and LuaSec's objects, in loop threads: what a
-- call keeps from its first try to its last, its timeouts, and waiting.
--
-- `class` is an entry of classes.lua: class.own has LuaSocket's own methods.

local loops = require 'socketloop.loops'
local own = require 'socketloop.own'

local wait_for = loops.wait
local unpack = table.unpack or unpack      -- luacheck: ignore

-- readers, writers: who waits, object -> watcher.
local calls = {readers = {}, writers = {}, limits = {}}

local function weak(t)
    return setmetatable(t or {}, {__mode = 'k'})
end
calls.weak = weak

local readers, writers = weak(calls.readers), weak(calls.writers)

-- Who is used in threads: object -> {block, total, class = ...}, its timeouts
-- as the program has set them, negative for none.
local limits = weak(calls.limits)

-- The same for objects that can't tell, kept from install on.
local told = weak()

-- LuaSec's objects that have failed for good -> their error. They are not
-- called again: their methods would not return.
local failures = weak()

-- What an object says that would have to wait.
calls.unready = {timeout = true, wantread = true, wantwrite = true}

-- How long to wait before it is tried again where nobody would tell us.
local PAUSE = 0.01

-------------------------------------------------------------------------------
-- Timeouts

-- The object is used in a thread, and must not wait by itself any more.
function calls.enter(class, name, self)
    local limit = limits[self]
    if limit then return limit end
    if class.own.gettimeout then
        limit = {own.method(name, class.own.gettimeout, self)}
    else
        limit = {unpack(told[self] or {-1, -1})}
    end
    own.method(name, class.own.settimeout, self, 0)
    limit.class = class
    limits[self] = limit
    return limit
end

-- It is used elsewhere, and has its timeouts back.
function calls.leave(self)
    local limit = limits[self]
    if not limit then return end
    limits[self] = nil
    limit.class.own.settimeout(self, limit[1], 'b')
    limit.class.own.settimeout(self, limit[2], 't')
end

function calls.settimeout(class, self, seconds, mode, ...)
    if tonumber(seconds) ~= tonumber(seconds) then
        own.misuse "bad argument #1 to 'settimeout' (not a number)"
    end
    calls.leave(self)
    local result = own.method('settimeout', class.own.settimeout, self,
                              seconds, mode, ...)
    if not class.own.gettimeout then
        local limit = told[self] or {-1, -1}
        limit[mode and mode:find '^[tr]' and 2 or 1] = tonumber(seconds) or -1
        told[self] = limit
    end
    return result
end

function calls.gettimeout(class, self)
    calls.leave(self)
    return own.method('gettimeout', class.own.gettimeout, self)
end

-------------------------------------------------------------------------------
-- Waiting

-- What a call keeps from its first try to its last.
function calls.begin(here, class, name, self, waiters)
    if waiters[self] and loops.busy(waiters, self) then
        own.misuse(name .. ': the socket is already waited on by another ' ..
                   'thread')
    end
    local limit = limits[self] or calls.enter(class, name, self)
    local seconds = limit[2]
    return {
        here = here, class = class, name = name, self = self,
        method = class.own[name], waiters = waiters, limit = limit,
        deadline = seconds >= 0 and here.loop.now() + seconds,
    }
end

-- Whoever waits for the other direction looks again.
local function wake_other(call)
    loops.wake(call.waiters == readers and writers or readers, call.self)
end

-- What LuaSec's method gave. Errors other than 'closed' are final.
local function judged(call, ...)
    local ok, err = ...
    if ok or calls.unready[err] then return ... end
    err = call.here.word(err) or 'unknown error'
    if err ~= 'closed' then
        failures[call.self] = err
        wake_other(call)
    end
    return ok, err, (select(3, ...))
end

-- A call of TLS that waited for the other direction than its own may have
-- brought what those who wait for that direction want.
local function try_tls(call, ...)
    local failure = failures[call.self]
    if failure then return nil, failure end
    if not call.crossed then
        return judged(call, own.method(call.name, call.method, call.self, ...))
    end
    call.crossed = false
    wake_other(call)
    return judged(call, own.method(call.name, call.method, call.self, ...))
end

function calls.try(call, ...)
    if call.class.is_tls then return try_tls(call, ...) end
    return own.method(call.name, call.method, call.self, ...)
end

-- How long the call may wait now; negative: for ever.
function calls.patience(call)
    local seconds, deadline = call.limit[1], call.deadline
    if deadline then
        local left = math.max(0, deadline - call.here.loop.now())
        if seconds < 0 or left < seconds then seconds = left end
    end
    return seconds
end
local patience = calls.patience

-- Has another thread closed the object? Then it isn't called again: to receive
-- from a closed UDP object gives ''.
function calls.is_closed(call)
    return call.class.own.getfd(call.self) < 0
end

-- Waits after a try that gave the word. Whether to try again; if not, and it
-- isn't for the time, why.
function calls.wait(call, word)
    local here, class, self = call.here, call.class, call.self
    local getfd, waiters = class.own.getfd, call.waiters
    local seconds = patience(call)
    if seconds == 0 then
        loops.turn(here)
        return false
    end
    local fd = getfd(self)
    if fd < 0 then return false, 'closed' end
    local is_writer = waiters == writers
    local writes = word == 'wantwrite' or word == 'timeout' and is_writer
    local ok, err = wait_for(here, seconds, not writes and fd or nil,
                             writes and fd or nil, waiters, self)
    if class.is_tls then call.crossed = writes ~= is_writer end
    if getfd(self) < 0 then return false, 'closed' end
    if not limits[self] then calls.enter(class, call.name, self) end
    return ok, err
end

-- Sleeps instead, where readiness tells nothing.
function calls.pause(call)
    local seconds = patience(call)
    if seconds == 0 then
        loops.turn(call.here)
        return false
    end
    call.here.loop.sleep(seconds < 0 and PAUSE or math.min(seconds, PAUSE))
    calls.enter(call.class, call.name, call.self)
    return true
end

-- Lets the others run. Whether the call goes on; false: its time is over.
function calls.turn(call)
    loops.turn(call.here, call.waiters, call.self)
    calls.enter(call.class, call.name, call.self)
    return not (call.deadline and call.limit[2] > 0 and
                call.here.loop.now() >= call.deadline)
end

-- All objects have their timeouts back.
function calls.leave_all()
    for self in pairs(limits) do calls.leave(self) end
end

return calls
