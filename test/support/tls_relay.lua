-- TLS connections through a relay, which can end them in ways that LuaSec
-- cannot: without a close notify, or in the middle of a record.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local relay = {}
relay.__index = relay

local function pump(from, to)
    loop.newthread(function()
        repeat
            local data = from:receive(65536, nil, true)
        until not data or not to:send(data)
    end)
end

-- Makes a relay between two sockets, which it owns.
local function between(near, far)
    pump(near, far)
    pump(far, near)
    return setmetatable({near = near, far = far}, relay)
end

-- Makes a server-side object of LuaSec's, whose handshake is still to be done.
local function wrap(object, params)
    local wrapped = assert(require 'ssl'.wrap(object, params))
    return support.track(wrapped)
end

-- In a thread: returns two sockets, client and server side, connected through a
-- relay, and the relay. params are the client's. With install the server side
-- may be one of LuaSec's own objects.
function relay.tls(certs, params, is_luasec)
    local a, near = support.pair()
    local far, b
    if is_luasec then
        b, far = support.unwrapped()
        local server = certs.good.server
        server.protocol = 'any'
        b = wrap(b, server)
    else
        far, b = support.pair()
    end
    local self = between(near, far)
    local ok, err
    loop.newthread(function()
        if is_luasec then
            ok, err = b:dohandshake()
        else
            ok, err = b:starttls(certs.good.server)
        end
    end)
    assert(a:starttls(params, 'localhost'))
    assert(support.eventually(function() return ok or err end))
    assert(ok, err)
    b:send 'all is read\n'    -- so that a:close is no reset
    assert(a:receive())
    return a, b, self
end

-- Whether the socket has data that has not been read.
function relay.is_readable(s)
    local fd = s:getfd()
    local readable = socket.select({{getfd = function() return fd end}}, nil, 0)
    return readable[1] ~= nil
end

-- The relay ends the connection to the server side: by a reset, or by a FIN.
function relay:cut(with_fin)
    if not with_fin then
        self.far:setoption('linger', {on = true, timeout = 0})
    end
    self.far:close()
    self.near:close()
end

return relay
