-- For host.c, which runs this script in several system threads at once, each
-- time in a new Lua state: some of all operations, and the end of the state
-- while many of them are in progress.

local loop = require 'socketloop'
local coro = require 'socketloop.symmetric'

local function expect(wanted, got)
    if wanted ~= got then
        error(('expected %s, got %s'):format(tostring(wanted), tostring(got)),
              2)
    end
end

local function port_of(s)
    local _, port = assert(s:getsockname())
    return port
end

-- Sends a line and receives it back, so many times.
local function converse(client, times)
    client:settimeout(30)
    for i = 1, times do
        assert(client:send('line ' .. i .. '\n'))
        expect('line ' .. i, (assert(client:receive())))
    end
    client:close()
end

local function echo(client)
    for line in function() return client:receive() end do
        assert(client:send(line .. '\n'))
    end
    client:close()
end

local port
local path = '\0socketloop-states-' .. tostring({}):match '%x+$'
local servers = {}
local over = 0

-- Each job is run in several threads.
local jobs = {
    function()
        converse(assert(loop.connect('127.0.0.1', port)), 10)
    end,
    function()      -- frozen in a nested coroutine and in a comparator
        local client = assert(loop.connect('127.0.0.1', port))
        table.sort({2, 1}, function(a, b)
            coroutine.wrap(function() loop.sleep(0.001) end)()
            return a < b
        end)
        converse(client, 5)
    end,
    function()
        local client = loop.unix()
        assert(client:connect(path))
        converse(client, 5)
    end,
    function()
        local a, b = loop.udp('127.0.0.1', 0), loop.udp()
        assert(b:sendto('hello', '127.0.0.1', port_of(a)))
        expect('hello', (a:receive()))
        a:close()
        b:close()
    end,
    function()
        local client = assert(loop.connect('127.0.0.1', port))
        client:settimeout(0.002)
        expect('timeout', select(2, client:receive()))
        client:close()
    end,
    function()
        loop.resolve('localhost', 80)       -- unknown on some systems
        loop.resolve('localhost', 80, 0.0001)
    end,
    function()
        local me = loop.current()
        loop.newthread(function()
            loop.sleep(0)
            loop.resume(me, 'news')
        end)
        expect('news', loop.suspend())
    end,
    function()
        local sum = 0
        for i in coro.wrap(function()
            for i = 1, 10 do coro.yield(i) end
        end) do sum = sum + i end
        expect(55, sum)
        expect(false, (pcall(function() loop.sleep(0) error 'boom' end)))
    end,
}

servers[1] = loop.newserver('127.0.0.1', 0, echo)
servers[2] = loop.newserver(path, nil, echo)
port = port_of(servers[1])

for _ = 1, 3 do
    for _, job in ipairs(jobs) do
        loop.newthread(function()
            job()
            over = over + 1
        end)
    end
end
while over < 3 * #jobs do assert(loop.step(30)) end

-- Leaves operations of all kinds in progress.
for _ = 1, 3 do
    loop.newthread(loop.sleep, 100)
    loop.newthread(pcall, loop.suspend)
    loop.newthread(loop.resolve, 'localhost')
    loop.newthread(table.sort, {2, 1}, function() loop.sleep(100) end)
    loop.newthread(function()
        local client = assert(loop.connect('127.0.0.1', port))
        client:settimeout(100)
        client:receive()
    end)
    loop.coro.newthread(loop.coro.sleep, 100)
    loop.step(0)
end
