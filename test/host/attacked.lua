-- The server that attacker_spec.lua attacks, a process of its own:
--
--     lua attacked.lua 'SETTINGS'      a table in Lua
--
-- The settings are the limits of doc/security.md. Prints two ports: the
-- server's, and that of a connection on which the server sends its figures.

local lfs = require 'lfs'
local loop = require 'socketloop'

local load = rawget(_G, 'loadstring') or load
local settings = assert(load('return ' .. arg[1]))()

loop.onerror = function() end

-- Returns a string of that size, made once for all clients.
local made = {}
local function bytes(size)
    made[size] = made[size] or ('x'):rep(size)
    return made[size]
end
if settings.big then bytes(settings.big) end

-- Sends until there is no room, and is closed with unsent bytes.
local function leave(client)
    client:settimeout(nil, 't')
    client:settimeout(0)
    repeat local sent = client:send(bytes(1000)) until not sent
    client:settimeout(settings.seconds, 't')
    client:settimeout(nil)
    client:receive()
    for _ = 1, 4 do client:send(bytes(2000)) end
end

local commands = {
    echo = function(client, text) return client:send(text .. '\n') end,
    big = function(client, size) return client:send(bytes(tonumber(size))) end,
    all = function(client) return client:receive '*a' end,
    count = function(client, size) return client:receive(tonumber(size)) end,
    leave = leave,
}

local function serve(client)
    local ends = loop.now() + (settings.lifetime or math.huge)
    while loop.now() < ends do
        local command, rest = (client:receive() or ''):match '^(%a+) ?(.*)$'
        if not command or not commands[command](client, rest) then return end
    end
end

local function handle(client)
    client:settimeout(settings.seconds, 't')
    serve(client)
    client:close()
end

local server = loop.newserver('127.0.0.1', 0, handle, settings.tls)
server:setmaxclients(settings.clients)
server:setmaxline(settings.line)
server:setmaxread(settings.read)
server:setlingertime(settings.linger, 't')
if settings.buffer then
    assert(server:setoption('send-buffer-size', settings.buffer))
end

-------------------------------------------------------------------------------

local function descriptors()
    local count = 0
    for _ in lfs.dir '/proc/self/fd' do count = count + 1 end
    return count
end

-- Returns the peak memory so far, in KiB.
local function peak()
    local file = assert(io.open '/proc/self/status')
    local text = file:read '*a'
    file:close()
    return text:match 'VmHWM:%s*(%d+)'
end

-- Counting descriptors requires a descriptor, which is reserved here.
local spare = assert(io.open '/dev/null')

local steps = 0    -- of the loop so far

local function measure()
    spare:close()
    local open, memory = descriptors(), peak()
    spare = assert(io.open '/dev/null')
    collectgarbage()
    collectgarbage()
    return open, collectgarbage 'count', memory, steps
end

local figures = loop.newserver('127.0.0.1', 0, function(client)
    while client:receive() do
        client:send(('%d %f %s %d\n'):format(measure()))
    end
    client:close()
end)

-- Answers datagrams.
local datagrams = loop.udp('127.0.0.1', 0)
loop.newthread(function()
    for data, ip, port in function() return datagrams:receivefrom(512) end do
        datagrams:sendto(data, ip, port)
    end
end)

for _, s in ipairs {server, figures, datagrams} do
    print((select(2, s:getsockname())))
end
io.stdout:flush()
while loop.step() do steps = steps + 1 end
