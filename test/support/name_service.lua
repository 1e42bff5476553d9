-- What the specs about names share: scripts that run with a name service of
-- their own (getaddrinfo.c), in the interpreter or in a host (host.c).

local process = require 'process'

local unpack = table.unpack or unpack   -- luacheck: ignore

local names = {}

local library, host = process.helper 'getaddrinfo.so', process.helper 'host'

-- Can scripts be run at all?
names.available = library ~= nil and host ~= nil

-- What every script begins with. A host of the name service lists numeric
-- addresses after '+'; waitN among them takes N milliseconds.
local prelude = [[
local loop = require 'socketloop'
local socket = require 'socket'

-- Runs f in a thread and the loop until nothing waits.
function run(f, ...)
    loop.newthread(f, ...)
    loop.start()
end

-- Seconds that f took, then its results.
function timed(f, ...)
    local start = loop.now()
    local a, b, c = f(...)
    return loop.now() - start, a, b, c
end

-- Runs f in a thread: a function that waits for its end, and gives its
-- results.
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

-- In a thread: calls f, during which another thread must have had turns. How
-- many says how busy the machine is; one might be due to how f ends.
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

-- The loop does something.
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

-- How many entries a folder of /proc/self has.
function count(name)
    local n = 0
    for _ in require 'lfs'.dir('/proc/self/' .. name) do n = n + 1 end
    return n
end

-- A listening plain socket, and its port.
function listen(host, port)
    local make = host:find ':' and socket.tcp6 or socket.tcp4
    local listener = assert(make())
    assert(listener:setoption('reuseaddr', true))
    assert(listener:bind(host, port or 0))
    assert(listener:listen(256))
    local _, own = listener:getsockname()
    return listener, tonumber(own)
end

-- The port of a listening socket whose queue is full, so that further
-- connections hang; and the socket.
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

-- What the shell does before it starts a Lua with the name service.
local preload = library and process.preload(library)
names.preload = preload

-- In scripts 127.0.9.N is an address that no other process listens at, so that
-- a port found free at one of them is free at all.
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

-- Runs a script that has to succeed: what it printed. before: see
-- process.script; around, if given, makes another command of the shell's.
function names.script(code, before, around)
    before = before and before .. '; ' .. preload or preload
    local command = process.script(complete(code), before)
    return check(process.run(around and around(command) or command))
end

-- The same in a host: see there. before is what the shell does first.
function names.host(threads, times, linger, code, before)
    local name = process.tempdir() .. '/script.lua'
    process.write_file(name, complete(code))
    return check(process.run(('%s; %s; exec %s %d %d %d %s'):format(
        preload, before or ':', host, threads, times, linger, name)))
end

-- ThreadSanitizer takes what other fibers did before a fork for what other
-- threads do, in a child that a fiber made.
names.forks_in_threads = not os.getenv 'TSAN_OPTIONS'

-- Functions that define tests, with busted's functions, each of a script that
-- runs so, where that can be done: script(name, code, before) and
-- host(name, threads, times, linger, code, before).
function names.tests(it, pending)
    local function test(name, run, ...)
        if not names.available then return pending(name) end
        local args = {n = select('#', ...), ...}
        it(name, function() run(unpack(args, 1, args.n)) end)
    end
    return function(name, ...) test(name, names.script, ...) end,
           function(name, ...) test(name, names.host, ...) end
end

-- A search path that finds the module as it is without our linker flags.
names.plain_path = process.built and process.built .. '/test/?.so;;'

return names
