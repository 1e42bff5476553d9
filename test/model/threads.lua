-- Threads in the model: each is a coroutine that gives control back whenever
-- it stops, to whoever knows who goes on; errors are values that are returned.
--
-- What runs is a thread or the main program. Who calls a thread is a base: the
-- thread, and whoever gets control from it, runs until one stops that hands
-- control to nobody. Then a base of the loop goes on, and one of coro stops,
-- too. Control may come back to a base before.
--
-- Where a thread returns to is its home: 'base' (whoever that is then; it gets
-- no values), 'nobody', or the thread that resumed it by coro; or else what a
-- safewrap has of its caller.

local events = require 'model.events'
local world = require 'model.world'

local unpack = table.unpack or unpack      -- luacheck: ignore

local threads = {}

local bases      -- a stack of who called somebody
local goes_on    -- see `switch`

-- What was gathered leaves.
local function flush()
    for _, socket in ipairs(world.sockets) do socket.gathers = false end
end

-- One stops: who goes on, with how control comes and what it brings.
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

-- Who called it at last gets its values wherever he can be made to go on, its
-- error only if he has called somebody.
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
        return step_down()    -- also where the values are lost
    elseif home == 'base' then
        return table.remove(bases).thread, {'failed', err, thread}
    end
    local to = step_down()
    return to, {'failed', err, thread}
end

-- In the main program: the thread runs, until control comes back here.
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

-- The running thread stops; f says who goes on. How control comes back, and
-- what it brings.
local function switch(state, f)
    world.running.state, goes_on = state, f
    return coroutine.yield 'stop'
end

local function drop_first(_, ...) return ... end

-- The running thread stops; what it is woken with.
function threads.stop(state)
    return drop_first(switch(state, step_down))
end

-- What runs calls the other.
local function call(other, is_loops, ...)
    if world.running == world.main then return run(other, ...) end
    local brought = {'values', ...}
    table.insert(bases, {thread = world.running, is_loops = is_loops})
    return switch('calling', function() return other, brought end)
end

-- body(thread) is what it does; it returns its error, if it fails.
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

-- The number is that of a thread, or 0 for the main program.
function threads.find(target)
    if target == 0 then return world.main end
    return world.threads[(target - 1) % #world.threads + 1]
end

-------------------------------------------------------------------------------
-- The loop's threads: functions that return an error, if there is one

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

-- From the loop: its errors are reported.
function threads.wake(thread, ...)
    local how, err, culprit = run(thread, ...)
    if how == 'failed' then events.add(culprit.number, 'failed', err) end
end

-------------------------------------------------------------------------------
-- Handing control over: how it comes back, and what it brings

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

-- The thread does not return any more to who called it and goes on.
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

-- What safewrap has of a thread.
function threads.new_safe(thread)
    return {is_safe = true, thread = thread, yielder = thread}
end

-- Whoever yielded last goes on; nobody, if its thread has ended.
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
