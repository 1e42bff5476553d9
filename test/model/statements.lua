-- The meaning of the statements of a program (program.lua) in the model. Each
-- is a function of the thread and the statement. It returns an error if it
-- fails.

local doors = require 'model.doors'
local events = require 'model.events'
local pipe = require 'model.pipe'
local streams = require 'model.streams'
local threads = require 'model.threads'
local waits = require 'model.waits'
local world = require 'model.world'

local unpack = table.unpack or unpack      -- luacheck: ignore

local execute

-- Returns the body of a thread that executes the block.
local function body(block)
    return function(thread) return execute(thread, block) end
end

local function got(thread, s, ...)
    events.add(thread.number, s.id, ...)
end

-- Ends a call that may have failed.
local function perhaps_catch(thread, s, err)
    if err and not s.catch then return err end
    got(thread, s, err or 'done')
end

-- Ends a statement to which control has returned.
local function tell(thread, s, how, ...)
    if how == 'failed' then return got(thread, s, (...)) end
    got(thread, s, 'done', ...)
end

local function perhaps_tell(thread, s, how, ...)
    if how == 'failed' and not s.catch then return (...) end
    if how == 'failed' or not s.protected then
        return tell(thread, s, how, ...)
    end
    tell(thread, s, how, true, ...)
end

local function tell_pipe(thread, s, how, size, err)
    if how == 'failed' then return size end
    got(thread, s, size, err)
end

