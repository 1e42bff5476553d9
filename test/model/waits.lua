-- What threads wait for, in the model: a time, or that something can be done
-- with a socket. That is an operation, a table of functions:
--
--     can()         whether it can be done now
--     known()       whether that is plain without asking the system
--     try()         does it: its result, a text
--     too_early()   with no time to wait: its result if it seems that it can't
--                   be done though it can, else nil
--     time_out()    its result when its time is over
--     closed()      a function: its result when the socket was closed, to be
--                   called when the thread's turn comes
--     in_turn       whether it may as well be done when it is the turn of those
--                   that wait for nothing
--
-- The thread that waits is the socket's reader. A socket's time limits are
-- block (for each wait) and total (for a call), as with settimeout, in ticks.

local events = require 'model.events'
local threads = require 'model.threads'
local world = require 'model.world'

local waits = {}

local order = 0    -- of setting times

-- The thread is woken at the given time, if it still waits then.
function waits.set_time(thread, time)
    order = order + 1
    thread.time, thread.order = time, order
    world.sleepers[thread] = true
end

function waits.sleep(thread, ticks)
    if ticks <= 0 then
        table.insert(world.ready, {thread})
    else
        waits.set_time(thread, world.now + ticks)
    end
    threads.stop 'waiting'
end

-- When a wait that begins now, of a call that began then, is over.
local function set_deadline(thread)
    local wait = thread.wait
    local time = wait.block and world.now + wait.block
    if wait.until_ and (not time or wait.until_ < time) then
        time = wait.until_
    end
    if time then waits.set_time(thread, time) end
end

-- The calling thread waits until it is done: its result.
function waits.park(thread, socket, operation)
    thread.wait = {socket = socket, operation = operation,
                   block = socket.block, steps = 0,
                   until_ = socket.total and world.now + socket.total}
    socket.reader, world.waiting[thread] = thread, true
    socket.fresh = false
    set_deadline(thread)
    local result = threads.stop 'waiting'
    return type(result) == 'function' and result() or result
end

-- The calling thread does it, in a statement: its result, or nil and an error.
function waits.operate(thread, s, socket, operation)
    if socket.reader then return nil, 'misuse' end
    local instant = socket.block == 0 or socket.total == 0
    if operation.can() and (operation.known() or instant or
       events.ends_next(thread.number, s)) then
        return instant and operation.too_early() or operation.try()
    elseif instant then
        return operation.time_out()
    end
    return waits.park(thread, socket, operation)
end

local function end_wait(thread)
    thread.wait.socket.reader = nil
    thread.wait, world.waiting[thread], world.sleepers[thread] = nil, nil, nil
end

function waits.is_ready(thread)
    return thread.wait ~= nil and thread.wait.operation.can()
end

function waits.finish(thread)
    local result = thread.wait.operation.try()
    end_wait(thread)
    threads.wake(thread, result)
end

function waits.time_out(thread)
    local result = thread.wait.operation.time_out()
    end_wait(thread)
    threads.wake(thread, result)
end

-- Something came that is not enough: a new wait of the same call begins.
function waits.go_on(thread)
    world.sleepers[thread] = nil
    set_deadline(thread)
end

-- The socket is closed.
function waits.abort(socket)
    local thread = socket.reader
    if not (thread and thread.wait) then return end
    local result = thread.wait.operation.closed()
    end_wait(thread)
    socket.reader = thread    -- it is, until its turn comes
    table.insert(world.ready, {thread, function()
        socket.reader = nil
        return result()
    end})
end

return waits
