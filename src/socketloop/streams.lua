-- receive and send of stream objects, as they are in loop threads.
--
-- LuaSocket's own methods go on as long as the peer keeps up. So a try asks for
-- no more than 64 KiB; then it is the others' turn. Where that is possible, on
-- TCP and unix objects, lines and the end of a stream are looked for first: a
-- line may be without end, and the object has the same word, 'closed', for the
-- peer's end of the stream, for a reset and for its own close.

local calls = require 'socketloop.calls'
local loops = require 'socketloop.loops'

local try = calls.try
local readers, writers = calls.readers, calls.writers

local streams = {}

local CHUNK = 65536
local SIGHT = 8192      -- bytes that a line is looked for in, as a rule

-- A try may also give these errors: it moved bytes and can be repeated at once;
-- the peer has ended the stream.
local MORE, ENDED = {}, {}

-- Objects whose thread is after the end of the stream -> its call.
local enders = calls.weak()

-------------------------------------------------------------------------------
-- What lies in the object

-- Objects that are without their descriptor for a moment -> the descriptor.
local apart = calls.weak()

-- The object has its descriptor again.
function streams.put_back(class, self)
    local fd = apart[self]
    if fd then
        apart[self] = nil
        class.own.setfd(self, fd)
    end
end

-- What receive gives of the bytes in the object's buffer alone. A finalizer
-- that runs meanwhile may close the object.
local function buffered(call, pattern)
    local class, self = call.class, call.self
    apart[self] = class.own.getfd(self)
    class.own.setfd(self, -1)
    local ok, data, _, part = pcall(class.own.receive, self, pattern)
    streams.put_back(class, self)
    if not ok then error(data, 0) end
    return data, part
end

-- Is the peer's goodbye the reason that LuaSec said 'closed'? Only then does it
-- say so once more, without having tried to read.
local function is_goodbye(call)
    local own, self = call.class.own, call.self
    if own.getfd(self) < 0 or own.want(self) ~= 'nothing' then return false end
    local data, err = try(call, 1)
    return not data and err == 'closed' and own.want(self) == 'nothing'
end

-------------------------------------------------------------------------------
-- Tries of receive
--
-- Each is given the call and, for a count, how many bytes are left; it takes no
-- more than call.room, what is left of the thread's share. It returns data,
-- which finishes the receive; or nil, error, partial, and whether that error is
-- the last word, whatever it says.

local function try_count(call, left)
    local data, err, part = try(call, math.min(left, call.room))
    if data and #data < left and data ~= '' then return nil, MORE, data end
    return data, err, part
end

-- A line that cannot be looked for.
local function try_line(call)
    return try(call, '*l')
end

-- All, where the end cannot be looked for.
local function try_all(call)
    local data, err, part = try(call, call.room)
    if data then return nil, data ~= '' and MORE or ENDED, data end
    if err == 'closed' and (not call.is_tls or is_goodbye(call)) then
        return nil, ENDED, part
    end
    return nil, err, part
end

-- What comes of a look that has found no bytes.
local function nothing(n, err)
    if n == nil then return nil, err, '', true end
    return nil, 'timeout', ''
end

-- Bytes without a line feed, as LuaSocket gives them of a line.
local function without_returns(bytes)
    return bytes:find('\r', 1, true) and bytes:gsub('\r', '') or bytes
end

local function look_for_line(call)
    local own, self = call.class.own, call.self
    if own.dirty(self) then
        local line, part = buffered(call, '*l')
        if line then return line end
        return nil, MORE, part
    end
    local n, found = call.here.look(own.getfd(self), call.sight or SIGHT)
    if not n then return nothing(n, found) end
    if n == 0 then return nil, 'closed', '' end
    if found then return try(call, '*l') end
    call.sight = CHUNK    -- the line is long
    local data, err, part = try(call, math.min(n, call.room))
    return nil, data and MORE or err, (without_returns(data or part))
end

local function look_for_all(call)
    local own, self = call.class.own, call.self
    if own.dirty(self) then
        return nil, MORE, (buffered(call, '*a'))
    end
    local n, failure = call.here.look(own.getfd(self))
    if not n then return nothing(n, failure) end
    if n == 0 then
        if call.failure then return nil, call.failure, '', true end
        return nil, ENDED, ''
    end
    local data, err, part = try(call, math.min(n, call.room))
    return nil, data and MORE or err, data or part
end

-- Metatable -> can one look for lines and ends in the objects that have it?
-- LuaSocket names its classes so.
local can_look = setmetatable({}, {__mode = 'k'})

