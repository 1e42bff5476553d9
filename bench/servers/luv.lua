-- The servers of the benchmarks, with luv (libuv's callbacks):
--
--     lua luv.lua line|count|all       prints its port

local uv = require 'luv'

local handlers = {}

function handlers.line(client)
    local rest = ''
    client:read_start(function(err, data)
        if err or not data then return client:close() end
        if rest ~= '' then data = rest .. data end
        local first = 1
        for line, after in data:gmatch '([^\n]*\n)()' do
            client:write(line)
            first = after
        end
        rest = data:sub(first)
    end)
end

-- A line contains what to do with the bulk data that follows, and its size.
function handlers.count(client)
    local parts, got, what, size = {}, 0, nil, nil
    client:read_start(function(err, data)
        if err or not data then return client:close() end
        if not what then
            if parts[1] then data = parts[1] .. data end
            local after
            what, size, after = data:match '^(%a+) (%d+)\n()'
            if not what then
                parts[1] = data
                return
            end
            parts, got, size = {}, 0, tonumber(size)
            data = data:sub(after)
        end
        parts[#parts + 1], got = data, got + #data
        if got >= size then
            local all = table.concat(parts)
            client:write(what == 'echo' and all or #all .. '\n')
            parts, what = {}, nil
        end
    end)
end

function handlers.all(client)
    local parts = {}
    client:read_start(function(err, data)
        if err then return client:close() end
        if data then
            parts[#parts + 1] = data
            return
        end
        local all = table.concat(parts)
        local what, _, after = all:match '^(%a+) (%d+)\n()'
        all = all:sub(after)
        client:write(what == 'echo' and all or #all .. '\n',
                     function() client:close() end)
    end)
end

local handler = handlers[arg[1]]
local server = uv.new_tcp()
server:bind('127.0.0.1', 0)
server:nodelay(true)     -- inherited by its clients
server:listen(16384, function(err)
    assert(not err, err)
    local client = uv.new_tcp()
    server:accept(client)
    handler(client)
end)
print(server:getsockname().port)
io.stdout:flush()
uv.run()
