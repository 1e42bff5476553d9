-- Things that threads wait for, in the model: a time, or an operation on a
-- socket. An operation is a table of functions:
--
--     can()         whether it can be done now
--     known()       whether that is known without a system call
--     try()         does it; returns its result, a text
--     too_early()   without time to wait: its result if it seems impossible
--                   though it is possible, else nil
--     time_out()    its result when it times out
--     closed()      a function that returns its result when the socket was
--                   closed, to be called when the thread runs
--     in_turn       whether it may also be done in the turns of threads
--                   that wait for nothing
--
-- The waiting thread is the socket's reader. A socket's timeouts are block (for
-- each wait) and total (for a call), as in settimeout, in ticks.

local events = require 'model.events'
local threads = require 'model.threads'
local world = require 'model.world'

local waits = {}

local order = 0    -- of calls of set_time

-- The thread is woken at the given time if it still waits.
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

-- Sets the deadline of a wait that begins now. wait.until_ is the deadline of
-- the whole call.
local function set_deadline(thread)
    local wait = thread.wait
    local time = wait.block and world.now + wait.block
    if wait.until_ and (not time or wait.until_ < time) then
        time = wait.until_
    end
    if time then waits.set_time(thread, time) end
end

-- The calling thread waits until the operation is done. Returns its result.
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

-- The calling thread does the operation. Returns its result, or nil and an
-- error.
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

-- Some progress was made: a new wait of the call begins.
function waits.go_on(thread)
    world.sleepers[thread] = nil
    set_deadline(thread)
end

-- The socket is being closed.
function waits.abort(socket)
    local thread = socket.reader
    if not (thread and thread.wait) then return end
    local result = thread.wait.operation.closed()
    end_wait(thread)
    socket.reader = thread    -- until the thread runs
    table.insert(world.ready, {thread, function()
        socket.reader = nil
        return result()
    end})
end

return waits