local function is_visible(self)
    local class = getmetatable(self)
    if type(class) ~= 'table' then return false end
    if can_look[class] == nil then
        local name = tostring(self)
        can_look[class] = name:find '^tcp{client}' ~= nil or
            name:find '^unixstream{client}' ~= nil
    end
    return can_look[class]
end

local function is_text(value)
    return type(value) == 'string' or type(value) == 'number'
end

-- The function for a try, and the count if it is one; nil where one call of the
-- object does it, or raises.
local function choose(self, pattern, prefix)
    local count = tonumber(pattern)
    if prefix ~= nil and not is_text(prefix) then return nil end
    if count then
        count = math.floor(count)
        local has = prefix and #tostring(prefix) or 0
        local calls_once = count < 0 or count ~= count or
            has > 0 and count <= has
        return not calls_once and try_count or nil, count
    end
    local letter = pattern == nil and 'l' or
        type(pattern) == 'string' and pattern:match '^%*([la])'
    if letter == 'l' then
        return is_visible(self) and look_for_line or try_line
    elseif letter == 'a' then
        return is_visible(self) and look_for_all or try_all
    end
end

-------------------------------------------------------------------------------
-- receive

-- nil, error, partial; or all, where that is the end of the stream.
local function finish(err, parts, size)
    local all = table.concat(parts)
    if err == ENDED then
        if size > 0 then return all, nil, nil end
        err = 'closed'
    end
    return nil, err, all
end

-- Tries until the receive is finished. prefix: a string.
local function receive_on(call, attempt, count, prefix)
    local parts, size, moved = {prefix}, 0, 0
    local left = count and count - #prefix
    while true do
        call.room = math.max(CHUNK - moved, 1)
        local data, err, part, is_last = attempt(call, left and left - size)
        local some = data or part or ''
        parts[#parts + 1] = some
        size, moved = size + #some, moved + #some
        if data then
            loops.count(call.here, moved)
            return table.concat(parts), nil, nil
        elseif err == MORE then
            if moved >= CHUNK then
                moved = 0
                if not calls.turn(call) then
                    return finish('timeout', parts, size)
                end
            end
        elseif is_last or not calls.unready[err] then
            loops.count(call.here, moved)
            return finish(err, parts, size)
        else
            local again, why = calls.wait(call, err)
            if not again then
                return finish(why or err, parts, size)
            end
            moved = 0
        end
    end
end

function streams.receive(here, class, self, pattern, prefix, ...)
    local call = calls.begin(here, class, 'receive', self, readers)
    local attempt, count = choose(self, pattern, prefix)
    if not attempt then return try(call, pattern, prefix, ...) end
    enders[self] = attempt == look_for_all and call or nil
    return receive_on(call, attempt, count, tostring(prefix or ''))
end

-------------------------------------------------------------------------------
-- send

local function is_index(value)
    return type(value) == 'number' and value % 1 == 0
end

-- Where the bytes begin and end that LuaSocket would send; neither is negative.
-- nil where it would raise.
local function range(data, first, last)
    first, last = first or 1, last or -1
    if not (is_text(data) and is_index(first) and is_index(last)) then
        return nil
    end
    local size = #tostring(data)
    if first < 0 then first = first + size + 1 end
    if last < 0 then last = last + size + 1 end
    return math.max(first, 1), math.max(math.min(last, size), 0)
end

-- The system says once that a connection is reset. If a send is the first to
-- hear of it, the thread that is after the end of the stream has to know.
local function warn_ender(call)
    local ender = enders[call.self]
    if ender then
        ender.failure = ender.failure or
            call.here.failure(call.class.own.getfd(call.self))
    end
end

local function send_some(call, data, first, last)
    warn_ender(call)
    local stop = math.min(first + CHUNK - 1, last)
    local sent, err, partly = try(call, data, first, stop)
    return sent, err, partly or first - 1, stop
end

function streams.send(here, class, self, data, first, last, ...)
    local call = calls.begin(here, class, 'send', self, writers)
    local from, to = range(data, first, last)
    if not from then return try(call, data, first, last, ...) end
    while true do
        local sent, err, partly, stop = send_some(call, data, from, to)
        if sent and stop == to then
            loops.count(here, stop - from)
            return sent, nil, nil
        elseif sent then
            from = stop + 1
            if not calls.turn(call) then return nil, 'timeout', stop end
        elseif calls.unready[err] then
            local again, why = calls.wait(call, err)
            if not again then return nil, why or err, partly end
            from = partly + 1
        else
            loops.count(here)
            return nil, err, partly
        end
    end
end

return streams
