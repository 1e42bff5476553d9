-- What a program (program.lua) has to do, told as simply as can be: a thread
-- is a coroutine that gives control back whenever it stops, to one loop that
-- knows who goes on; errors are values that blocks return, and time is a
-- number.
--
-- Events are compared with those of the module as they come. Where the order
-- is nobody's business the module's own events say which it was: which of the
-- sockets that became ready at the same time comes first, whether a receive
-- whose bytes have just come is told of them at once or later, and how many of
-- them it still gets when its time is over or its socket is closed.

local unpack = table.unpack or unpack      -- luacheck: ignore

local forever = 100 * 64

local expected, count           -- the module's events; how many we had
local now, threads, safes, sockets, pipe
local ready                     -- queue of threads
local sleepers                  -- those that wait for a time, in any order
local order                     -- of setting times
local main = {number = 0}       -- the main program, which is no thread
local running                   -- the thread that runs, or the main program
local bases                     -- a stack of who called somebody
local goes_on                   -- see `switch`

local function event(number, ...)
    local words = {'T' .. number}
    for i = 1, select('#', ...) do
        local word = select(i, ...)
        words[i + 1] = type(word) == 'number' and ('%d'):format(word) or
                       tostring(word)
    end
    local text = table.concat(words, ' ')
    count = count + 1
    if expected[count] ~= text then
        error {wanted = text, at = count}
    end
end

-- The number of the thread that does something next, in the module.
local function next_number()
    local text = expected[count + 1]
    return text and tonumber(text:match '^T(%d+)')
end

