-- The servers of the benchmarks, with copas:
--
--     lua copas.lua line|count|all       prints its port

local copas = require 'copas'
local socket = require 'socket'

local handlers = {}

-- copas closes the client when its handler returns.
function handlers.line(client)
    local line = copas.receive(client)
    while line do
        copas.send(client, line .. '\n')
        line = copas.receive(client)
    end
end

-- A line contains what to do with the bulk data that follows, and its size.
function handlers.count(client)
    for line in function() return (copas.receive(client)) end do
        local what, size = line:match '^(%a+) (%d+)$'
        local data = copas.receive(client, tonumber(size))
        copas.send(client, what == 'echo' and data or #data .. '\n')
    end
end

function handlers.all(client)
    local what = copas.receive(client)
    local data = copas.receive(client, '*a')
    copas.send(client, what:match '^echo' and data or #data .. '\n')
end

local server = assert(socket.bind('127.0.0.1', 0, 4096))
server:setoption('tcp-nodelay', true)    -- inherited by its clients
print((select(2, server:getsockname())))
io.stdout:flush()
copas.addserver(server, handlers[arg[1]])
copas.loop()
