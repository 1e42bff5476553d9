-- Unmodified code for LuaSocket: each host in a thread of its own, with
-- socket.http, ssl.https or any other module that waits on a socket.
--
--     lua examples/unmodified.lua http://www.lua.org/ https://luarocks.org/

local http = require 'socket.http'
local loop = require 'socketloop'

loop.install()
for _, url in ipairs(arg) do
    loop.newthread(function()
        local body, code = http.request(url)
        print(url, code, body and #body)
    end)
end
loop.start()
