-- Everything at once for a long time: `make soak`.
--
--     run.lua minutes N        random work for N minutes
--     run.lua connections N    N connections, one after another
--
-- At intervals the work pauses, garbage is collected, and the resources of the
-- process are measured: Lua's heap, memory, descriptors, system threads and
-- mappings. After a warm-up none of them may grow. With preload/getaddrinfo.c
-- look-ups take some time.

local loop = require 'socketloop'
local coro = require 'coro'
local socket = require 'socket'

local mode, amount = arg[1], tonumber(arg[2])
assert((mode == 'minutes' or mode == 'connections') and amount,
       'usage: run.lua minutes|connections N')

local WORKERS = 100
local LOOKS = 20        -- minimum number of measurements
local random = math.random

math.randomseed(os.time())

-------------------------------------------------------------------------------
-- Resources of the process

local function read_file(name)
    local file = assert(io.open(name))
    local text = file:read '*a'
    file:close()
    return text
end

local function status(field)
    return tonumber(read_file '/proc/self/status':match(field .. ':%s*(%d+)'))
end

local function count_fds()
    local n = 0
    for _ in require 'lfs'.dir '/proc/self/fd' do n = n + 1 end
    return n
end

local function look()
    for _ = 1, 3 do collectgarbage() end
    return {
        heap = collectgarbage 'count', memory = status 'VmRSS',
        fds = count_fds(), threads = status 'Threads',
        mappings = select(2, read_file '/proc/self/maps':gsub('\n', '')),
    }
end

local jobs_done, connections, failures = 0, 0, 0
local started, looks = loop.now(), {}

