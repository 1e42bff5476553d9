-- Basic helpers of the specs: running a function in the loop with a time limit,
-- pairs of connected sockets, plain LuaSocket peers for comparison, and the
-- check that a test has left nothing behind.
--
-- All traffic stays on the loopback interface and on ports that the system
-- picks.

local loop = require 'socketloop'
local socket = require 'socket'

local support = {}

support.unpack = table.unpack or unpack      -- luacheck: ignore

function support.pack(...)
    return {n = select('#', ...), ...}
end

local pack, unpack = support.pack, support.unpack

-- The version of Lua as a number (5.1 for LuaJIT), and whether it is LuaJIT.
support.lua_version = tonumber(_VERSION:match '%d+%.%d+')
support.luajit = rawget(_G, 'jit') ~= nil

-- Lua 5.4 before 5.4.5 keeps a pointer into the stack while __concat runs, and
-- crashes if the collector shrinks the stack meanwhile.
support.concat_is_safe = support.lua_version ~= 5.4

-- Compiles source, so that a spec can use syntax that only newer Luas have.
support.load = rawget(_G, 'loadstring') or load

local function word_bits()
    if string.packsize then return string.packsize 'T' * 8 end
    local arch = support.luajit and require 'jit'.arch
    if arch then return arch:match '64' and 64 or 32 end
    return string.dump(word_bits):byte(9) * 8       -- size_t in the header
end

-- The size of a pointer in bits.
support.word_bits = word_bits()

-- Returns a number of threads with C stacks, reduced where address space is
-- small.
function support.stacks(many)
    return support.word_bits == 32 and math.min(many, 400) or many
end

-- Time limit of run, check and eventually, in seconds.
support.limit = tonumber(os.getenv 'SOCKETLOOP_TEST_LIMIT') or 30

-- The clock is LuaSocket's, since the loop's own clock is under test.
local now = socket.gettime

-- Returns a reduced count for gc.lua's busy collector, which makes everything
-- slow: a tenth, or the result of another divisor.
function support.some(many, divisor)
    if not os.getenv 'SOCKETLOOP_TEST_GC' then return many end
    return math.ceil(many / (divisor or 10))
end

-- Calls f(...), which must fail. Returns its error.
function support.failure(f, ...)
    local ok, err = pcall(f, ...)
    if ok then error('no error was raised', 2) end
    return err
end

-- Calls f(...), which must fail with an error that contains these words.
function support.raises(words, f, ...)
    local ok, err = pcall(f, ...)
    if ok or not tostring(err):find(words, 1, true) then
        local arguments = {}
        for i = 1, select('#', ...) do
            arguments[i] = tostring((select(i, ...)))
        end
        error(('(%s) raises not %s, but %s'):format(
            table.concat(arguments, ', '), words,
            ok and 'nothing' or tostring(err)), 2)
    end
end

