-- Calls of methods of LuaSocket's and LuaSec's objects in loop threads: their
-- state, timeouts, tries and waits. A call may try the object's method several
-- times, and waits in between.
--
-- `class` is an entry of classes.lua: class.own has LuaSocket's own methods.
-- `here` is the running thread's entry of loops.lua.

local loops = require 'socketloop.loops'
local own = require 'socketloop.own'

local wait_for = loops.wait
local unpack = table.unpack or unpack      -- luacheck: ignore

-- readers, writers: object -> the watcher of the thread that waits on it.
local calls = {readers = {}, writers = {}, limits = {}}

local function weak(t)
    return setmetatable(t or {}, {__mode = 'k'})
end
calls.weak = weak

local readers, writers = weak(calls.readers), weak(calls.writers)

-- Object that is used in threads -> {block, total, class = ...}: the timeouts
-- that the program has set; negative: none.
local limits = weak(calls.limits)

-- Object without a method gettimeout -> {block, total}: the timeouts that the
-- program has set since install.
local told = weak()

-- LuaSec's object that has failed for good -> its error. It is not called
-- again, since its methods may not return after a failure.
local failures = weak()

-- The errors that mean: wait, and try again.
calls.unready = {timeout = true, wantread = true, wantwrite = true}

-- Seconds between two tries where no event reports readiness.
local PAUSE = 0.01

-------------------------------------------------------------------------------
-- Timeouts

-- To be called when the object is used in a thread. Keeps its timeouts in
-- `limits`, and sets its own timeout to 0. Returns the entry of `limits`.
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

-- To be called when the object is used outside of threads. Gives it back its
-- timeouts.
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

-- Begins a call: returns its state, which is kept from the first try to the
-- last. Raises if another thread waits on the object in that direction.
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

-- Wakes the thread that waits on the object in the other direction.
local function wake_other(call)
    loops.wake(call.waiters == readers and writers or readers, call.self)
end

-- Returns the results of LuaSec's method. Remembers a final error: any but
-- 'closed' and those of `unready`.
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

-- Tries LuaSec's method. A call whose last wait was for the opposite direction
-- may complete the operation of the other thread, so that thread is woken.
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

-- Calls the object's own method once.
function calls.try(call, ...)
    if call.class.is_tls then return try_tls(call, ...) end
    return own.method(call.name, call.method, call.self, ...)
end

-- Returns the seconds that the next wait of the call may take; negative: no
-- limit.
function calls.patience(call)
    local seconds, deadline = call.limit[1], call.deadline
    if deadline then
        local left = math.max(0, deadline - call.here.loop.now())
        if seconds < 0 or left < seconds then seconds = left end
    end
    return seconds
end
local patience = calls.patience

-- True if the object was closed, perhaps by another thread.
function calls.is_closed(call)
    return call.class.own.getfd(call.self) < 0
end

-- Waits after a try that has failed with the word. Returns true if the method
-- is to be tried again; false at the end of the time; false or nil and an
-- error.
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

-- Waits for PAUSE seconds, where no event reports readiness. Returns false at
-- the end of the call's time.
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

-- Gives way. Returns false at the end of the call's time.
function calls.turn(call)
    loops.turn(call.here, call.waiters, call.self)
    calls.enter(call.class, call.name, call.self)
    return not (call.deadline and call.limit[2] > 0 and
                call.here.loop.now() >= call.deadline)
end

-- Gives all objects back their timeouts.
function calls.leave_all()
    for self in pairs(limits) do calls.leave(self) end
end

return calls
