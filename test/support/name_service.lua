-- Helpers for specs about names: scripts that run with a name service of their
-- own (preload/getaddrinfo.c), in the interpreter or in a host (host/host.c).

local process = require 'process'

local unpack = table.unpack or unpack   -- luacheck: ignore

local names = {}

local library, host = process.helper 'getaddrinfo.so', process.helper 'host'

-- Whether scripts can be run at all.
names.available = library ~= nil and host ~= nil

-- The prelude of each script. A host of the name service lists numeric
-- addresses after '+'; a waitN among them takes N milliseconds.
local prelude = [[
local loop = require 'socketloop'
local socket = require 'socket'

-- Runs f in a thread, and the loop until nothing waits.
function run(f, ...)
    loop.newthread(f, ...)
    loop.start()
end

-- Returns the seconds that f took, then f's results.
function timed(f, ...)
    local start = loop.now()
    local a, b, c = f(...)
    return loop.now() - start, a, b, c
end

-- Runs f in a thread. Returns a function that waits for the end of f and
-- returns its results.
function async(f, ...)
    local done, a, b
    loop.newthread(function(...)
        a, b = f(...)
        done = true
    end, ...)
    return function()
        while not done do loop.sleep(0.001) end
        return a, b
    end
end

-- In a thread: calls f and asserts that another thread had several turns
-- meanwhile. The number of turns depends on the load; one turn may be due to
-- the end of f.
function beside(f)
    local had, done = 0, false
    async(function()
        while not done do
            loop.sleep(0.001)
            had = had + 1
        end
    end)
    f()
    done = true
    assert(had >= 2, had)
end

function expect(wanted, got, err)
    if wanted ~= got then
        error(('expected %s, got %s, %s'):format(tostring(wanted),
              tostring(got), tostring(err)), 2)
    end
end

function expect_error(wanted, result, err)
    expect(nil, result)
    expect(wanted, err)
end

-- Exchanges data over a connection, to show that the loop works.
function exchange()
    local server
    server = loop.newserver('127.0.0.1', 0, function(client)
        client:send(client:receive() .. '\n')
        client:close()
        server:close()
    end)
    local _, port = server:getsockname()
    local client = assert(loop.connect('127.0.0.1', port))
    client:settimeout(20)
    client:send 'hello\n'
    expect('hello', (client:receive()))
    client:close()
end

-- Returns the number of entries in a folder of /proc/self.
function count(name)
    local n = 0
    for _ in require 'lfs'.dir('/proc/self/' .. name) do n = n + 1 end
    return n
end

-- Returns a listening plain socket and its port.
function listen(host, port)
    local make = host:find ':' and socket.tcp6 or socket.tcp4
    local listener = assert(make())
    assert(listener:setoption('reuseaddr', true))
    assert(listener:bind(host, port or 0))
    assert(listener:listen(256))
    local _, own = listener:getsockname()
    return listener, tonumber(own)
end

-- Returns the port of a listening socket whose queue is full, so that further
-- connects hang, and the socket.
local queued = {}
function hang(host, port)
    local listener = assert(socket.tcp4())
    assert(listener:setoption('reuseaddr', true))
    assert(listener:bind(host, port or 0))
    assert(listener:listen(0))
    queued[#queued + 1] = listener
    local _, own = listener:getsockname()
    for i = 1, 32 do
        local s = assert(socket.tcp4())
        queued[#queued + 1] = s
        s:settimeout(0)
        s:connect(host, own)
        local _, writable = socket.select(nil, {s}, 0.05)
        if not writable[s] then return tonumber(own), listener end
    end
    print 'skipped: this system queues connections without end'
    os.exit(0)
end
]]

-- Shell commands that are run before a Lua with the name service.
local preload = library and process.preload(library)
names.preload = preload

-- In scripts 127.0.9.N is an address at which no other process listens, so that
-- a port that is free at one of these addresses is free at all of them.
local network
if library then
    local stat = assert(io.open '/proc/self/stat')
    local pid = stat:read '*n'
    stat:close()
    network = ('127.%d.%d.'):format(10 + math.floor(pid / 256) % 240, pid % 256)
end

local function complete(code)
    return prelude .. code:gsub('127%.0%.9%.', network)
end

local function check(status, output)
    if status ~= 0 then
        error(('the script ended with status %s:\n%s'):format(status, output),
              3)
    end
    return output
end

-- Runs a script that has to succeed. Returns its output. before: see
-- process.script. around, if given, wraps the shell command in another one.
function names.script(code, before, around)
    before = before and before .. '; ' .. preload or preload
    local command = process.script(complete(code), before)
    return check(process.run(around and around(command) or command))
end

-- Runs a script in host.c: see there. before: see process.script.
function names.host(threads, times, linger, code, before)
    local name = process.tempdir() .. '/script.lua'
    process.write_file(name, complete(code))
    return check(process.run(('%s; %s; exec %s %d %d %d %s'):format(
        preload, before or ':', host, threads, times, linger, name)))
end

-- In a child that was forked on a fiber, ThreadSanitizer reports accesses of
-- other fibers before the fork as those of other threads.
names.forks_in_threads = not os.getenv 'TSAN_OPTIONS'

-- Returns two functions that define tests by busted's functions, each a script
-- with the name service; the tests are pending where none can run: script(name,
-- code, before) and host(name, threads, times, linger, code, before).
function names.tests(it, pending)
    local function test(name, run, ...)
        if not names.available then return pending(name) end
        local args = {n = select('#', ...), ...}
        it(name, function() run(unpack(args, 1, args.n)) end)
    end
    return function(name, ...) test(name, names.script, ...) end,
           function(name, ...) test(name, names.host, ...) end
end

-- A search path for a build of the module without the project's linker flags.
names.plain_path = process.built and process.built .. '/test/?.so;;'

return names
