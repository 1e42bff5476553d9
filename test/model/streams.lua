-- Pairs of connected sockets in the model, and the bytes sent through them.
-- Bytes that are sent arrive at once. The module's events determine when a
-- receive sees them, and how many of them it returns when it times out or its
-- socket is closed.
--
-- A socket is a table: input, the bytes received but not read; peer; closed;
-- shut, whether it sends no more; ended, whether the peer sends no more; reset,
-- whether the peer was closed with unread bytes; gathers, whether sent bytes
-- may still be gathered; fresh, whether bytes have arrived since the loop
-- looked; reader, block and total as in waits.lua.

local events = require 'model.events'
local waits = require 'model.waits'
local world = require 'model.world'

local streams = {}

-- Returns two connected sockets.
function streams.pair()
    local one, other = {input = ''}, {input = ''}
    one.peer, other.peer = other, one
    return one, other
end

-- Returns the bytes, without CRs if the pattern is for lines.
local function cooked(s, bytes)
    return s.pattern == '*l' and bytes:gsub('\r', '') or bytes
end

local function show(a, b, c)
    return ('%q %q %q'):format(tostring(a), tostring(b), tostring(c))
end

-- Returns the number of input bytes that finish the receive, and the data, or
-- nil. A closed socket receives nothing, not even zero bytes.
local function enough(socket, s)
    local input = socket.input
    if type(s.pattern) == 'number' then
        local wanted = math.max(s.pattern - #s.prefix, 0)
        if #input >= wanted and not (socket.closed and input == '') then
            return wanted, input:sub(1, wanted)
        end
    elseif s.pattern == '*l' and input:find '\n' then
        local line = input:match '^[^\n]*'
        return #line + 1, cooked(s, line)
    elseif s.pattern == '*a' and socket.ended and input ~= '' and
           not socket.closed then
        return #input, input
    end
    if s.less_is_ok and input ~= '' then return #input, cooked(s, input) end
end

-- A receive that fails returns some of the bytes that arrived, possibly not the
-- last ones. Returns its result, and the number of bytes.
local function fail(number, s, err, input)
    local result
    for size = 0, #input do
        result = show(nil, err, s.prefix .. cooked(s, input:sub(1, size)))
        if events.ends_with(number, s, result) then return result, size end
    end
    return result, #input
end

-- Like enough, for a receive to which less is enough: the loop may have read
-- only some of the bytes, as many as in the module's event.
local function content(number, socket, s)
    local all = socket.input
    for size = 0, #all do
        local part = {input = size == 0 and all or all:sub(1, size)}
        local taken, data = enough(part, s)
        if events.ends_with(number, s, show(s.prefix .. data)) then
            return taken, data
        end
    end
    return enough(socket, s)
end

local function drop(socket, size)
    socket.input = socket.input:sub(size + 1)
end

local function try_receive(number, socket, s)
    local size, data = enough(socket, s)
    if size and s.less_is_ok then
        size, data = content(number, socket, s)
    elseif size and s.pattern == '*a' and socket.reset then
        local result, part = fail(number, s, 'closed', socket.input)
        if events.ends_with(number, s, result) then
            drop(socket, part)
            return result
        end
    end
    if size then
        drop(socket, size)
        return show(s.prefix .. data, nil, nil)
    end
    local rest = socket.input
    socket.input = ''
    return show(nil, 'closed', s.prefix .. cooked(s, rest))
end

local function time_out(number, socket, s)
    local result, size = fail(number, s, 'timeout', socket.input)
    drop(socket, size)
    return result
end

-- For a timeout of 0: the last bytes or the end may not have arrived yet.
local function too_early(number, socket, s)
    local finished = enough(socket, s) and s.pattern ~= '*a'
    if socket.closed or not socket.peer.gathers and
       (finished or socket.input == '') then
        return
    end
    local result, size = fail(number, s, 'timeout', socket.input)
    if events.ends_with(number, s, result) then
        drop(socket, size)
        return result
    end
end

-- Returns the thread's result, or nil and an error.
function streams.receive(thread, s, socket)
    local number = thread.number
    return waits.operate(thread, s, socket, {
        can = function()
            return enough(socket, s) ~= nil or socket.closed or socket.ended
        end,
        known = function()    -- true if no bytes are needed
            return socket.closed or
                   type(s.pattern) == 'number' and #s.prefix >= s.pattern
        end,
        try = function() return try_receive(number, socket, s) end,
        too_early = function() return too_early(number, socket, s) end,
        time_out = function() return time_out(number, socket, s) end,
        closed = function()
            local input = socket.input
            return function() return (fail(number, s, 'closed', input)) end
        end,
    })
end

-- Returns the results of a send. If another line has arrived, the bytes may be
-- gathered: then a failure is reported later, if at all, and the bytes have not
-- arrived yet.
function streams.send(number, s, socket)
    local data = s.data
    if data == '' then return 0, nil, nil end
    local gathers = not socket.closed and socket.input:find '\n'
    if socket.closed or socket.shut or socket.peer.closed then
        if gathers and events.ends_with(number, s, #data .. ' nil nil') then
            return #data, nil, nil
        end
        return nil, 'closed', 0
    end
    socket.gathers = gathers
    socket.peer.input = socket.peer.input .. data
    socket.peer.fresh = true
    return #data, nil, nil
end

function streams.close(socket)
    if socket.closed then return end
    waits.abort(socket)
    socket.closed = true
    -- The system may report to the peer that unread bytes were lost, as an
    -- error in place of the end.
    socket.peer.reset = socket.input ~= ''
    socket.input, socket.fresh = '', false
    socket.peer.ended = true
end

function streams.shutdown(socket)
    if socket.closed then return end
    socket.shut, socket.peer.ended = true, true
end

-- Bytes that are too few to end a wait still count as its progress.
function streams.note_progress()
    for _, socket in ipairs(world.sockets) do
        local thread = socket.reader
        if thread and socket.fresh and not waits.is_ready(thread) then
            waits.go_on(thread)
        end
        socket.fresh = false
    end
end

-- Whether there are new bytes for a waiting thread.
function streams.any_news()
    for _, socket in ipairs(world.sockets) do
        if socket.reader and socket.fresh then return true end
    end
    return false
end

return streams