local function report()
    local now = look()
    looks[#looks + 1] = now
    print(('%5.0f s: %8d jobs, %8d connections, %6d errors; heap %5.0f K, ' ..
        'memory %6.0f K, %d fds, %d threads, %d mappings'):format(
        loop.now() - started, jobs_done, connections, failures, now.heap,
        now.memory, now.fds, now.threads, now.mappings))
    io.stdout:flush()
end

-- Allowed differences, in KiB or number. The allocator and LuaJIT's compiler
-- keep some memory; look-ups use up to eight threads, which end two seconds
-- later.
local slack = {heap = 50, memory = 2000, fds = 0, threads = 8, mappings = 200}

-- The best or worst of some measurements; better: math.min or math.max.
local function extreme(better, first, last, what)
    local result = looks[math.ceil(first)][what]
    for i = math.ceil(first), math.floor(last) do
        result = better(result, looks[i][what])
    end
    return result
end

-- The first quarter is the warm-up. With a leak, the minimum of the last
-- quarter exceeds the maximum of the second one.
local function finish()
    local grown, n = {}, #looks
    if n < LOOKS / 2 then
        print 'soak: FAILED, the work takes too long'
        os.exit(1)
    end
    for what, allowed in pairs(slack) do
        local before = extreme(math.max, n / 4, n / 2, what)
        local after = extreme(math.min, n * 3 / 4, n, what)
        if after > before + allowed then
            grown[#grown + 1] = ('%s from %d to %d'):format(what, before,
                                                            after)
        end
    end
    if #grown > 0 then
        print('soak: FAILED, these grew: ' .. table.concat(grown, ', '))
        os.exit(1)
    end
    print 'soak: passed, nothing grew'
    os.exit(0)
end

-------------------------------------------------------------------------------
-- Servers

local function echo(client)
    for line in function() return client:receive() end do
        if not client:send(line .. '\n') then break end
    end
    client:close()
end

local path = ('\0socketloop-soak-%s'):format(tostring({}):match '%x+$')
local servers = {
    echo = loop.newserver('*', 0, echo),
    path = loop.newserver(path, nil, echo),
    failing = loop.newserver('127.0.0.1', 0, function(client)
        if random(2) == 1 then loop.sleep(0) end
        if random(2) == 1 then client:send 'x' end
        error 'on purpose'
    end),
    silent = loop.newserver('127.0.0.1', 0, function(client)
        client:settimeout(2)
        client:receive()
    end),
}

local function port_of(s)
    local _, port = assert(s:getsockname())
    return port
end

local ports = {}
for name, server in pairs(servers) do
    ports[name] = name ~= 'path' and port_of(server)
end

local function fail(_, err)
    failures = failures + 1
    err = type(err) == 'table' and err.text or tostring(err)
    if not err:match 'on purpose' then
        print('soak: FAILED: ' .. err)
        os.exit(1)
    end
end
loop.onerror = fail
loop.coro.onerror = fail

-- Addresses of the whole loopback network, so that ports in TIME_WAIT don't
-- matter.
local last = 0
local function address()
    last = last % 62500 + 1
    return ('127.0.%d.%d'):format(math.floor(last / 250), last % 250 + 1)
end

local function connect(which)
    connections = connections + 1
    local host = which and '127.0.0.1' or address()
    local client = assert(loop.connect(host, ports[which or 'echo']))
    client:settimeout(30)
    return client
end

-------------------------------------------------------------------------------
-- Work

local function converse(client, times)
    for i = 1, times do
        assert(client:send('line ' .. i .. '\n'))
        local line, err = client:receive()
        if line ~= 'line ' .. i then
            error(('expected line %d, got %s'):format(i, line or err))
        end
    end
end

-- Runs f in a sort within a pcall within a coroutine.
local function frozen(f)
    coroutine.wrap(function()
        assert(pcall(table.sort, {2, 1}, function(a, b)
            f()
            return a < b
        end))
    end)()
end

local long = ('x'):rep(2^22)
local symmetric = {}    -- work left for the other loop

local jobs = {
    function()
        local client = connect()
        converse(client, random(5))
        client:close()
    end,
    function()      -- dropped
        converse(connect(), random(2))
    end,
    function()
        frozen(function() converse(connect(), 1) end)
    end,
    function()
        local client = connect 'silent'
        client:settimeout(random() / 100, random(2) == 1 and 't' or 'b')
        assert(select(2, client:receive()) == 'timeout')
        if random(2) == 1 then client:close() end
    end,
    function()
        connect 'failing':receive '*a'
    end,
    function()      -- closed while it is used in both directions
        local client = connect 'silent'
        loop.newthread(function() frozen(function() client:receive() end) end)
        loop.newthread(function() client:send(long) end)
        loop.sleep(random() / 100)
        client:close()
    end,
    function()
        local client = connect()
        client:send(long, 1, random(2^18))
        client:send '\nlast'
        client:shutdown 'send'
        client:receive '*a'
        client:close()
    end,
    function()
        local client = connect()
        converse(client, 1)
        assert(client:getsocket():getfd() >= 0)
        client:setoption('tcp-nodelay', true)
        client.mine = client
        if random(2) == 1 then client:close() end
    end,
    function()
        local name = ('wait%d+127.0.0.1'):format(random(10))
        loop.resolve(name, 80, random() / 50)
        local s = loop.tcp()
        s:settimeout(random() / 50)
        s:connect(name, ports.echo)
    end,
    function()
        loop.connect('wait1+', 80)
        loop.resolve 'localhost'
    end,
    function()      -- suspended for good
        loop.newthread(loop.suspend)
        loop.newthread(function() frozen(loop.suspend) end)
        local client = connect()
        loop.newthread(function()
            converse(client, 1)
            loop.suspend()
            client:close()
        end)
    end,
    function()
        local me = loop.current()
        loop.newthread(function()
            loop.sleep(0)
            loop.resume(me, 'news')
        end)
        assert(loop.suspend() == 'news')
        assert(not pcall(loop.resume, me))
    end,
    function()
        assert(not pcall(loop.newthread, error, 'on purpose'))
        loop.newthread(function() loop.sleep(0) error 'on purpose' end)
        loop.newthread(function()
            loop.sleep(0)
            error {text = 'on purpose'}
        end)
    end,
    function()      -- generators that are not used up
        local generate = coro.wrap(function()
            for i = 1, 10 do
                if random(3) == 1 then loop.sleep(0) end
                coro.yield(i)
            end
        end)
        for _ = 1, random(10) do generate() end
        coro.resume(coro.create(function() frozen(coro.yield) end))
    end,
    function()
        local a, b = loop.udp('127.0.0.1', 0), loop.udp()
        a:settimeout(0.05)
        b:sendto('hello', '127.0.0.1', port_of(a))
        a:receivefrom()
        if random(2) == 1 then a:close() end
        a:settimeout(0.001)
        a:receive()
    end,
    function()
        local client = loop.unix()
        client:settimeout(30)
        assert(client:connect(path))
        converse(client, random(3))
        client:close()
    end,
    function()
        local host, server = address()
        server = loop.newserver(host, 0, function(client)
            server:close()
            client:send 'bye\n'
        end)
        local client = assert(loop.connect(host, port_of(server)))
        assert(client:receive() == 'bye')
    end,
    function()      -- LuaSocket's own, made cooperative
        connections = connections + 1
        local client = assert(socket.connect('127.0.0.1', ports.echo))
        client:setoption('linger', {on = true, timeout = 0})
        client:settimeout(30)
        converse(client, random(3))
        socket.select({client}, nil, random() / 100)
        if random(2) == 1 then client:close() end
    end,
    function()
        symmetric[#symmetric + 1] = function()
            for line in coro.wrap(function()
                local s = assert(loop.coro.connect('127.0.0.1', ports.echo))
                s:send 'hello\n'
                coro.yield((s:receive()))
                if random(2) == 1 then s:close() end
            end) do assert(line == 'hello') end
        end
        loop.sleep(0)
    end,
}

-------------------------------------------------------------------------------
-- Continuing and pausing

local at_work = {}      -- threads and the numbers of their jobs

local function give_up()
    for thread, job in pairs(at_work) do
        print('job ' .. job, debug.traceback(thread))
    end
    print 'soak: FAILED: the work does not end'
    os.exit(1)
end

-- Runs until only the servers wait. All timeouts are a few seconds.
local function settle(busy)
    local deadline = loop.now() + 120
    repeat
        loop.step(0.01)
        while #symmetric > 0 do loop.coro.newthread(table.remove(symmetric)) end
        local more = loop.coro.step(0)
        if loop.now() > deadline then give_up() end
    until busy() == 0 and not more
    for _ = 1, 20 do
        collectgarbage()
        loop.step(0.005)    -- the servers' side of it
    end
end

local function soak(seconds)
    local period = math.min(30, seconds / LOOKS)
    loop.install()
    while loop.now() - started < seconds do
        local until_then, busy = loop.now() + period, WORKERS
        for _ = 1, WORKERS do
            loop.newthread(function()
                while loop.now() < until_then do
                    at_work[loop.current()] = random(#jobs)
                    jobs[at_work[loop.current()]]()
                    jobs_done = jobs_done + 1
                end
                at_work[loop.current()] = nil
                busy = busy - 1
            end)
        end
        settle(function() return busy end)
        settle(function() return 0 end)
        report()
    end
end

local function many(total)
    for _ = 1, LOOKS do
        local busy = true
        loop.newthread(function()
            for _ = 1, total / LOOKS do
                local client = connect()
                converse(client, 1)
                client:close()
                jobs_done = jobs_done + 1
            end
            busy = false
        end)
        while busy do loop.step() end
        settle(function() return 0 end)
        report()
    end
end

if mode == 'minutes' then soak(amount * 60) else many(amount) end
finish()
