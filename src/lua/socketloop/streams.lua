-- receive and send of stream objects, as they are in loop threads.
--
-- LuaSocket's own methods go on as long as the peer keeps up. So a call asks
-- for no more than 64 KiB; then other threads run. Where that is possible, on
-- TCP and unix objects, lines and the end of a stream are looked for first: a
-- line may be without end, and the object has the same word, 'closed', for the
-- peer's end of the stream, for a reset and for its own close. Receives are
-- collected in C (collect.h, look.h); they wait here, since a thread that waits
-- in Lua takes no C stack.

local calls = require 'socketloop.calls'
local loops = require 'socketloop.loops'
local own = require 'socketloop.own'

local try, unready = calls.try, calls.unready
local limits, readers, writers = calls.limits, calls.readers, calls.writers
local count_call, wait_for = loops.count, loops.wait
local floor, max, min = math.floor, math.max, math.min
local getmetatable, tonumber, type = getmetatable, tonumber, type

local streams = {}

local CHUNK = 65536

-- Objects of which a thread receives all -> its call.
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
local function buffered(class, self, pattern)
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
    local theirs, self = call.class.own, call.self
    if theirs.getfd(self) < 0 or theirs.want(self) ~= 'nothing' then
        return false
    end
    local data, err = try(call, 1)
    return not data and err == 'closed' and theirs.want(self) == 'nothing'
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

-- What collect takes: 'l', 'a', or a count without the prefix; nil where one
-- call of the object does it, or raises.
local function kind_of(pattern, prefix)
    local count = tonumber(pattern)
    if prefix ~= nil and not is_text(prefix) then return nil end
    if count then
        count = floor(count)
        local has = prefix and #tostring(prefix) or 0
        local calls_once = count < 0 or count ~= count or
            has > 0 and count <= has
        return not calls_once and count - has or nil
    end
    return pattern == nil and 'l' or
        type(pattern) == 'string' and pattern:match '^%*([la])' or nil
end

-------------------------------------------------------------------------------
-- receive

-- Makes sure that LuaSocket's methods take the object as one of the class, and
-- raises as they do otherwise: to send nothing does nothing else. From then on
-- they may be called without pcall (limit.free), except those of TLS.
local function prove(class, name, self, limit)
    if not class.is_tls then own.method(name, class.own.send, self, '') end
    limit.proved = class
    limit.free = not class.is_tls and class
end

local function begin(here, class, name, self, waiters)
    local call = calls.begin(here, class, name, self, waiters)
    local limit = call.limit
    if limit.proved ~= class then prove(class, name, self, limit) end
    return call
end

-- The function that collects for objects of the class (collect.h).
local function collector(here, class)
    local theirs = class.own
    local step = here.collector(theirs.dirty, theirs.getfd,
        function(self, pattern) return buffered(class, self, pattern) end)
    here.collectors[class] = step
    return step
end

-- Of TLS: receive, and is_goodbye.
local function tls_functions(call)
    return function(_, pattern) return try(call, pattern) end,
        function() return is_goodbye(call) end
end

-- Receives what collect takes. part: what was received before.
local function collect(call, kind, prefix, part)
    local here, class, self = call.here, call.class, call.self
    local step = here.collectors[class] or collector(here, class)
    local sees = is_visible(self)
    local receive, says_goodbye = class.own.receive, nil
    if class.is_tls then receive, says_goodbye = tls_functions(call) end
    local state = here.collect(kind, part)
    enders[self] = kind == 'a' and sees and call or nil
    while true do
        local status, data, err, rest = step(state, self, prefix, receive,
                                             sees, call.failure, says_goodbye)
        if status == true then
            enders[self] = nil
            return data, err, rest
        end
        local goes_on, why
        if status == nil then
            goes_on, why = calls.turn(call), 'timeout'
        else
            local word = type(status) == 'string' and status or 'timeout'
            goes_on, why = calls.wait(call, word)
            why = why or word
        end
        if not goes_on then
            enders[self] = nil
            return here.giveup(state, prefix, why)
        end
    end
end

local function receive_any(here, class, self, pattern, prefix, ...)
    local call = begin(here, class, 'receive', self, readers)
    local kind = kind_of(pattern, prefix)
    if not kind then return try(call, pattern, prefix, ...) end
    return collect(call, kind, tostring(prefix or ''), '')
end