-- Whether an error has no value: nil, or 5.5's replacement for nil, to which a
-- traceback may have been added.
local no_value = select(2, pcall(error, nil))
function support.has_no_value(err)
    if no_value == nil then return err == nil end
    return tostring(err):sub(1, #no_value) == no_value
end

-- Sets 'pause' or 'stepmul' of the collector. Returns the previous value.
function support.collector(name, value)
    if support.lua_version >= 5.5 then
        return collectgarbage('param', name, value)
    end
    return collectgarbage('set' .. name, value)
end

-- Returns the number of matches of the pattern in the text.
function support.count(text, pattern)
    return (select(2, text:gsub(pattern, '')))
end

-- Appends a value returned by a call that waits or transfers. list[#list + 1] =
-- f() might evaluate #list before the call.
function support.push(list, value)
    list[#list + 1] = value
end

-------------------------------------------------------------------------------
-- Running things in the loop

-- Sockets made by these helpers (weak). They are closed when a test fails.
local made = setmetatable({}, {__mode = 'k'})
support.made = made

local function track(s)
    made[s] = true
    return s
end
support.track = track

-- Calls f(...) in a new thread of the loop `which`, and steps that loop until f
-- has ended. Returns the results of f; raises an error in any thread.
function support.run_in(which, f, ...)
    local results
    local thread = which.newthread(function(...)
        results = pack(f(...))
    end, ...)
    local deadline = now() + support.limit
    while not results do
        local left = deadline - now()
        if left <= 0 then
            error(debug.traceback(thread, 'test timed out'), 2)
        end
        if not which.step(left) and not results then
            error(debug.traceback(thread, 'test waits for nothing'), 2)
        end
    end
    return unpack(results, 1, results.n)
end

-- Calls run_in with the plain loop.
function support.run(f, ...)
    return support.run_in(loop, f, ...)
end

-- Steps a loop, by default the plain one, until nothing waits in it.
function support.drain(which)
    which = which or loop
    local deadline = now() + support.limit
    while which.step(1) do
        if now() > deadline then error('the loop does not come to rest', 2) end
    end
end

-- Steps a loop until nothing waits. Returns the errors raised by its steps.
function support.errors_of_steps(which)
    which = which or loop
    local errors = {n = 0}
    for _ = 1, 10000 do
        local ok, waiting = pcall(which.step, 1)
        if not ok then
            errors.n = errors.n + 1
            errors[errors.n] = waiting
        elseif not waiting then
            return errors
        end
    end
    error('the loop does not come to rest', 2)
end

-- In a loop thread: lets other threads run until cond() is true. Returns false
-- if the time limit expires first.
function support.eventually(cond)
    local deadline = now() + support.limit
    while not cond() do
        if now() > deadline then return false end
        loop.sleep(0.001)
    end
    return true
end

-- In a loop thread: calls f(value) for each value of a list, in a thread of its
-- own, and waits until all calls have returned.
function support.at_once(list, f)
    local left = #list
    for _, value in ipairs(list) do
        loop.newthread(function()
            f(value)
            left = left - 1
        end)
    end
    assert(support.eventually(function() return left == 0 end))
end

-- Returns the number of steps of the loop in so many seconds in which nothing
-- happens: one or two, or many if the loop spins.
function support.steps(seconds)
    local step, count = loop.step, 0
    loop.step = function(...)
        count = count + 1
        return step(...)
    end
    loop.sleep(seconds)
    loop.step = step
    return count
end

-- Returns the seconds that f(...) took, then its results.
function support.timed(f, ...)
    local start = now()
    local results = pack(f(...))
    return now() - start, unpack(results, 1, results.n)
end

-------------------------------------------------------------------------------
-- Sockets

function support.close(...)
    for i = 1, select('#', ...) do (select(i, ...)):close() end
end

-- In a loop thread: returns two connected loop sockets, client and server side.
-- Options: host, recvbuf and sendbuf (sizes of the kernel's buffers).
function support.pair(opts)
    opts = opts or {}
    local host = opts.host or '127.0.0.1'
    local listener = track(loop.tcp(host, 0))
    if opts.recvbuf then
        assert(listener:setoption('recv-buffer-size', opts.recvbuf))
    end
    assert(listener:listen(8))
    local client = track(assert(loop.connect(host, support.port(listener))))
    local server = track(assert(listener:accept()))
    listener:close()
    if opts.sendbuf then
        assert(client:setoption('send-buffer-size', opts.sendbuf))
        assert(server:setoption('send-buffer-size', opts.sendbuf))
    end
    return client, server
end

-- Starts a server of a loop, by default the plain one, on a free port. Returns
-- port, listening socket.
function support.serve(handler, host, which)
    local listener = track((which or loop).newserver(host or '127.0.0.1', 0,
                                                     handler))
    return support.port(listener), listener
end

-- Returns a name (host, port, family) as a table, in which plain sockets and
-- loop sockets can be compared: LuaSocket 3.1 returns some ports as strings.
function support.name(host, port, family)
    return {host, tonumber(port), family}
end

-- Returns the port that a socket is bound to.
function support.port(s)
    local _, port = assert(s:getsockname())
    return tonumber(port)
end

-- Returns a port on which no program listens. A socket occupies it, so that no
-- other program, such as a concurrent run of the specs, gets it.
local has_luasocket, silent = pcall(socket.tcp4)
if has_luasocket then assert(silent:bind('127.0.0.1', 0)) end

function support.closedport()
    return support.port(silent)
end

-- Returns a port that is free to be bound and outside of the range from which
-- the system assigns ports.
function support.unusedport()
    for _ = 1, 100 do
        local any = assert(socket.tcp4())
        assert(any:bind('127.0.0.1', 0))
        local port = 10000 + support.port(any) % 20000
        any:close()
        local s = assert(socket.tcp4())
        local free = s:bind('*', port)
        s:close()
        if free then return port end
    end
    error 'no port is free'
end

-- Whether this machine can connect to itself by IPv6.
function support.has_ipv6()
    local s = socket.tcp6 and socket.tcp6()
    if not s then return false end
    local ok = s:bind('::1', 0)
    s:close()
    return ok ~= nil
end

-- Whether localhost is 127.0.0.1 on this system, possibly among other
-- addresses. If not, the calling test becomes pending, by busted's function.
function support.knows_localhost(pending)
    for _, info in ipairs(socket.dns.getaddrinfo 'localhost' or {}) do
        if info.addr == '127.0.0.1' then return true end
    end
    pending 'localhost is not 127.0.0.1'
    return false
end

-- Plain, blocking LuaSocket peers in this process. They never block for long:
-- connecting to a listening socket needs no accept, small writes fit into the
-- kernel's buffers, and reads have a timeout.
local plain = {}
support.plain = plain

function plain.listen(host)
    local listener = track(assert(socket.bind(host or '127.0.0.1', 0)))
    listener:settimeout(5)
    return listener, support.port(listener)
end

-- Occupies a port so that no program listens there. Returns nil if the port is
-- in use.
function plain.occupy(host, port)
    local s = track(assert(host:find ':' and socket.tcp6() or socket.tcp4()))
    return s:bind(host, port) and s
end

function plain.connect(port, host)
    local client = track(assert(socket.connect(host or '127.0.0.1', port)))
    client:settimeout(5)
    return client
end

-- Returns two connected plain sockets.
function plain.pair(host)
    local listener, port = plain.listen(host)
    local client = plain.connect(port, host)
    local server = track(assert(listener:accept()))
    server:settimeout(5)
    listener:close()
    return client, server
end

-- Returns a socket of a loop, by default the plain one, and its plain peer.
function support.mixed(host, which)
    local client, server = plain.pair(host)
    return track((which or loop).wrap(client)), server
end

-- Returns a function that runs f(a, b) in a loop thread with two sockets from
-- make(), closes them, and returns the results of f.
local function with_two(make)
    return function(f)
        return support.run(function()
            local a, b = make()
            local results = pack(f(a, b))
            support.close(a, b)
            return unpack(results, 1, results.n)
        end)
    end
end

support.with_pair = with_two(support.pair)
support.with_mixed = with_two(support.mixed)

-- Returns an accepted loop socket and its plain peer. With a size, the loop
-- socket's send buffer and the peer's receive buffer have that size.
function support.accepted(size)
    local listener = track(loop.tcp('127.0.0.1', 0))
    if size then assert(listener:setoption('send-buffer-size', size)) end
    assert(listener:listen(8))
    local peer = track(assert(socket.tcp4()))
    if size then assert(peer:setoption('recv-buffer-size', size)) end
    assert(peer:connect('127.0.0.1', support.port(listener)))
    local s = track(assert(listener:accept()))
    listener:close()
    peer:settimeout(5)
    return s, peer
end

-- Sends as many bytes as the peer's window takes. Returns their number. Linux
-- makes some room when a full window is first probed, after 0.2 seconds.
function support.fill(s)
    local chunk, sum, since = ('f'):rep(1000), 0, loop.now()
    s:settimeout(0)
    while loop.now() - since < 0.3 do
        local n, err, last = s:send(chunk)
        n = n or last
        sum = sum + n
        if n > 0 then since = loop.now() end
        if err then loop.sleep(0.005) end
    end
    return sum
end

-- Returns a loop socket made by connect, and its plain peer.
function support.connected()
    local listener, port = plain.listen()
    local s = track(assert(loop.connect('127.0.0.1', port)))
    local peer = track(assert(listener:accept()))
    peer:settimeout(5)
    listener:close()
    return s, peer
end

-- Ways to make a connected loop socket.
support.origins = {
    wrapped = function() return support.mixed() end,
    connected = function() return support.connected() end,
    accepted = function() return support.accepted() end,
}

-- Calls f(loop socket, plain peer, origin) in a thread for each of these ways.
function support.each_origin(f)
    support.run(function()
        for origin, make in pairs(support.origins) do
            local s, peer = make()
            f(s, peer, origin)
            s:close()
            peer:close()
        end
    end)
end

-- Asserts that a loop socket and its plain peer are connected, in both
-- directions.
function support.talk(s, peer)
    peer:send 'ping\n'
    local line, err = s:receive()
    if line ~= 'ping' then error('got ' .. tostring(line or err), 2) end
    s:send 'pong\n'
    line, err = peer:receive()
    if line ~= 'pong' then error('peer got ' .. tostring(line or err), 2) end
end

-- In a loop thread while install is in effect: returns a LuaSocket object and
-- its peer, a socket of the loop.
function support.unwrapped()
    local listener = track(loop.tcp('127.0.0.1', 0))
    assert(listener:listen(8))
    local client = track(assert(socket.connect('127.0.0.1',
                                               support.port(listener))))
    local peer = track(assert(listener:accept()))
    listener:close()
    return client, peer
end

-- Normalizes an error of a method: removes the names that differ between
-- LuaSocket's objects and loop sockets.
function support.reason(err)
    err = tostring(err):gsub("^.-calling '[^']*' on bad self ", '')
    return (err:gsub("^.-bad argument #%d+ to '[^']*' ", ''))
end

-------------------------------------------------------------------------------
-- Before and after each test

local fd_folder
for _, folder in ipairs {'/proc/self/fd', '/dev/fd'} do
    local ok, lfs = pcall(require, 'lfs')
    if ok and lfs.attributes(folder, 'mode') == 'directory' then
        fd_folder = folder
        break
    end
end

-- Returns the open descriptors, without the one used for listing them (number
-- -> description), and their count; nil where they cannot be listed.
function support.fds()
    local ok, lfs = pcall(require, 'lfs')
    if not fd_folder or not ok then return nil end
    local fds, count = {}, 0
    for name in lfs.dir(fd_folder) do
        if name:match '^%d+$' then
            local link = lfs.symlinkattributes(fd_folder .. '/' .. name)
            local target = link and link.target or '?'
            if not target:match '^/proc/%d+/fd$' then
                fds[name] = target
                count = count + 1
            end
        end
    end
    return fds, count
end

-- Returns the number of open descriptors, or 0 where they cannot be listed.
function support.fd_count()
    local _, count = support.fds()
    return count or 0
end

function support.collect()
    -- LuaJIT's compiled code refers to objects for which it was compiled. It
    -- cannot be discarded in a finalizer.
    if support.luajit then pcall(require 'jit'.flush) end
    collectgarbage()
    collectgarbage()
end

-- Collects all garbage. Returns the number of entries of a weak table.
function support.alive(list)
    support.collect()
    support.collect()
    local count = 0
    for _ in pairs(list) do count = count + 1 end
    return count
end

local before

function support.begin()
    support.collect()
    before = support.fds()
end

-- Steps the loop for so many seconds at most. Returns whether nothing is left
-- waiting. Events in transit, such as the end of a connection, may take a
-- while.
local function settled(which, limit)
    local deadline = now() + limit
    for i = 1, math.huge do
        if which.step(i <= 100 and 0 or 0.01) == false then return true end
        if i >= 100 and now() >= deadline then return false end
    end
end

-- Restores a clean state, so that a failed test does not fail those that
-- follow.
local function tidy_up(which)
    for s in pairs(made) do pcall(s.close, s) end
    local deadline = now() + 2
    while now() < deadline do
        local ok, waiting = pcall(which.step, 0.01)
        if ok and not waiting then break end
    end
    support.collect()
end

-- Asserts that nothing is left waiting in the loop.
function support.at_rest(which)
    local ok, quiet = pcall(settled, which, 0)
    if ok and not quiet then    -- garbage may still wait
        support.collect()
        ok, quiet = pcall(settled, which, 1)
    end
    if not (ok and quiet) then
        tidy_up(which)
        error(ok and 'the test left something waiting in the loop' or quiet, 0)
    end
end

local function leaked_fds()
    local after, list = support.fds(), {}
    for name, target in pairs(after or {}) do
        if not before[name] then list[#list + 1] = name .. ' ' .. target end
    end
    for name, target in pairs(before or {}) do
        if not after[name] then
            list[#list + 1] = name .. ' ' .. target .. ' was closed'
        end
    end
    return table.concat(list, ', ')
end

-- Asserts that nothing is left waiting and that no additional descriptor is
-- open.
function support.check()
    support.at_rest(loop)
    local leaked = leaked_fds()
    if leaked ~= '' then
        support.collect()
        leaked = leaked_fds()
    end
    if leaked ~= '' then
        tidy_up(loop)
        error('descriptors leaked: ' .. leaked, 0)
    end
end

-- Installs begin and check for a whole block of specs, by busted's functions.
-- clean_up, if given, is called before each check.
function support.hooks(before_each, after_each, clean_up)
    before_each(support.begin)
    after_each(function()
        if clean_up then clean_up() end
        support.check()
    end)
end

-- Installs the hooks; in addition install(), by plain loop.install, is in
-- effect during each test.
function support.hooks_installed(before_each, after_each, install)
    local undo
    before_each(support.begin)
    before_each(function() undo = (install or loop.install)() end)
    after_each(function()
        undo()
        support.check()
    end)
end

-- Asserts after each test that the main program's thread is running.
function support.ends_in_main(after_each)
    local coro = require 'coro'
    local main = coro.running()
    after_each(function()
        local thread, ismain = coro.running()
        if thread ~= main or not ismain then
            error('the test left another thread running', 0)
        end
    end)
end

return support
