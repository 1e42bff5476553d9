-- The servers of the benchmarks, with cqueues:
--
--     lua cqueues.lua line|count|all       prints its port

local cqueues = require 'cqueues'
local socket = require 'cqueues.socket'

local handlers = {}

function handlers.line(client)
    for line in client:lines '*L' do
        client:write(line)
        client:flush()
    end
    client:close()
end

-- A line contains what to do with the bulk data that follows, and its size.
function handlers.count(client)
    for line in client:lines '*l' do
        local what, size = line:match '^(%a+) (%d+)$'
        local data = client:read(tonumber(size))
        client:write(what == 'echo' and data or #data .. '\n')
        client:flush()
    end
    client:close()
end

function handlers.all(client)
    local what = client:read '*l'
    local data = client:read '*a'
    client:write(what:match '^echo' and data or #data .. '\n')
    client:flush()
    client:close()
end

local handler = handlers[arg[1]]
local queue = cqueues.new()
local server = socket.listen {host = '127.0.0.1', port = 0}
assert(server:listen())
print((select(3, server:localname())))
io.stdout:flush()
queue:wrap(function()
    for client in function() return server:accept {nodelay = true} end do
        client:setmode('bf', 'bf')
        queue:wrap(handler, client)
    end
end)
assert(queue:loop())
