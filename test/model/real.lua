-- Runs a program (program.lua) in the module. Returns a list of events, each a
-- text that begins with the thread's number.

local coro = require 'coro'
local luasocket = require 'socket'
local socketloop = require 'socketloop'

local unpack = table.unpack or unpack      -- luacheck: ignore

local real = {}

local tick = 1 / 64

local listeners = {}      -- loop -> listener, for the pairs
local main = coro.running()
local loop, events, threads, numbers, safes, sockets, start
local pipe       -- {writer, reader, sent, taken}
local doors      -- {path, port}: listening sockets
local path, port -- their addresses
local holder     -- occupies the port once the door is closed
local others     -- sockets connected to and accepted from the port
local connections
local safe_of    -- number of a thread -> its safewrap

local function event(number, ...)
    local words = {'T' .. number}
    for i = 1, select('#', ...) do
        local word = select(i, ...)
        words[i + 1] = type(word) == 'number' and ('%d'):format(word) or
                       tostring(word)
    end
    events[#events + 1] = table.concat(words, ' ')
end

local function hold_port()
    if holder then return end
    holder = assert((luasocket.tcp4 or luasocket.tcp)())
    assert(holder:setoption('reuseaddr', true))
    assert(holder:bind('127.0.0.1', port))
end

-- Returns the name of a program's error, or the kind of one of the module's
-- errors.
local function name_of(err)
    if type(err) == 'table' then return 'table ' .. err.id end
    local text = tostring(err)
    local id = text:match 'E(%d+);'
    if id then return 'error ' .. id end
    if text:find 'ended without transferring' then return 'lost' end
    for _, word in ipairs {'trying to', 'resume', 'waited', 'yielding'} do
        if text:find(word) then return 'misuse' end
    end
    return 'other ' .. text
end

local execute

-------------------------------------------------------------------------------
-- Functions of C that call f

local function with(name, f)
    return setmetatable({}, {[name] = f})
end

local wrapped = {
    pcall = function(f) return pcall(f) end,
    xpcall = function(f) return xpcall(f, function(err) return err end) end,
    sort = function(f)
        table.sort({1, 2}, function() f() return false end)
    end,
    gsub = function(f) string.gsub('x', 'x', function() f() end) end,
    index = function(f) return with('__index', f).x end,
    iterator = function(f)
        for _ in function() f() end do return end    -- luacheck: ignore 512
    end,
    tostring = function(f)
        return tostring(with('__tostring', function() f() return '' end))
    end,
    compare = function(f)
        local a = with('__lt', function() f() return true end)
        return a < setmetatable({}, getmetatable(a))
    end,
}

-------------------------------------------------------------------------------
-- Statements

local function body(number, block)
    return function(...)
        local thread = coro.running()
        numbers[thread], threads[number] = number, thread
        event(number, 'begins', ...)
        execute(number, block)
        event(number, 'ends')
        return 'end', number
    end
end

local function start_thread(block, ...)
    local number = #threads + 1
    threads[number] = false
    loop.newthread(body(number, block), ...)
end

local function got(number, s, ...)
    event(number, s.id, ...)
end

local function caught(number, s, ok, ...)
    if ok then return event(number, s.id, 'done', ...) end
    event(number, s.id, name_of(...))
end

-- Records the results of f. Raises its error, or records that, too.
local function perhaps_catch(number, s, f, ...)
    if s.catch then return caught(number, s, pcall(f, ...)) end
    caught(number, s, true, f(...))
end

local function resume(...) loop.resume(...) end

-- Returns the thread with this number, or main for 0.
local function find(target)
    if target == 0 then return main end
    return threads[(target - 1) % #threads + 1]
end

local function find_safe(target)
    return safes[1] and safes[(target - 1) % #safes + 1]
end

local function make_yields(number, s)
    local new = #threads + 1
    if s.kind == 'coro' then
        threads[new] = false
        return coro.wrap(body(new, s.block))
    elseif s.kind == 'safe' then
        local f, safe = body(new, s.block), {}
        safes[#safes + 1], safe_of[new] = safe, safe
        safe.call, threads[new] = coro.safewrap(function(yield, ...)
            safe.yield = yield
            return f(...)
        end)
        numbers[threads[new]] = new
        return safe.call
    end
    return coroutine.wrap(function()
        execute(number, s.block)
        return 'end'
    end)
end

local function generator(number, s)
    local yields = make_yields(number, s)
    local first
    local function show(...)
        first = ...
        event(number, s.id, 'yielded', ...)
    end
    repeat show(yields(number)) until first == 'end'
end

-- The data that is sent through the pipe: a repeated period.
local period = ''
for i = 1, 251 do period = period .. string.char(i) end
local many = period:rep(2200)

local function bytes_at(place, size)
    return many:sub(place % #period + 1, place % #period + size)
end

-- f(number, statement, socket), if there are sockets.
local function of_socket(f)
    return function(number, s)
        local socket = sockets[1] and sockets[(s.socket - 1) % #sockets + 1]
        if not socket then return event(number, s.id, 'none') end
        f(number, s, socket)
    end
end

local connect = {
    path = function()
        local socket = loop.unix()
        local ok, err = socket:connect(path)
        if ok then return socket end
        socket:close()
        return nil, err
    end,
    port = function() return loop.connect('127.0.0.1', port) end,
}

-- Maximum number of connections in a program, so that queues don't fill up.
local most = 20

-- Records a connection that was made in that way, or an error.
local function add_connection(number, s, way, socket, err)
    if not socket then return event(number, s.id, err) end
    local list = s.door == 'path' and sockets or others
    list[#list + 1] = socket
    event(number, s.id, s.door == 'path' and way .. ' ' .. #list or way)
end

local statements = {
    sleep = function(number, s)
        loop.sleep(s.ticks * tick)
        event(number, s.id, 'slept')
    end,
    suspend = function(number, s) got(number, s, loop.suspend()) end,
    resume = function(number, s)
        perhaps_catch(number, s, resume, find(s.target), unpack(s.values))
    end,
    spawn = function(number, s)
        perhaps_catch(number, s, start_thread, s.block, unpack(s.values))
    end,
    create = function(_, s)
        local new = #threads + 1
        threads[new] = coro.create(body(new, s.block))
        numbers[threads[new]] = new
    end,
    transfer = function(number, s)
        perhaps_catch(number, s, s.protected and coro.ptransfer or
                      coro.transfer, find(s.target), unpack(s.values))
    end,
    coresume = function(number, s)
        perhaps_catch(number, s, function(...)
            caught(number, s, coro.resume(...))
        end, find(s.target), unpack(s.values))
    end,
    coyield = function(number, s)
        perhaps_catch(number, s, coro.yield, unpack(s.values))
    end,
    safeyield = function(number, s)
        local safe = find_safe(s.target)
        if not (safe and safe.yield) then return event(number, s.id, 'none') end
        perhaps_catch(number, s, safe.yield, unpack(s.values))
    end,
    safecall = function(number, s)
        local safe = find_safe(s.target)
        if not safe then return event(number, s.id, 'none') end
        perhaps_catch(number, s, safe.call, unpack(s.values))
    end,
    status = function(number, s)
        event(number, s.id, coro.status(find(s.target)))
    end,
    receive = of_socket(function(number, s, socket)
        local a, b, c = socket:receive(s.pattern, s.prefix, s.less_is_ok)
        event(number, s.id, ('%q %q %q'):format(tostring(a), tostring(b),
                                                tostring(c)))
    end),
    send = of_socket(function(number, s, socket)
        got(number, s, socket:send(s.data))
    end),
    flood = function(number, s)
        local a, err, n = pipe.writer:send(bytes_at(pipe.sent, s.size))
        pipe.sent = pipe.sent + (a or n)
        event(number, s.id, err ~= 'closed' and (a or n) or '', err)
    end,
    drain = function(number, s)
        local data, err, partial = pipe.reader:receive(s.size)
        data = data or partial
        if data ~= bytes_at(pipe.taken, #data) then
            event(number, 'wrong bytes')
        end
        pipe.taken = pipe.taken + #data
        event(number, s.id, err ~= 'closed' and #data or '', err)
    end,
    limit = function(_, s)
        local socket = s.writes and pipe.writer or pipe.reader
        socket:settimeout(s.ticks * tick, 't')
    end,
    close = of_socket(function(number, s, socket)
        got(number, s, socket:close())
    end),
    shutdown = of_socket(function(number, s, socket)
        got(number, s, socket:shutdown 'send')
    end),
    timeout = of_socket(function(number, s, socket)
        got(number, s, socket:settimeout(s.ticks * tick, s.mode))
    end),
    connect = function(number, s)
        connections = connections + 1
        if connections > most then return event(number, s.id, 'enough') end
        add_connection(number, s, 'connected', connect[s.door]())
    end,
    accept = function(number, s)
        add_connection(number, s, 'accepted', doors[s.door]:accept())
    end,
    patience = function(number, s)
        got(number, s, doors[s.door]:settimeout(s.ticks * tick, s.mode))
    end,
    shut = function(number, s)
        got(number, s, doors[s.door]:close())
        if s.door == 'port' then hold_port() end
    end,
    call = function(number, s)
        local ok, err = wrapped[s.way](function() execute(number, s.block) end)
        if s.way == 'pcall' or s.way == 'xpcall' then
            event(number, s.id, ok and 'done' or name_of(err))
        else
            event(number, s.id, 'done')
        end
    end,
    coroutine = generator,
    yield = function(number, s)
        local yield = s.place.nested == 'coro' and coro.yield or
                      s.place.nested == 'safe' and safe_of[number].yield or
                      coroutine.yield
        got(number, s, yield('value', unpack(s.values)))
    end,
    fail = function(_, s)
        if s.table then error {id = s.id} end
        error(('E%d;'):format(s.id), 0)
    end,
    times = function(number, s)
        for _ = 1, s.count do execute(number, s.block) end
    end,
    time = function(number, s)
        event(number, s.id, ('%d'):format((loop.now() - start) / tick))
    end,
    current = function(number, s)
        event(number, s.id, numbers[loop.current()])
    end,
    collect = function(_, s) collectgarbage(s.full and 'collect' or 'step') end,
}

function execute(number, block)
    for _, s in ipairs(block) do statements[s.op](number, s) end
end

-------------------------------------------------------------------------------
-- The program

-- Returns two connected sockets.
local function make_pair()
    local one, other
    loop.newthread(function()
        one = loop.unix()
        assert(one:connect(listeners[loop].path))
        other = assert(listeners[loop].socket:accept())
    end)
    return one, assert(other)
end

local function make_pairs(program)
    for i = 1, program.pairs do
        sockets[2 * i - 1], sockets[2 * i] = make_pair()
    end
    if not program.pipe then return end
    pipe = {sent = 0, taken = 0}
    pipe.writer, pipe.reader = make_pair()
end

-- Abstract names: making files would take longer than all other work.
local names_made = 0

local function listen_to_path(folder)
    names_made = names_made + 1
    local name = ('\0%s/%d'):format(folder, names_made)
    local listener = loop.unix()
    assert(listener:bind(name))
    assert(listener:listen(64))
    return listener, name
end

local function make_doors(folder)
    doors = {port = loop.tcp('127.0.0.1', 0)}
    assert(doors.port:setoption('reuseaddr', true))    -- for hold_port
    assert(doors.port:listen(64))
    port = select(2, doors.port:getsockname())
    doors.path, path = listen_to_path(folder)
end

-- Longer than any timeout: steps until nothing happens any more.
local forever = 100

local function run()
    local last = loop.now()
    repeat
        local count = #events
        local waits = loop.step(last + forever - loop.now())
        if #events > count then last = loop.now() end
    until not waits or loop.now() - last > forever - tick / 2
end

local function told(number, ok, ...)
    if ok then
        event(0, 'resumed', number, 'done', ...)
    else
        event(0, 'resumed', number, name_of(...))
    end
    return ok
end

-- Ways to continue a thread, used in turn.
local ways = {
    function(...) return pcall(resume, ...) end,
    function(...) return coro.resume(...) end,
    function(...) return pcall(coro.transfer, ...) end,
}

-- Resumes the first thread that can be resumed, until there is none, at most 20
-- times.
local function resume_all(symmetric)
    for i = 1, 20 do
        local found
        local go_on = ways[symmetric and i % 3 + 1 or 1]
        for number, thread in ipairs(threads) do
            if coro.status(thread) ~= 'dead' and
               told(number, go_on(thread, 'main', i)) then
                found = true
                break
            end
        end
        if not found then return end
        run()
    end
end

-- Closes the program's sockets in order, then the others.
local function close_all(program)
    for i, s in ipairs(sockets) do
        event(0, 'closes', i)
        s:close()
    end
    if program.pipe then
        event(0, 'closes', #sockets + 1)
        pipe.writer:close()
        event(0, 'closes', #sockets + 2)
        pipe.reader:close()
    end
    if program.doors then
        doors.path:close()
        doors.port:close()
        if holder then holder:close() end
        holder = nil
    end
    for _, s in ipairs(others) do s:close() end
end

-- Returns the events of the program. which: 1 is the plain loop, 2 the coro
-- loop. The folder makes the names of sockets unique.
function real.run(program, which, folder)
    loop = which == 1 and socketloop or socketloop.coro
    if not listeners[loop] then
        listeners[loop] = {}
        listeners[loop].socket, listeners[loop].path = listen_to_path(folder)
    end
    events, threads, numbers, sockets = {}, {}, {}, {}
    safes, safe_of, others, connections = {}, {}, {}, 0
    start = loop.now()
    loop.onerror = function(thread, err)
        event(numbers[thread] or 0, 'failed', name_of(err))
    end
    make_pairs(program)
    if program.doors then make_doors(folder) end
    for _, block in ipairs(program.threads) do
        local ok, err = pcall(start_thread, block, 'main')
        event(0, ok and 'started' or name_of(err))
    end
    run()
    resume_all(program.symmetric)
    close_all(program)
    run()
    event(0, loop.step(0) and 'something waits' or 'nothing waits')
    loop.onerror = nil
    return events
end

return real