-- Waits until the descriptor is readable. False and an error if it isn't.
local function wait_readable(here, class, self, fd)
    local seconds = limits[self][1]
    if seconds == 0 then
        loops.turn(here)
        return false, 'timeout'
    end
    local ok, err = wait_for(here, seconds, fd, nil, readers, self)
    if ok then return true end
    return false, class.own.getfd(self) < 0 and 'closed' or err or 'timeout'
end

-- Continues with a receive of which one call of the object was not enough; err
-- is nil if there was no call.
local function receive_more(here, class, self, pattern, err, part)
    if err and not unready[err] then return nil, err, part end
    local call = calls.begin(here, class, 'receive', self, readers)
    return collect(call, kind_of(pattern), '', part or '')
end

local function receiver(here, class)
    local theirs = class.own
    local receive = here.receiver(theirs.receive, theirs.dirty, theirs.getfd)
    here.receivers[class] = receive
    return receive
end

-- A line or a count within the budget. In most cases it is there already, or
-- nothing of it, and one call of the object in C gives it (look.h).
local function receive_soon(here, class, self, pattern)
    local receive = here.receivers[class] or receiver(here, class)
    while true do
        local status, data, err, part = receive(self, pattern)
        if status == true then return data, err, part end
        if status == false then
            return receive_more(here, class, self, pattern, err, part)
        end
        if status then
            if limits[self][2] >= 0 then break end      -- it has a deadline
            local again, why = wait_readable(here, class, self, status)
            if not again then return nil, why, '' end
        else
            loops.turn(here, readers, self)
        end
        local limit = limits[self]
        if not limit or limit.free ~= class or readers[self] then break end
    end
    return receive_any(here, class, self, pattern)
end

function streams.receive(here, class, self, pattern, prefix, ...)
    local limit = prefix == nil and limits[self]
    if limit and limit.free == class and not readers[self] then
        if type(pattern) == 'number' then
            if pattern >= 0 and pattern <= CHUNK then
                return receive_soon(here, class, self, pattern)
            end
        elseif (pattern == nil or pattern == '*l') and class.is_visible then
            return receive_soon(here, class, self, pattern)
        end
    end
    return receive_any(here, class, self, pattern, prefix, ...)
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
    return max(first, 1), max(min(last, size), 0)
end

-- The system says once that a connection is reset. If a send is the first to
-- hear of it, the thread that receives all has to know.
local function warn_ender(call)
    local ender = enders[call.self]
    if ender then
        ender.failure = ender.failure or
            call.here.failure(call.class.own.getfd(call.self))
    end
end

local function send_some(call, data, first, last)
    warn_ender(call)
    local stop = min(first + CHUNK - 1, last)
    if call.class.is_tls then return stop, try(call, data, first, stop) end
    return stop, call.method(call.self, data, first, stop)
end

-- Sends the bytes from first to last, from the results of the first try on,
-- which was to send those up to stop.
local function send_on(call, data, first, last, stop, sent, err, partly)
    while true do
        partly = partly or first - 1
        if sent and stop == last then
            count_call(call.here, stop - first)
            return sent, nil, nil
        elseif sent then
            first = stop + 1
            if not calls.turn(call) then return nil, 'timeout', stop end
        elseif unready[err] then
            local again, why = calls.wait(call, err)
            if not again then return nil, why or err, partly end
            first = partly + 1
        else
            count_call(call.here)
            return nil, err, partly
        end
        stop, sent, err, partly = send_some(call, data, first, last)
    end
end

local function send_any(here, class, self, data, first, last, ...)
    local call = begin(here, class, 'send', self, writers)
    local from, to = range(data, first, last)
    if not from then return try(call, data, first, last, ...) end
    return send_on(call, data, from, to, send_some(call, data, from, to))
end

-- A string within the thread's share is one call of LuaSocket's own if there is
-- room for it.
function streams.send(here, class, self, data, first, last, ...)
    local limit = limits[self]
    if not limit or limit.free ~= class or writers[self] or enders[self] or
       type(data) ~= 'string' or #data > CHUNK or first ~= nil or
       last ~= nil then
        return send_any(here, class, self, data, first, last, ...)
    end
    local sent, err, partly = class.own.send(self, data)
    if sent then
        count_call(here, sent)
        return sent, nil, nil
    end
    local call = calls.begin(here, class, 'send', self, writers)
    return send_on(call, data, 1, #data, #data, nil, err, partly)
end

return streams