-- Whether the next that happens there is the end of that very statement.
local function ends_next(number, s)
    local start = ('T%d %d '):format(number, s.id)
    local text = expected[count + 1]
    return text ~= nil and text:sub(1, #start) == start
end

-- Whether it ends with that result.
local function ends_with(number, s, result)
    return expected[count + 1] == ('T%d %d %s'):format(number, s.id, result)
end

-------------------------------------------------------------------------------
-- Threads

-- What was gathered leaves.
local function flush()
    for _, socket in ipairs(sockets) do socket.gathers = false end
end

-- What runs is a thread or the main program. Who calls a thread is a base: the
-- thread, and whoever gets control from it, runs until one stops that hands
-- control to nobody. Then a base of the loop goes on, and one of coro stops,
-- too. Control may come back to a base before.
--
-- Where a thread returns to is its home: 'base' (whoever that is then; it gets
-- no values), 'nobody', or the thread that resumed it by coro; or else what a
-- safewrap has of its caller.

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
    if caller == main or caller.state == 'calling' or
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
    bases = {{thread = main, is_loops = true}}
    repeat
        flush()
        running, thread.state = thread, 'running'
        local ok, err = coroutine.resume(thread.coroutine, unpack(brought))
        if not ok then error(err, 0) end
        if coroutine.status(thread.coroutine) == 'dead' then
            thread, brought = finish(thread, err)
        else
            thread, brought = goes_on()
        end
    until thread == main
    flush()
    running = main
    return unpack(brought)
end

-- The running thread stops; f says who goes on. How control comes back, and
-- what it brings.
local function switch(state, f)
    running.state, goes_on = state, f
    return coroutine.yield 'stop'
end

local function drop_first(_, ...) return ... end

-- The calling thread stops; what it is woken with.
local function stop(_, state)
    return drop_first(switch(state, step_down))
end

-- What runs calls the other.
local function call(other, is_loops, ...)
    if running == main then return run(other, ...) end
    local brought = {'values', ...}
    table.insert(bases, {thread = running, is_loops = is_loops})
    return switch('calling', function() return other, brought end)
end

local execute

local function new_thread(block, home)
    local thread = {number = #threads + 1, state = 'fresh', home = home}
    threads[thread.number] = thread
    thread.coroutine = coroutine.create(function(_, ...)
        event(thread.number, 'begins', ...)
        local err = execute(thread, block)
        if not err then event(thread.number, 'ends') end
        return err
    end)
    return thread
end

local function error_of(how, err)
    return how == 'failed' and err or nil
end

local function start_thread(block, ...)
    return error_of(call(new_thread(block, 'base'), true, ...))
end

local function is_suspended(thread)
    return thread.state == 'fresh' or thread.state == 'suspended'
end

local function resume(thread, ...)
    if not is_suspended(thread) then return 'misuse' end
    if thread.state == 'fresh' then thread.home = 'base' end
    return error_of(call(thread, true, ...))
end

-- From the loop: its errors are reported.
local function wake(thread, ...)
    local how, err, culprit = run(thread, ...)
    if how == 'failed' then event(culprit.number, 'failed', err) end
end

-------------------------------------------------------------------------------
-- Handing control over: how it comes back, and what it brings

local function can_transfer(to)
    return to ~= running and to.state ~= 'waiting' and to.state ~= 'dead'
end

local function switch_to(to, ...)
    local brought = {...}
    return switch('suspended', function()
        return hand_over(to, 'values', unpack(brought))
    end)
end

local function transfer(to, ...)
    if not can_transfer(to) then return 'failed', 'misuse' end
    if to.state == 'fresh' then to.home = 'nobody' end
    if running == main then return run(to, ...) end
    return switch_to(to, ...)
end

-- The thread does not return any more to who called it and goes on.
local function come_back(thread, ...)
    if ... ~= 'nothing' and thread.home == running then
        thread.home = 'nobody'
    end
    return ...
end

local function coresume(thread, ...)
    if not is_suspended(thread) then return 'failed', 'misuse' end
    thread.home = running
    return come_back(thread, call(thread, false, ...))
end

local function coyield(...)
    local home = running.home
    if type(home) ~= 'table' or is_safe(home) then
        return 'failed', 'misuse'
    end
    running.home = 'nobody'
    return switch_to(home, ...)
end

local function is_base(thread)
    for _, base in ipairs(bases) do
        if base.thread == thread then return true end
    end
end

-- Whoever yielded last goes on; nobody, if its thread has ended.
local function call_safe(safe, ...)
    local to = safe.yielder
    if not (to and can_transfer(to)) then return 'failed', 'misuse' end
    safe.caller = running
    if is_base(to) then return switch_to(to, ...) end
    if to.state == 'fresh' then to.home = safe end
    return call(to, false, ...)
end

local function yield_safely(safe, ...)
    local to = safe.caller
    if not (to and can_transfer(to)) then return 'failed', 'misuse' end
    safe.yielder = running
    return switch_to(to, ...)
end

-- Is woken at the given time, if it still waits then.
local function set_time(thread, time)
    order = order + 1
    thread.time, thread.order = time, order
    sleepers[thread] = true
end

-------------------------------------------------------------------------------
-- Sockets

-- Without CRs, if the pattern is for lines.
local function cooked(s, bytes)
    return s.pattern == '*l' and bytes:gsub('\r', '') or bytes
end

local function show(a, b, c)
    return ('%q %q %q'):format(tostring(a), tostring(b), tostring(c))
end

-- How many of the bytes at hand finish the receive, and the data, or nil.
local function enough(socket, s)
    local input = socket.input
    if type(s.pattern) == 'number' then
        local wanted = math.max(s.pattern - #s.prefix, 0)
        if #input >= wanted then return wanted, input:sub(1, wanted) end
    elseif s.pattern == '*l' and input:find '\n' then
        local line = input:match '^[^\n]*'
        return #line + 1, cooked(s, line)
    elseif s.pattern == '*a' and socket.ended and input ~= '' and
           not socket.closed then
        return #input, input
    end
    if s.less_is_ok and input ~= '' then return #input, cooked(s, input) end
end

-- A receive that fails has some of the bytes that came, perhaps not the last
-- ones: its results, and how many.
local function fail(number, s, err, input)
    local result
    for size = 0, #input do
        result = show(nil, err, s.prefix .. cooked(s, input:sub(1, size)))
        if ends_with(number, s, result) then return result, size end
    end
    return result, #input
end

-- The same if the loop has got only some of the bytes yet, for a receive that
-- is content with fewer: those that the module was.
local function content(number, socket, s)
    local all = socket.input
    for size = 0, #all do
        local part = {input = size == 0 and all or all:sub(1, size)}
        local taken, data = enough(part, s)
        if ends_with(number, s, show(s.prefix .. data)) then
            return taken, data
        end
    end
    return enough(socket, s)
end

-- Its results, if there are any yet.
local function try_receive(number, socket, s)
    local size, data = enough(socket, s)
    if size and s.less_is_ok then
        size, data = content(number, socket, s)
    elseif size and s.pattern == '*a' and socket.reset then
        local result, part = fail(number, s, 'closed', socket.input)
        if ends_with(number, s, result) then
            socket.input = socket.input:sub(part + 1)
            return result
        end
    end
    if size then
        socket.input = socket.input:sub(size + 1)
        return show(s.prefix .. data, nil, nil)
    elseif socket.closed or socket.ended then
        local rest = socket.input
        socket.input = ''
        return show(nil, 'closed', s.prefix .. cooked(s, rest))
    end
end

local function time_out(number, socket, s)
    local result, size = fail(number, s, 'timeout', socket.input)
    socket.input = socket.input:sub(size + 1)
    return result
end

-- Without time it may be over before the end is known, or the last bytes have
-- come: its results then.
local function too_early(number, socket, s)
    local finished = enough(socket, s) and s.pattern ~= '*a'
    if socket.closed or not socket.peer.gathers and
       (finished or socket.input == '') then
        return
    end
    local result, size = fail(number, s, 'timeout', socket.input)
    if ends_with(number, s, result) then
        socket.input = socket.input:sub(size + 1)
        return result
    end
end

-- Whether it is finished, without doing it.
local function can_receive(socket, s)
    return enough(socket, s) ~= nil or socket.closed or socket.ended
end

-- When a wait that begins now, of a call that began then, is over.
local function set_deadline(thread, socket)
    local wait = thread.wait
    local time = wait.block and now + wait.block
    if wait.until_ and (not time or wait.until_ < time) then
        time = wait.until_
    end
    socket.fresh = false
    if time then set_time(thread, time) end
end

local function receive(thread, s)
    local socket = sockets[s.socket]
    if socket.reader then return nil, 'misuse' end
    local instant = socket.block == 0 or socket.total == 0
    if can_receive(socket, s) and (socket.known(s) or instant or
       ends_next(thread.number, s)) then
        return instant and too_early(thread.number, socket, s) or
               try_receive(thread.number, socket, s)
    elseif instant then
        return time_out(thread.number, socket, s)
    end
    thread.wait = {socket = socket, s = s, block = socket.block,
                   until_ = socket.total and now + socket.total}
    socket.reader = thread
    set_deadline(thread, socket)
    return stop(thread, 'waiting')
end

-- The wait of a socket's reader is over.
local function end_wait(thread)
    thread.wait.socket.reader = nil
    thread.wait = nil
    sleepers[thread] = nil
end

local function close(socket)
    if socket.closed then return end
    local input, thread = socket.input, socket.reader
    socket.closed = true
    -- The system may say that what was not read is lost, and does so to the
    -- peer, as an error in place of the end.
    socket.peer.reset = input ~= ''
    socket.input, socket.fresh = '', false
    socket.peer.ended = true
    if thread and thread.wait then
        local s = thread.wait.s
        end_wait(thread)
        socket.reader = thread    -- it is, until its turn comes
        ready[#ready + 1] = {thread, function()
            socket.reader = nil
            return (fail(thread.number, s, 'closed', input))
        end}
    end
end

-- Where another line is at hand it may be gathered: then it fails later, if at
-- all, and it isn't there yet.
local function send(number, s)
    local socket, data = sockets[s.socket], s.data
    if data == '' then return 0, nil, nil end
    local gathers = not socket.closed and socket.input:find '\n'
    if socket.closed or socket.shut or socket.peer.closed then
        if gathers and ends_with(number, s, #data .. ' nil nil') then
            return #data, nil, nil
        end
        return nil, 'closed', 0
    end
    socket.gathers = gathers
    socket.peer.input = socket.peer.input .. data
    socket.peer.fresh = true
    return #data, nil, nil
end

-------------------------------------------------------------------------------
-- The pipe. How much it holds is the system's affair, but less than any send.

local held = 256 * 1024 - 1

-- The size that the module says the statement ended with, if it says that.
local function told_size(number, s, err)
    local text = expected[count + 1] or ''
    local size, rest = text:match(('^T%d %d (%%d+) (.*)$'):format(number, s.id))
    return rest == err and tonumber(size) or 0
end

-- Bytes that are on their way, and those that will be once all have waited.
local function flowing()
    local sending = pipe.writer and pipe.writer.size or 0
    return pipe.sent + sending - pipe.taken
end

local function end_pipe_wait(thread)
    pipe[thread.end_of], thread.end_of, thread.size = nil, nil, nil
    sleepers[thread] = nil
end

-- Whether the wait will end; or may end, as it seems that it has.
local function will_end(thread)
    if pipe.closed then return false end
    if thread.end_of == 'reader' then return flowing() >= thread.size end
    local left = flowing() - (pipe.reader and pipe.reader.size or 0)
    return left <= 0, left <= held
end

local function pass_bytes(thread)
    local size = thread.size
    if thread.end_of == 'reader' then
        -- The writer's bytes may have been taken before it knows.
        pipe.taken = pipe.taken + size
    else
        pipe.sent = pipe.sent + size
    end
    end_pipe_wait(thread)
    wake(thread, size, nil)
end

-- Whose bytes have flowed, by what the module says.
local function next_in_pipe()
    local thread = threads[next_number()]
    if not (thread and thread.end_of) then return end
    local must, may = will_end(thread)
    if must or may and ends_with(thread.number, thread.statement,
                                 thread.size .. ' nil') then
        return thread
    end
end

local function wake_pipe()
    for thread in next_in_pipe do pass_bytes(thread) end
end

local function bytes_flow()
    for _, name in ipairs {'reader', 'writer'} do
        local thread = pipe[name]
        if thread and will_end(thread) then
            pipe.steps = pipe.steps + 1
            if pipe.steps > 1000 then pass_bytes(thread) end    -- it did not
            return true
        end
    end
    return next_in_pipe() ~= nil
end

-- It has got some of them.
local function time_out_pipe(number, s, end_of, instant)
    local size = told_size(number, s, 'timeout')
    if end_of == 'writer' then
        local reading = pipe.reader and pipe.reader.size or 0
        local fits = pipe.taken + reading + held - pipe.sent
        size = math.max(math.min(size, s.size, fits), pipe.taken - pipe.sent)
        pipe.sent = pipe.sent + size
    else
        local all = flowing()
        if not pipe.writer and not instant then size = all end
        size = math.min(size, all)
        pipe.taken = pipe.taken + size
    end
    return size, 'timeout'
end

local function use_pipe(thread, s, end_of)
    local total = pipe[end_of .. '_total']
    if pipe[end_of] then return 'failed', 'misuse' end
    if pipe.closed then return 'values', '', 'closed' end
    if total == 0 then
        return 'values', time_out_pipe(thread.number, s, end_of, true)
    end
    pipe[end_of], thread.end_of, thread.size = thread, end_of, s.size
    thread.statement = s
    if total then set_time(thread, now + total) end
    return 'values', stop(thread, 'waiting')
end

local function close_pipe()
    pipe.closed = true
    for i, end_of in ipairs {'writer', 'reader'} do
        local thread = pipe[end_of]
        event(0, 'closes', #sockets + i)
        if thread then
            sleepers[thread] = nil
            ready[#ready + 1] = {thread, function()
                end_pipe_wait(thread)
                return '', 'closed'
            end}
        end
    end
end

local function new_socket()
    local socket = {input = '', ended = false}
    -- Without reading: it needs no bytes, or it is closed.
    function socket.known(s)
        return socket.closed or
               type(s.pattern) == 'number' and #s.prefix >= s.pattern
    end
    return socket
end

-------------------------------------------------------------------------------
-- Statements: each returns its error, if it fails

-- The end of a call that may have failed.
local function perhaps_catch(thread, s, err)
    if err and not s.catch then return err end
    event(thread.number, s.id, err or 'done')
end

-- The end of one that control came back to.
local function tell(number, what, how, ...)
    if how == 'failed' then return event(number, what, (...)) end
    event(number, what, 'done', ...)
end

local function perhaps_tell(thread, s, how, ...)
    if how == 'failed' and not s.catch then return (...) end
    if how == 'failed' or not s.protected then
        return tell(thread.number, s.id, how, ...)
    end
    tell(thread.number, s.id, how, true, ...)
end

-- The number is that of a thread, or 0 for the main program.
local function find(target)
    if target == 0 then return main end
    return threads[(target - 1) % #threads + 1]
end

local function find_safe(target)
    return safes[1] and safes[(target - 1) % #safes + 1]
end

local status_of = {
    fresh = 'suspended', suspended = 'suspended', waiting = 'suspended',
    running = 'running', calling = 'normal', dead = 'dead',
}

-- In a thread of safewrap: by the yield that is its own.
local function yield_own(...)
    return yield_safely(running.safe, ...)
end

-- A thread of coro that is called until it ends.
local function iterate(thread, s)
    local nested = new_thread(s.block)
    local safe = {is_safe = true, thread = nested, yielder = nested}
    if s.kind == 'safe' then
        safes[#safes + 1], nested.safe = safe, safe
    end
    local results
    repeat
        if s.kind == 'safe' then
            results = {call_safe(safe, thread.number)}
        else
            results = {coresume(nested, thread.number)}
        end
        if results[1] == 'failed' then return results[2] end
        event(thread.number, s.id, 'yielded', unpack(results, 2))
    until results[2] == 'end'
end

-- A nested coroutine: when it stops, so does the one that runs it.
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
            return event(thread.number, s.id, 'yielded', 'end')
        elseif results[2] == 'stop' then
            arguments = {coroutine.yield 'stop'}
        else
            event(thread.number, s.id, 'yielded', unpack(results, 2))
            arguments = {thread.number}
        end
    end
end

local function tell_pipe(thread, s, how, size, err)
    if how == 'failed' then return size end
    if type(size) == 'function' then size, err = size() end
    event(thread.number, s.id, size, err)
end

local statements = {
    sleep = function(thread, s)
        if s.ticks <= 0 then
            ready[#ready + 1] = {thread}
        else
            set_time(thread, now + s.ticks)
        end
        stop(thread, 'waiting')
        event(thread.number, s.id, 'slept')
    end,
    suspend = function(thread, s)
        event(thread.number, s.id, stop(thread, 'suspended'))
    end,
    resume = function(thread, s)
        return perhaps_catch(thread, s,
                             resume(find(s.target), unpack(s.values)))
    end,
    spawn = function(thread, s)
        return perhaps_catch(thread, s,
                             start_thread(s.block, unpack(s.values)))
    end,
    create = function(_, s) new_thread(s.block) end,
    transfer = function(thread, s)
        return perhaps_tell(thread, s,
                            transfer(find(s.target), unpack(s.values)))
    end,
    coresume = function(thread, s)
        local other = find(s.target)
        if other == main or other == thread then
            return perhaps_catch(thread, s, 'misuse')
        end
        tell(thread.number, s.id, coresume(other, unpack(s.values)))
        event(thread.number, s.id, 'done')
    end,
    coyield = function(thread, s)
        return perhaps_tell(thread, s, coyield(unpack(s.values)))
    end,
    safeyield = function(thread, s)
        local safe = find_safe(s.target)
        if not safe or safe.thread.state == 'fresh' then
            return event(thread.number, s.id, 'none')
        end
        return perhaps_tell(thread, s, yield_safely(safe, unpack(s.values)))
    end,
    safecall = function(thread, s)
        local safe = find_safe(s.target)
        if not safe then return event(thread.number, s.id, 'none') end
        return perhaps_tell(thread, s, call_safe(safe, unpack(s.values)))
    end,
    status = function(thread, s)
        event(thread.number, s.id, status_of[find(s.target).state])
    end,
    receive = function(thread, s)
        local result, err = receive(thread, s)
        if err then return err end
        if type(result) == 'function' then result = result() end
        event(thread.number, s.id, result)
    end,
    send = function(thread, s)
        event(thread.number, s.id, send(thread.number, s))
    end,
    flood = function(thread, s)
        return tell_pipe(thread, s, use_pipe(thread, s, 'writer'))
    end,
    drain = function(thread, s)
        return tell_pipe(thread, s, use_pipe(thread, s, 'reader'))
    end,
    limit = function(_, s)
        pipe[s.writes and 'writer_total' or 'reader_total'] =
            s.ticks >= 0 and s.ticks or nil
    end,
    close = function(thread, s)
        close(sockets[s.socket])
        event(thread.number, s.id, 1)
    end,
    shutdown = function(thread, s)
        local socket = sockets[s.socket]
        if not socket.closed then
            socket.shut = true
            socket.peer.ended = true
        end
        event(thread.number, s.id, 1)
    end,
    timeout = function(thread, s)
        local socket = sockets[s.socket]
        local ticks = s.ticks >= 0 and s.ticks or nil
        if s.mode == 'b' then socket.block = ticks else socket.total = ticks end
        event(thread.number, s.id, 1)
    end,
    call = function(thread, s)
        local err = execute(thread, s.block)
        if s.way ~= 'pcall' and s.way ~= 'xpcall' and err then return err end
        event(thread.number, s.id, err or 'done')
    end,
    coroutine = generate,
    yield = function(thread, s)
        if s.place.nested == 'standard' then
            event(thread.number, s.id, coroutine.yield('value',
                                                       unpack(s.values)))
        elseif s.place.nested then
            local yield = s.place.nested == 'safe' and yield_own or coyield
            local results = {yield('value', unpack(s.values))}
            if results[1] == 'failed' then return results[2] end
            event(thread.number, s.id, unpack(results, 2))
        else
            event(thread.number, s.id, stop(thread, 'suspended'))
        end
    end,
    fail = function(_, s) return (s.table and 'table ' or 'error ') .. s.id end,
    times = function(thread, s)
        for _ = 1, s.count do
            local err = execute(thread, s.block)
            if err then return err end
        end
    end,
    time = function(thread, s) event(thread.number, s.id, now) end,
    current = function(thread, s)
        event(thread.number, s.id, thread.number)
    end,
    collect = function() end,
}

local operates = {receive = true, send = true, flood = true, drain = true}

-- Somewhere beyond that, the others may get a turn in any such call: the rest
-- is not compared.
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

-------------------------------------------------------------------------------
-- The loop

local function is_ready(thread)
    local wait = thread.wait
    return wait ~= nil and can_receive(wait.socket, wait.s)
end

local function any_ready_socket()
    for _, socket in ipairs(sockets) do
        local thread = socket.reader
        if thread and (is_ready(thread) or socket.fresh) then return true end
    end
end

-- Time passes until something happens; false if nothing ever will.
local function pass_time()
    if ready[1] or any_ready_socket() or bytes_flow() then return true end
    local first
    for thread in pairs(sleepers) do
        if not first or thread.time < first then first = thread.time end
    end
    if first then
        now = math.max(now, first)
        return true
    end
    local is_waited_on = pipe.reader or pipe.writer
    for _, socket in ipairs(sockets) do
        is_waited_on = is_waited_on or socket.reader
    end
    if is_waited_on then now = now + forever end
    return false
end

local function finish_receive(thread)
    local wait = thread.wait
    local result = try_receive(thread.number, wait.socket, wait.s)
    end_wait(thread)
    wake(thread, result)
end

-- Bytes that came but are not enough are progress.
local function note_progress()
    for _, socket in ipairs(sockets) do
        local thread = socket.reader
        if thread and socket.fresh and not is_ready(thread) then
            sleepers[thread] = nil
            set_deadline(thread, socket)
        end
        socket.fresh = false
    end
end

-- Those that are ready are woken in any order, and those that get ready
-- meanwhile perhaps, too. With some pollers it takes one step to receive bytes
-- and another one to learn that they were the last; but no more than that.
local function wake_receivers()
    local due = {}
    note_progress()
    for _, socket in ipairs(sockets) do
        local thread = socket.reader
        if thread and is_ready(thread) then
            local wait = thread.wait
            wait.steps = (wait.steps or 0) + 1
            if wait.steps > 2 then due[wait] = thread end
        end
    end
    while true do
        local thread = threads[next_number()]
        if not (thread and is_ready(thread)) then break end
        finish_receive(thread)
    end
    for wait, thread in pairs(due) do
        if thread.wait == wait then
            finish_receive(thread)    -- which is not what happened
        end
    end
end

-- Among those whose time has come: the first one, sleepers in the order in
-- which they were set; or the one that the module has woken, where a socket's
-- deadline is the same.
local function first_due()
    local first
    for thread in pairs(sleepers) do
        if thread.time <= now and (not first or thread.time < first.time or
           thread.time == first.time and thread.order < first.order) then
            first = thread
        end
    end
    local other = threads[next_number()]
    if first and other and sleepers[other] and other.time == first.time and
       (first.wait or other.wait or first.end_of or other.end_of) then
        return other
    end
    return first
end

local function wake_sleepers()
    while true do
        local thread = first_due()
        if not thread then return end
        sleepers[thread] = nil
        local wait = thread.wait
        if thread.end_of then
            local size, err = time_out_pipe(thread.number, thread.statement,
                                            thread.end_of)
            end_pipe_wait(thread)
            wake(thread, size, err)
        elseif wait then
            local result = time_out(thread.number, wait.socket, wait.s)
            end_wait(thread)
            wake(thread, result)
        else
            wake(thread)
        end
    end
end

local function step()
    local waits = pass_time()
    wake_pipe()
    wake_receivers()
    wake_pipe()
    wake_sleepers()
    for _ = 1, #ready do
        wake_pipe()
        local turn = table.remove(ready, 1)
        wake(turn[1], turn[2])
    end
    return waits
end

local function run_all()
    while step() do end
end

local function told(number, how, ...)
    tell(0, 'resumed ' .. number, how, ...)
    return how ~= 'failed'
end

-- Ways to make a thread go on, by turns.
local ways = {
    function(...)
        local err = resume(...)
        if err then return 'failed', err end
        return 'nothing'
    end,
    coresume,
    transfer,
}

local function resume_all(symmetric)
    for i = 1, 20 do
        local found
        local go_on = ways[symmetric and i % 3 + 1 or 1]
        for number, thread in ipairs(threads) do
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
        local one, other = new_socket(), new_socket()
        one.peer, other.peer = other, one
        sockets[2 * i - 1], sockets[2 * i] = one, other
    end
    for _, block in ipairs(program.threads) do
        event(0, start_thread(block, 'main') or 'started')
    end
    run_all()
    resume_all(program.symmetric)
    for i, socket in ipairs(sockets) do
        event(0, 'closes', i)
        close(socket)
    end
    if program.pipe then close_pipe() end
    run_all()
    event(0, 'nothing waits')
    if count ~= #expected then error {wanted = 'nothing', at = count + 1} end
end

-- nil if the events are what they must be; else what was wanted, and where.
return function(program, events)
    expected, count, now, order = events, 0, 0, 0
    running = main
    threads, safes, sockets, ready, sleepers = {}, {}, {}, {}, {}
    pipe = {sent = 0, taken = 0, steps = 0}
    local ok, err = pcall(run_program, program)
    if ok then return nil end
    if type(err) ~= 'table' then error(err, 0) end
    return err.wanted, err.at
end
