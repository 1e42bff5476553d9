-- A small HTTP server: one loop thread for each connection, which it keeps
-- open for further requests. Answers every path with a page that names it.
--
--     lua examples/http_server.lua [port [seconds it takes to make a page]]

local loop = require 'socketloop'

local port, latency = tonumber(arg[1]), tonumber(arg[2]) or 0

local answer = table.concat({
    'HTTP/1.1 %s', 'Content-Type: text/plain', 'Content-Length: %d',
    'Connection: %s', '', '%s',
}, '\r\n')

-- Reads the head of a request. Returns method, path, and whether the client
-- keeps the connection open; nothing if there is no request.
local function request(client)
    local method, path, version =
        (client:receive() or ''):match '^(%u+) (%S+) HTTP/(1%.[01])$'
    if not method then return end
    local keep = version == '1.1'
    for line in function() return client:receive() end do
        if line == '' then return method, path, keep end
        local name, value = line:lower():match '^([^:]+):%s*(.-)%s*$'
        if name == 'connection' then
            keep = value == 'keep-alive' or keep and value ~= 'close'
        end
    end
end

local function serve(client)
    local method, path, keep = request(client)
    if not method then return end
    local status, body = '200 OK', 'You asked for ' .. path .. '.\n'
    if method ~= 'GET' and method ~= 'HEAD' then
        status, body = '405 Method Not Allowed', 'GET and HEAD only.\n'
        keep = false
    end
    loop.sleep(latency)
    local sent = client:send(answer:format(status, #body,
        keep and 'keep-alive' or 'close', method == 'HEAD' and '' or body))
    return sent and keep
end

local server = loop.newserver('127.0.0.1', port, function(client)
    client:settimeout(60)
    while serve(client) do end
    client:close()
end)

-- Without onerror an error in a thread would end the server.
loop.onerror = function(_, err, traceback)
    io.stderr:write(tostring(err), '\n', traceback, '\n')
end

print(('listening on http://%s:%d/'):format(server:getsockname()))
io.stdout:flush()
loop.start()
