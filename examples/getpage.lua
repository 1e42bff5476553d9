-- Fetches pages, all at once, with LuaSocket's unmodified socket.http:
--
--     lua examples/getpage.lua http://127.0.0.1/ http://127.0.0.1/about ...

local loop = require 'socketloop'
local socket = require 'socket'
local http = require 'socket.http'
local ltn12 = require 'ltn12'

local function getpage(url)
    local t = {}
    local ok, code, headers = http.request {
        url = url,
        sink = ltn12.sink.table(t),
        create = function()
            return loop.wrap(socket.try(socket.tcp()))
        end,
    }
    assert(ok, code)
    return table.concat(t), headers, code
end

for _, url in ipairs(arg) do
    loop.newthread(function()
        local body = getpage(url)
        print('got ' .. #body .. ' bytes from ' .. url)
    end)
end

loop.start()