local function find_socket(s)
    local sockets = world.sockets
    return sockets[1] and sockets[(s.socket - 1) % #sockets + 1]
end

-- f(thread, s, socket), if there is a socket.
local function of_socket(f)
    return function(thread, s)
        local socket = find_socket(s)
        if not socket then return got(thread, s, 'none') end
        return f(thread, s, socket)
    end
end

local function find_safe(target)
    local safes = world.safes
    return safes[1] and safes[(target - 1) % #safes + 1]
end

local status_of = {
    fresh = 'suspended', suspended = 'suspended', waiting = 'suspended',
    running = 'running', calling = 'normal', dead = 'dead',
}

-- A thread of coro that is called until it ends.
local function iterate(thread, s)
    local nested = threads.new(body(s.block))
    local safe = threads.new_safe(nested)
    if s.kind == 'safe' then
        table.insert(world.safes, safe)
        nested.safe = safe
    end
    local results
    repeat
        if s.kind == 'safe' then
            results = {threads.call_safe(safe, thread.number)}
        else
            results = {threads.coresume(nested, thread.number)}
        end
        if results[1] == 'failed' then return results[2] end
        got(thread, s, 'yielded', unpack(results, 2))
    until results[2] == 'end'
end

-- A nested coroutine. When it stops, the coroutine that runs it stops, too.
local function generate(thread, s)
    if s.kind ~= 'standard' then return iterate(thread, s) end
    local nested = coroutine.create(function()
        return 'end', execute(thread, s.block)
    end)
    local arguments = {thread.number}
    while true do
        local results = {coroutine.resume(nested, unpack(arguments))}
        if not results[1] then error(results[2], 0) end
        if results[2] == 'end' then
            if results[3] then return results[3] end
            return got(thread, s, 'yielded', 'end')
        elseif results[2] == 'stop' then
            arguments = {coroutine.yield 'stop'}
        else
            got(thread, s, 'yielded', unpack(results, 2))
            arguments = {thread.number}
        end
    end
end

-- By the kind of coroutine that yields.
local yields = {
    coro = threads.coyield,
    safe = function(...)
        return threads.yield_safely(world.running.safe, ...)
    end,
}

local statements = {
    sleep = function(thread, s)
        waits.sleep(thread, s.ticks)
        got(thread, s, 'slept')
    end,
    suspend = function(thread, s) got(thread, s, threads.stop 'suspended') end,
    resume = function(thread, s)
        return perhaps_catch(thread, s, threads.resume(threads.find(s.target),
                                                       unpack(s.values)))
    end,
    spawn = function(thread, s)
        return perhaps_catch(thread, s, threads.start(body(s.block),
                                                      unpack(s.values)))
    end,
    create = function(_, s) threads.new(body(s.block)) end,
    transfer = function(thread, s)
        return perhaps_tell(thread, s, threads.transfer(threads.find(s.target),
                                                        unpack(s.values)))
    end,
    coresume = function(thread, s)
        local other = threads.find(s.target)
        if other == world.main or other == thread then
            return perhaps_catch(thread, s, 'misuse')
        end
        tell(thread, s, threads.coresume(other, unpack(s.values)))
        got(thread, s, 'done')
    end,
    coyield = function(thread, s)
        return perhaps_tell(thread, s, threads.coyield(unpack(s.values)))
    end,
    safeyield = function(thread, s)
        local safe = find_safe(s.target)
        if not safe or safe.thread.state == 'fresh' then
            return got(thread, s, 'none')
        end
        return perhaps_tell(thread, s,
                            threads.yield_safely(safe, unpack(s.values)))
    end,
    safecall = function(thread, s)
        local safe = find_safe(s.target)
        if not safe then return got(thread, s, 'none') end
        return perhaps_tell(thread, s,
                            threads.call_safe(safe, unpack(s.values)))
    end,
    status = function(thread, s)
        got(thread, s, status_of[threads.find(s.target).state])
    end,
    receive = of_socket(function(thread, s, socket)
        local result, err = streams.receive(thread, s, socket)
        if err then return err end
        got(thread, s, result)
    end),
    send = of_socket(function(thread, s, socket)
        got(thread, s, streams.send(thread.number, s, socket))
    end),
    close = of_socket(function(thread, s, socket)
        streams.close(socket)
        got(thread, s, 1)
    end),
    shutdown = of_socket(function(thread, s, socket)
        streams.shutdown(socket)
        got(thread, s, 1)
    end),
    timeout = of_socket(function(thread, s, socket)
        local name = s.mode == 'b' and 'block' or 'total'
        socket[name] = s.ticks >= 0 and s.ticks or nil
        got(thread, s, 1)
    end),
    connect = function(thread, s) got(thread, s, doors.connect(thread, s)) end,
    accept = function(thread, s)
        local result, err = doors.accept(thread, s)
        if err then return err end
        got(thread, s, result)
    end,
    patience = function(thread, s)
        doors.set_limit(s)
        got(thread, s, 1)
    end,
    shut = function(thread, s)
        doors.close(s.door)
        got(thread, s, 1)
    end,
    flood = function(thread, s)
        return tell_pipe(thread, s, pipe.use(thread, s, 'writer'))
    end,
    drain = function(thread, s)
        return tell_pipe(thread, s, pipe.use(thread, s, 'reader'))
    end,
    limit = function(_, s)
        pipe.limit(s.writes and 'writer' or 'reader',
                   s.ticks >= 0 and s.ticks or nil)
    end,
    call = function(thread, s)
        local err = execute(thread, s.block)
        if s.way ~= 'pcall' and s.way ~= 'xpcall' and err then return err end
        got(thread, s, err or 'done')
    end,
    coroutine = generate,
    yield = function(thread, s)
        local yield = yields[s.place.nested]
        if s.place.nested == 'standard' then
            got(thread, s, coroutine.yield('value', unpack(s.values)))
        elseif not yield then
            got(thread, s, threads.stop 'suspended')
        else
            local results = {yield('value', unpack(s.values))}
            if results[1] == 'failed' then return results[2] end
            got(thread, s, unpack(results, 2))
        end
    end,
    fail = function(_, s) return (s.table and 'table ' or 'error ') .. s.id end,
    times = function(thread, s)
        for _ = 1, s.count do
            local err = execute(thread, s.block)
            if err then return err end
        end
    end,
    time = function(thread, s) got(thread, s, world.now) end,
    current = function(thread, s) got(thread, s, thread.number) end,
    collect = function() end,
}

local operates = {receive = true, send = true, flood = true, drain = true,
                  connect = true, accept = true}

-- After more operations in a turn than this, a thread may yield in any of them.
-- The comparison of the program ends there.
local most_operations = 60

function execute(thread, block)
    for _, s in ipairs(block) do
        if operates[s.op] then
            thread.operations = (thread.operations or 0) + 1
            if thread.operations > most_operations then error {} end
        end
        local err = statements[s.op](thread, s)
        if err then return err end
    end
end

return {body = body}
