-- receive and send of stream objects in loop threads.
--
-- A method of LuaSocket's does not return while the peer keeps up. So one call
-- receives or sends at most 64 KiB; then other threads run. TCP and unix
-- objects are peeked at before they receive, for two reasons: a line may be
-- endless; and 'closed' may mean the end of the stream, a reset, or that the
-- object itself was closed. The bytes of a receive are collected in C
-- (collect.h, look.h). The waits are in this file, since a thread that waits in
-- Lua needs no C stack.

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

-- Object -> the call that receives '*a' from it.
local enders = calls.weak()

-------------------------------------------------------------------------------
-- The object's buffer, and the end of its stream

-- Object -> the descriptor that `buffered` has taken from it for a moment.
local apart = calls.weak()

-- Gives the object its descriptor back, if `buffered` has taken it.
function streams.put_back(class, self)
    local fd = apart[self]
    if fd then
        apart[self] = nil
        class.own.setfd(self, fd)
    end
end

-- Receives from the object's own buffer only: the object has no descriptor
-- meanwhile. Returns data, or nil and the partial result. A finalizer may close
-- the object meanwhile; `close` puts the descriptor back first.
local function buffered(class, self, pattern)
    apart[self] = class.own.getfd(self)
    class.own.setfd(self, -1)
    local ok, data, _, part = pcall(class.own.receive, self, pattern)
    streams.put_back(class, self)
    if not ok then error(data, 0) end
    return data, part
end

-- To be called after LuaSec's receive has failed with 'closed'. True if the
-- peer has sent TLS's close_notify: then another receive returns 'closed' again
-- without trying to read.
local function is_goodbye(call)
    local theirs, self = call.class.own, call.self
    if theirs.getfd(self) < 0 or theirs.want(self) ~= 'nothing' then
        return false
    end
    local data, err = try(call, 1)
    return not data and err == 'closed' and theirs.want(self) == 'nothing'
end

-- Metatable -> whether its objects can be peeked at.
local can_look = setmetatable({}, {__mode = 'k'})

-- True if the object is a TCP or unix stream, so that its descriptor can be
-- peeked at.
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

-- Returns the pattern for `collect`: 'l', 'a', or a count without the prefix's
-- bytes. nil: the object's own receive needs no wait, or raises.
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

-- Raises LuaSocket's error if the object is not of the class: sends an empty
-- string, which checks self and has no other effect. Afterwards LuaSocket's
-- methods may be called directly instead of by own.method (limit.free), except
-- those of TLS.
local function prove(class, name, self, limit)
    if not class.is_tls then own.method(name, class.own.send, self, '') end
    limit.proved = class
    limit.free = not class.is_tls and class
end

-- calls.begin, and `prove` at the object's first call.
local function begin(here, class, name, self, waiters)
    local call = calls.begin(here, class, name, self, waiters)
    local limit = call.limit
    if limit.proved ~= class then prove(class, name, self, limit) end
    return call
end

-- Makes the function that collects for objects of the class (collect.h).
local function collector(here, class)
    local theirs = class.own
    local step = here.collector(theirs.dirty, theirs.getfd,
        function(self, pattern) return buffered(class, self, pattern) end)
    here.collectors[class] = step
    return step
end

-- Returns the functions receive and is_goodbye of collect.h for TLS.
local function tls_functions(call)
    return function(_, pattern) return try(call, pattern) end,
        function() return is_goodbye(call) end
end

-- Receives a pattern of kind_of; waits in between. part: bytes that were
-- received before.
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

-- receive with any arguments.
local function receive_any(here, class, self, pattern, prefix, ...)
    local call = begin(here, class, 'receive', self, readers)
    local kind = kind_of(pattern, prefix)
    if not kind then return try(call, pattern, prefix, ...) end
    return collect(call, kind, tostring(prefix or ''), '')
end

-- Waits until the descriptor is readable. Returns true, or false and an error.
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

-- Continues a receive that one call of the object did not finish. err and part
-- are the results of that call; err is nil if there was no call.
local function receive_more(here, class, self, pattern, err, part)
    if err and not unready[err] then return nil, err, part end
    local call = calls.begin(here, class, 'receive', self, readers)
    return collect(call, kind_of(pattern), '', part or '')
end

-- Makes the function that tries receives for objects of the class (look.h).
local function receiver(here, class)
    local theirs = class.own
    local receive = here.receiver(theirs.receive, theirs.dirty, theirs.getfd)
    here.receivers[class] = receive
    return receive
end

-- receive of a line, or of a count within the budget. In most cases all or none
-- of the bytes have arrived. Then the function of look.h finishes the receive
-- with one call of the object, or finds that it has to wait.
local function receive_soon(here, class, self, pattern)
    local receive = here.receivers[class] or receiver(here, class)
    while true do
        local status, data, err, part = receive(self, pattern)
        if status == true then return data, err, part end
        if status == false then
            return receive_more(here, class, self, pattern, err, part)
        end
        if status then
            -- A call with a deadline is left to receive_any.
            if limits[self][2] >= 0 then break end
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

-- Returns the first and the last index of the bytes that LuaSocket's send would
-- send, as numbers that are not negative; nil if it would raise.
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

-- Keeps the connection's error for a thread that receives '*a' from the object.
-- The system reports a reset once only; if a send got the report, the receive
-- would take the reset for the end of the stream.
local function warn_ender(call)
    local ender = enders[call.self]
    if ender then
        ender.failure = ender.failure or
            call.here.failure(call.class.own.getfd(call.self))
    end
end

-- Sends once, at most CHUNK bytes. Returns the last index of this call and the
-- results of the object's send.
local function send_some(call, data, first, last)
    warn_ender(call)
    local stop = min(first + CHUNK - 1, last)
    if call.class.is_tls then return stop, try(call, data, first, stop) end
    return stop, call.method(call.self, data, first, stop)
end

-- Sends the bytes from first to last, and waits in between. stop, sent, err and
-- partly are the results of a first send_some.
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

-- send with any arguments.
local function send_any(here, class, self, data, first, last, ...)
    local call = begin(here, class, 'send', self, writers)
    local from, to = range(data, first, last)
    if not from then return try(call, data, first, last, ...) end
    return send_on(call, data, from, to, send_some(call, data, from, to))
end

-- A string of at most CHUNK bytes is sent by one call of LuaSocket's send, if
-- the system has room for it.
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
