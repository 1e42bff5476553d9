-- What a program (program.lua) has to do, told as simply as can be: this is
-- the loop of the model, and the program as a whole. What there is stands in
-- world.lua; threads, and who goes on when one stops, are in threads.lua, and
-- what they wait for in waits.lua, streams.lua, doors.lua and pipe.lua; what a
-- program's statements do is in statements.lua. Time is a number.
--
-- Which of those that became ready at the same time comes first, and whether
-- one that just did so comes in this step or in the next one, the module's own
-- events say (events.lua).

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

-- Time passes until something happens; false if nothing ever will.
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

-- As long as the module's next one is such, if that's given, or just ready.
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

-- Those that are ready are woken in any order, and those that get ready
-- meanwhile perhaps, too. With some pollers it takes one step to receive bytes
-- and another one to learn that they were the last; but no more than that.
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
            waits.finish(thread)    -- which is not what happened
        end
    end
end

-- Among those whose time has come: the first one, sleepers in the order in
-- which they were set; or the one that the module has woken, where a socket's
-- deadline is the same.
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

-- Ways to make a thread go on, by turns.
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

-- nil if the events are what they must be; else what was wanted, and where.
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
