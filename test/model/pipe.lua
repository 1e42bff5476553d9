-- The pair of sockets in the model whose first socket sends much data to the
-- second one. Its capacity depends on the system, but is less than any send; so
-- the model learns from the module's events when bytes have moved.

local events = require 'model.events'
local threads = require 'model.threads'
local waits = require 'model.waits'
local world = require 'model.world'

local pipe = {}

local held = 256 * 1024 - 1

local sent, taken, steps, closed
local ends      -- the threads that wait, by 'reader' or 'writer'
local totals    -- total timeouts, by end

function pipe.begin()
    sent, taken, steps, closed, ends, totals = 0, 0, 0, false, {}, {}
end

-- Bytes in transit, including those of waiting writers.
local function flowing()
    local sending = ends.writer and ends.writer.size or 0
    return sent + sending - taken
end

local function end_wait(thread)
    ends[thread.end_of], thread.end_of, thread.size = nil, nil, nil
    world.sleepers[thread] = nil
end

-- Returns whether the wait must end now, and whether it may have ended
-- according to the module.
local function will_end(thread)
    if closed then return false end
    if thread.end_of == 'reader' then return flowing() >= thread.size end
    local left = flowing() - (ends.reader and ends.reader.size or 0)
    return left <= 0, left <= held
end

local function pass_bytes(thread)
    local size = thread.size
    if thread.end_of == 'reader' then
        -- The bytes may be taken before the writer's wait has ended.
        taken = taken + size
    else
        sent = sent + size
    end
    end_wait(thread)
    threads.wake(thread, size, nil)
end

-- Returns the thread whose bytes have moved next, according to the module.
local function next_one()
    local thread = world.threads[events.next_number()]
    if not (thread and thread.end_of) then return end
    local must, may = will_end(thread)
    if must or may and events.ends_with(thread.number, thread.statement,
                                        thread.size .. ' nil') then
        return thread
    end
end

function pipe.wake()
    for thread in next_one do pass_bytes(thread) end
end

-- Whether a transfer is in progress.
function pipe.flows()
    for _, name in ipairs {'reader', 'writer'} do
        local thread = ends[name]
        if thread and will_end(thread) then
            steps = steps + 1
            if steps > 1000 then pass_bytes(thread) end    -- a mismatch
            return true
        end
    end
    return next_one() ~= nil
end

function pipe.is_waited_on() return ends.reader or ends.writer end

-- The wait timed out after some of its bytes.
local function time_out(number, s, end_of, instant)
    local size = events.size(number, s, 'timeout')
    if end_of == 'writer' then
        local reading = ends.reader and ends.reader.size or 0
        local fits = taken + reading + held - sent
        size = math.max(math.min(size, s.size, fits), taken - sent)
        sent = sent + size
    else
        local all = flowing()
        if not ends.writer and not instant then size = all end
        size = math.min(size, all)
        taken = taken + size
    end
    return size, 'timeout'
end

function pipe.time_out(thread)
    local size, err = time_out(thread.number, thread.statement, thread.end_of)
    end_wait(thread)
    threads.wake(thread, size, err)
end

local function wait(thread, s, end_of)
    ends[end_of], thread.end_of, thread.size = thread, end_of, s.size
    thread.statement = s
    local total = totals[end_of]
    if total then waits.set_time(thread, world.now + total) end
    local size, err = threads.stop 'waiting'
    if type(size) == 'function' then return size() end
    return size, err
end

-- The end 'writer' sends, or 'reader' receives. Returns 'failed' and an error,
-- or 'values', the size and an error or nil.
function pipe.use(thread, s, end_of)
    if ends[end_of] then return 'failed', 'misuse' end
    if closed then return 'values', '', 'closed' end
    if totals[end_of] == 0 then
        return 'values', time_out(thread.number, s, end_of, true)
    end
    return 'values', wait(thread, s, end_of)
end

function pipe.limit(end_of, total) totals[end_of] = total end

function pipe.close()
    closed = true
    for i, end_of in ipairs {'writer', 'reader'} do
        local thread = ends[end_of]
        events.add(0, 'closes', #world.sockets + i)
        if thread then
            world.sleepers[thread] = nil
            table.insert(world.ready, {thread, function()
                end_wait(thread)
                return '', 'closed'
            end})
        end
    end
end

return pipe
