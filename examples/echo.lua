-- An echo server: every line comes back.
--
--     lua examples/echo.lua [port]

local loop = require 'socketloop'

local server = loop.newserver('127.0.0.1', tonumber(arg[1]), function(client)
    repeat
        local line = client:receive()
    until not (line and client:send(line .. '\n'))
    client:close()
end)

-- Without onerror an error in a thread would end the server.
loop.onerror = function(_, err, traceback)
    io.stderr:write(tostring(err), '\n', traceback, '\n')
end

print(('listening on %s, port %d'):format(server:getsockname()))
io.stdout:flush()
loop.start()
