-- Listening sockets in the model, to which threads connect and from which they
-- accept. One has a path; its connections are sockets of the program like all
-- others. One has a port; only connecting and accepting are compared there.
--
-- A door is a table: queue, the connections that wait; closed; reader, block
-- and total as in waits.lua.

local events = require 'model.events'
local streams = require 'model.streams'
local waits = require 'model.waits'
local world = require 'model.world'

local doors = {}

-- Maximum number of connections in a program, so that queues don't fill up.
local most = 20

local list, connections

function doors.begin()
    list = {path = {queue = {}}, port = {queue = {}}}
    connections = 0
end

local function add_socket(socket)
    table.insert(world.sockets, socket)
    return #world.sockets
end

local connect = {}

function connect.path(_, door)
    if door.closed then return 'connection refused' end
    local client, server = streams.pair()
    table.insert(door.queue, server)
    return 'connected ' .. add_socket(client)
end

-- The system has connected at once without reporting it. The status reported
-- later is that of the connection at that time.
function connect.port(thread, door, s)
    local connection = {is_refused = door.closed}
    table.insert(door.queue, connection)
    return waits.park(thread, {}, {
        can = function() return true end,
        try = function()
            if connection.is_refused then return 'connection refused' end
            local is_lost = connection.is_lost and
                            events.ends_with(thread.number, s, 'closed')
            return is_lost and 'closed' or 'connected'
        end,
        in_turn = true,
    })
end

-- Returns the thread's result.
function doors.connect(thread, s)
    connections = connections + 1
    if connections > most then return 'enough' end
    return connect[s.door](thread, list[s.door], s)
end

local function accept_next(s, door)
    if door.closed then return 'closed' end
    local socket = table.remove(door.queue, 1)
    if s.door == 'port' then return 'accepted' end
    return 'accepted ' .. add_socket(socket)
end

-- Returns the thread's result, or nil and an error.
function doors.accept(thread, s)
    local door = list[s.door]
    return waits.operate(thread, s, door, {
        can = function() return door.closed or door.queue[1] ~= nil end,
        known = function() return door.closed end,
        try = function() return accept_next(s, door) end,
        too_early = function() end,
        time_out = function() return 'timeout' end,
        closed = function() return function() return 'closed' end end,
    })
end

function doors.set_limit(s)
    local name = s.mode == 'b' and 'block' or 'total'
    list[s.door][name] = s.ticks >= 0 and s.ticks or nil
end

-- Connections that were not accepted are lost.
function doors.close(name)
    local door = list[name]
    if door.closed then return end
    waits.abort(door)
    door.closed = true
    for _, socket in ipairs(door.queue) do
        socket.is_lost = true
        if name == 'path' then streams.close(socket) end
    end
end

return doors
