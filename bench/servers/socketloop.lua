-- The servers of the benchmarks, with socketloop:
--
--     lua socketloop.lua line|count|all       prints its port

local loop = require 'socketloop'

local handlers = {}

function handlers.line(client)
    local line = client:receive()
    while line do
        client:send(line .. '\n')
        line = client:receive()
    end
    client:close()
end

-- A line contains what to do with the bulk data that follows, and its size.
function handlers.count(client)
    for line in function() return (client:receive()) end do
        local what, size = line:match '^(%a+) (%d+)$'
        local data = client:receive(size)
        client:send(what == 'echo' and data or #data .. '\n')
    end
    client:close()
end

function handlers.all(client)
    local what = client:receive()
    local data = client:receive '*a'
    client:send(what:match '^echo' and data or #data .. '\n')
    client:close()
end

local server = loop.newserver('127.0.0.1', 0, handlers[arg[1]])
server:setoption('tcp-nodelay', true)    -- inherited by its clients
print((select(2, server:getsockname())))
io.stdout:flush()
loop.start()
