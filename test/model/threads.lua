-- Threads in the model. Each is a coroutine that yields to the main program
-- whenever it stops; a function passed on says which thread continues. Errors
-- are values that are returned.
--
-- A thread or the main program is running. The caller of a thread is a base:
-- the thread, and the threads that get control from it, run until one stops
-- without passing control on. Then control returns to the topmost base that is
-- the loop's; bases of coro above it are suspended. Control may also return to
-- a base earlier.
--
-- The return target of a thread is its field home: 'base' (the base at that
-- time, which gets no values), 'nobody', the thread that resumed it by coro, or
-- the record of a safewrap, which knows its caller.

local events = require 'model.events'
local world = require 'model.world'

local unpack = table.unpack or unpack      -- luacheck: ignore

local threads = {}

local bases      -- stack of callers
local goes_on    -- see `switch`

-- Gathered bytes leave.
local function flush()
    for _, socket in ipairs(world.sockets) do socket.gathers = false end
end

-- The running thread stops. Returns the thread that continues, how it was left,
-- and the values it gets.
local function step_down()
    while true do
        local base = table.remove(bases)
        if base.is_loops then return base.thread, {'nothing'} end
    end
end

local function hand_over(to, how, ...)
    for i = #bases, 1, -1 do
        if bases[i].thread == to then
            for k = #bases, i, -1 do bases[k] = nil end
        end
    end
    return to, {how, ...}
end

local function is_safe(home) return type(home) == 'table' and home.is_safe end

-- Returns the last caller of a safewrap. It gets values wherever it can be
-- continued, and an error only if it has called a thread.
local function last_caller(safe, err)
    local caller = safe.caller
    safe.yielder = nil
    if caller == world.main or caller.state == 'calling' or
       caller.state == 'suspended' and not err then
        return caller
    end
end

-- The thread has returned, or failed with err.
local function finish(thread, err)
    local home = thread.home
    thread.state = 'dead'
    if not err and home == 'nobody' then err = 'lost' end
    if is_safe(home) then
        home = last_caller(home, err)
    end
    if type(home) == 'table' then
        if err then return hand_over(home, 'failed', err, thread) end
        return hand_over(home, 'values', 'end', thread.number)
    elseif not err then
        return step_down()    -- the values may be lost
    elseif home == 'base' then
        return table.remove(bases).thread, {'failed', err, thread}
    end
    local to = step_down()
    return to, {'failed', err, thread}
end

-- In the main program: runs the thread until control returns here.
local function run(thread, ...)
    local brought = {'values', ...}
    bases = {{thread = world.main, is_loops = true}}
    repeat
        flush()
        world.running, thread.state = thread, 'running'
        local ok, err = coroutine.resume(thread.coroutine, unpack(brought))
        if not ok then error(err, 0) end
        if coroutine.status(thread.coroutine) == 'dead' then
            thread, brought = finish(thread, err)
        else
            thread, brought = goes_on()
        end
    until thread == world.main
    flush()
    world.running = world.main
    return unpack(brought)
end

-- The running thread stops; f returns the thread that continues. Returns how
-- control returned, and the values.
local function switch(state, f)
    world.running.state, goes_on = state, f
    return coroutine.yield 'stop'
end

local function drop_first(_, ...) return ... end

-- The running thread stops. Returns the values with which it is woken.
function threads.stop(state)
    return drop_first(switch(state, step_down))
end

-- The running thread or main program calls another thread.
local function call(other, is_loops, ...)
    if world.running == world.main then return run(other, ...) end
    local brought = {'values', ...}
    table.insert(bases, {thread = world.running, is_loops = is_loops})
    return switch('calling', function() return other, brought end)
end

-- body(thread) is the thread's function. It returns an error if it fails.
function threads.new(body, home)
    local thread = {number = #world.threads + 1, state = 'fresh', home = home}
    world.threads[thread.number] = thread
    thread.coroutine = coroutine.create(function(_, ...)
        events.add(thread.number, 'begins', ...)
        local err = body(thread)
        if not err then events.add(thread.number, 'ends') end
        return err
    end)
    return thread
end

-- Returns the thread with this number, or main for 0.
function threads.find(target)
    if target == 0 then return world.main end
    return world.threads[(target - 1) % #world.threads + 1]
end

-------------------------------------------------------------------------------
-- The loop's threads: functions that return an error, if any

local function error_of(how, err)
    return how == 'failed' and err or nil
end

function threads.start(body, ...)
    return error_of(call(threads.new(body, 'base'), true, ...))
end

local function is_suspended(thread)
    return thread.state == 'fresh' or thread.state == 'suspended'
end

function threads.resume(thread, ...)
    if not is_suspended(thread) then return 'misuse' end
    if thread.state == 'fresh' then thread.home = 'base' end
    return error_of(call(thread, true, ...))
end

-- Called by the loop; errors are recorded.
function threads.wake(thread, ...)
    local how, err, culprit = run(thread, ...)
    if how == 'failed' then events.add(culprit.number, 'failed', err) end
end

-------------------------------------------------------------------------------
-- Transfers: how control returns, and the values

local function can_transfer(to)
    return to ~= world.running and to.state ~= 'waiting' and to.state ~= 'dead'
end

local function switch_to(to, ...)
    local brought = {...}
    return switch('suspended', function()
        return hand_over(to, 'values', unpack(brought))
    end)
end

function threads.transfer(to, ...)
    if not can_transfer(to) then return 'failed', 'misuse' end
    if to.state == 'fresh' then to.home = 'nobody' end
    if world.running == world.main then return run(to, ...) end
    return switch_to(to, ...)
end

-- The thread no longer returns to its resumer, which continues.
local function come_back(thread, ...)
    if ... ~= 'nothing' and thread.home == world.running then
        thread.home = 'nobody'
    end
    return ...
end

function threads.coresume(thread, ...)
    if not is_suspended(thread) then return 'failed', 'misuse' end
    thread.home = world.running
    return come_back(thread, call(thread, false, ...))
end

function threads.coyield(...)
    local home = world.running.home
    if type(home) ~= 'table' or is_safe(home) then
        return 'failed', 'misuse'
    end
    world.running.home = 'nobody'
    return switch_to(home, ...)
end

-------------------------------------------------------------------------------
-- safewrap

local function is_base(thread)
    for _, base in ipairs(bases) do
        if base.thread == thread then return true end
    end
end

-- Returns safewrap's record of a thread.
function threads.new_safe(thread)
    return {is_safe = true, thread = thread, yielder = thread}
end

-- Continues the thread that yielded last; a misuse if that has ended.
function threads.call_safe(safe, ...)
    local to = safe.yielder
    if not (to and can_transfer(to)) then return 'failed', 'misuse' end
    safe.caller = world.running
    if is_base(to) then return switch_to(to, ...) end
    if to.state == 'fresh' then to.home = safe end
    return call(to, false, ...)
end

function threads.yield_safely(safe, ...)
    local to = safe.caller
    if not (to and can_transfer(to)) then return 'failed', 'misuse' end
    safe.yielder = world.running
    return switch_to(to, ...)
end

return threads
