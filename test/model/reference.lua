-- The behaviour required of a program (program.lua), as simple as possible: the
-- loop of the model, and the program as a whole. The state is in world.lua;
-- threads and switches in threads.lua; the things they wait for in waits.lua,
-- streams.lua, doors.lua and pipe.lua; the program's statements in
-- statements.lua. Time is a number.
--
-- Among threads that become ready at one time, the order, and whether a thread
-- that just became ready runs in this step or the next one, are taken from the
-- module's events (events.lua).

local doors = require 'model.doors'
local events = require 'model.events'
local pipe = require 'model.pipe'
local statements = require 'model.statements'
local streams = require 'model.streams'
local threads = require 'model.threads'
local waits = require 'model.waits'
local world = require 'model.world'

local forever = 100 * 64

-------------------------------------------------------------------------------
-- The loop

local function any_ready()
    for thread in pairs(world.waiting) do
        if waits.is_ready(thread) then return true end
    end
    return streams.any_news()
end

-- Advances the time until something happens. Returns false if nothing will.
local function pass_time()
    if world.ready[1] or any_ready() or pipe.flows() then return true end
    local first
    for thread in pairs(world.sleepers) do
        if not first or thread.time < first then first = thread.time end
    end
    if first then
        world.now = math.max(world.now, first)
        return true
    end
    if next(world.waiting) or pipe.is_waited_on() then
        world.now = world.now + forever
    end
    return false
end

-- Wakes ready threads as long as the module's next event is one's. With
-- in_turn: only threads whose operation may end in a turn.
local function wake_next(in_turn)
    while true do
        local thread = world.threads[events.next_number()]
        if not (thread and waits.is_ready(thread)) or
           in_turn and not thread.wait.operation.in_turn then
            return
        end
        waits.finish(thread)
    end
end

-- Wakes the threads that are ready, and possibly those that become ready
-- meanwhile, in the module's order. With some pollers one step receives bytes
-- and another one reports that they were the last. A thread that is ready for
-- more than two steps must be woken.
local function wake_ready()
    local due = {}
    streams.note_progress()
    for thread in pairs(world.waiting) do
        local wait = thread.wait
        if waits.is_ready(thread) then
            wait.steps = wait.steps + 1
            if wait.steps > 2 then due[wait] = thread end
        end
    end
    wake_next()
    for wait, thread in pairs(due) do
        if thread.wait == wait then
            waits.finish(thread)    -- differs from the module
        end
    end
end

-- Returns the first thread whose time has come. Sleepers with equal deadlines
-- are ordered by when they were set; if a socket's deadline is among them, the
-- module's order counts.
local function first_due()
    local first
    for thread in pairs(world.sleepers) do
        if thread.time <= world.now and
           (not first or thread.time < first.time or
            thread.time == first.time and thread.order < first.order) then
            first = thread
        end
    end
    local other = world.threads[events.next_number()]
    if first and other and world.sleepers[other] and
       other.time == first.time and
       (first.wait or other.wait or first.end_of or other.end_of) then
        return other
    end
    return first
end

local function wake_sleepers()
    for thread in first_due do
        world.sleepers[thread] = nil
        if thread.end_of then
            pipe.time_out(thread)
        elseif thread.wait then
            waits.time_out(thread)
        else
            threads.wake(thread)
        end
    end
end

local function step()
    local goes_on = pass_time()
    pipe.wake()
    wake_ready()
    pipe.wake()
    wake_sleepers()
    for _ = 1, #world.ready do
        pipe.wake()
        wake_next(true)
        local turn = table.remove(world.ready, 1)
        threads.wake(turn[1], turn[2])
    end
    wake_next(true)
    return goes_on
end

local function run_all()
    while step() do end
end

-------------------------------------------------------------------------------
-- The program

local function told(number, how, ...)
    local what = 'resumed ' .. number
    if how == 'failed' then
        events.add(0, what, (...))
    else
        events.add(0, what, 'done', ...)
    end
    return how ~= 'failed'
end

-- Ways to continue a thread, used in turn.
local ways = {
    function(...)
        local err = threads.resume(...)
        if err then return 'failed', err end
        return 'nothing'
    end,
    threads.coresume,
    threads.transfer,
}

local function resume_all(symmetric)
    for i = 1, 20 do
        local found
        local go_on = ways[symmetric and i % 3 + 1 or 1]
        for number, thread in ipairs(world.threads) do
            if thread.state ~= 'dead' and
               told(number, go_on(thread, 'main', i)) then
                found = true
                break
            end
        end
        if not found then return end
        run_all()
    end
end

local function run_program(program)
    for i = 1, program.pairs do
        world.sockets[2 * i - 1], world.sockets[2 * i] = streams.pair()
    end
    for _, block in ipairs(program.threads) do
        events.add(0, threads.start(statements.body(block), 'main') or
                      'started')
    end
    run_all()
    resume_all(program.symmetric)
    for i, socket in ipairs(world.sockets) do
        events.add(0, 'closes', i)
        streams.close(socket)
    end
    if program.pipe then pipe.close() end
    doors.close 'path'
    doors.close 'port'
    run_all()
    events.add(0, 'nothing waits')
    events.finish()
end

-- Returns nil if the events are right; else the wanted event, and its position.
return function(program, list)
    events.begin(list)
    world.begin()
    pipe.begin()
    doors.begin()
    local ok, err = pcall(run_program, program)
    if ok then return nil end
    if type(err) ~= 'table' then error(err, 0) end
    return err.wanted, err.at
end
