-- UDP sockets for the specs. The parameter `make` is a function that makes one,
-- of LuaSocket's kind or of the loop's.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local track = support.track

local datagrams = {}

-- Makes a LuaSocket object.
function datagrams.plain()
    return track(assert(socket.udp()))
end

-- Ways to make a loop socket.
datagrams.makers = {
    ['loop.udp'] = function() return track(loop.udp()) end,
    ['a wrapped object'] = function()
        return track(loop.wrap(socket.udp()))
    end,
    ['a wrapped object with a descriptor'] = function()
        return track(loop.wrap(assert(socket.udp4())))
    end,
    ['a bare descriptor'] = function()
        local object = assert(socket.udp4())
        local fd = object:getfd()
        object:setfd(-1)
        return track(loop.wrap(fd, 'udp'))
    end,
}

-- Returns a socket bound to a free port, and the port.
function datagrams.bound(make, host)
    local s = make()
    assert(s:setsockname(host or '127.0.0.1', 0))
    s:settimeout(5)
    return s, support.port(s)
end

-- Returns two sockets that are connected to each other.
function datagrams.connected(make, host)
    host = host or '127.0.0.1'
    local a, a_port = datagrams.bound(make, host)
    local b, b_port = datagrams.bound(make, host)
    assert(a:setpeername(host, b_port))
    assert(b:setpeername(host, a_port))
    return a, b
end

-- A port on which no program receives. A socket connected to itself occupies
-- it, so that no other program gets it.
local deaf = assert(socket.udp4())
assert(deaf:setsockname('127.0.0.1', 0))
assert(deaf:setpeername('127.0.0.1', support.port(deaf)))

function datagrams.dead_port()
    return support.port(deaf)
end

return datagrams
