-- The methods of LuaSocket's and LuaSec's objects, as they are in loop
-- threads.
--
-- Each is the object's own method, tried with a timeout of 0, and again when
-- the descriptor is ready. So everything stays where it was: received bytes in
-- the object's buffer, words and partial results in its manner, and it may be
-- used in threads and outside of them in turn. Only its timeout is kept here
-- while it is used in threads (calls.lua). What moves bytes of streams is in
-- streams.lua.
--
-- `class` is an entry of classes.lua: class.own has LuaSocket's own methods.

local calls = require 'socketloop.calls'
local families = require 'socketloop.families'
local loops = require 'socketloop.loops'
local names = require 'socketloop.names'
local own = require 'socketloop.own'
local streams = require 'socketloop.streams'

local require = require    -- later the global one may be another

local unpack = table.unpack or unpack      -- luacheck: ignore

local begin, try, wait, pause = calls.begin, calls.try, calls.wait, calls.pause
local enter, leave, patience = calls.enter, calls.leave, calls.patience
local is_closed, unready = calls.is_closed, calls.unready
local readers, writers = calls.readers, calls.writers

local function pack(...)
    return {n = select('#', ...), ...}
end

-- Whose host's name is being looked up: object -> the call that wants to know.
local lookups = calls.weak()

-- Objects that may take an address of either family, though the last connect,
-- which failed, has left them a descriptor: object -> descriptor.
local familyless = calls.weak()

-------------------------------------------------------------------------------
-- What waits

-- A method that does all or nothing.
local function repeated(name, waiters, wait_for)
    return function(here, class, self, ...)
        local call = begin(here, class, name, self, waiters)
        local results = pack(try(call, ...))
        while not results[1] and unready[results[2]] do
            local again, err = wait_for(call, results[2])
            if not again then return results[1], err or results[2] end
            results = pack(try(call, ...))
        end
        loops.count(here)
        return unpack(results, 1, results.n)
    end
end

-- Of datagrams. Without a descriptor LuaSocket gives '', at once and for ever.
local function received(name)
    local receive_one = repeated(name, readers, wait)
    return function(here, class, self, ...)
        if class.own.getfd(self) >= 0 then
            return receive_one(here, class, self, ...)
        end
        loops.count(here)
        return nil, 'closed'
    end
end

-- Goes on where a method connect got so far: true, or nil and the error; and,
-- if the attempt has not ended itself, why: 'timeout' or 'closed'. The system
-- gives up an attempt with the word 'timeout', too.
local function finish_connecting(call, ok, err)
    local goes_on = not ok and err == 'timeout'
    while goes_on do
        local again, why = wait(call, 'timeout')
        why = why or 'timeout'
        if not again then return nil, why, why end
        ok, err = call.here.connected(call.class.own.getfd(call.self))
        goes_on = ok == false
    end
    return ok, err
end

-- Without a descriptor, as before.
local function drop(call)
    local fd = call.class.own.getfd(call.self)
    if fd < 0 then return end
    loops.release(fd)
    call.class.own.close(call.self)
end

-- Connects to one of the addresses, on the descriptor that there is. Gives also
-- whether to leave it at that.
local function connect_to(call, _, address, ...)
    local ok, err = try(call, address, ...)
    if not ok and err == 'closed' and not is_closed(call) then
        -- On Linux that was, once more, about an attempt before.
        ok, err = try(call, address, ...)
    end
    local why
    ok, err, why = finish_connecting(call, ok, err)
    return ok, err, why ~= nil
end

-- The same for an object without a family, on a descriptor for each of them.
local function connect_anew(call, is_last, address, ...)
    local class, self = call.class, call.self
    drop(call)
    familyless[self] = nil
    local ok, err, why = finish_connecting(call,
        families.begin(class, self, address, ...))
    local is_over = why ~= nil and
        (why ~= 'timeout' or is_last or patience(call) == 0)
    if class.own.getfd(self) < 0 then return ok, err, is_over end
    if ok or is_over and why == 'timeout' then
        families.settle(call.here, class, self, address)
    elseif is_last then
        familyless[self] = class.own.getfd(self)    -- as LuaSocket leaves it
    else
        drop(call)
    end
    return ok, err, is_over
end

-- The addresses that a host's name may mean to an object of that family, or
-- of none.
local function addresses_for(call, host, family)
    -- A limit of 0 is for waiting on the socket, as in LuaSocket.
    local seconds = patience(call)
    lookups[call.self] = call
    local addresses, err = names.addresses(call.here, tostring(host),
                                           seconds == 0 and -1 or seconds,
                                           family)
    if lookups[call.self] ~= call then return nil, 'closed' end
    lookups[call.self] = nil
    enter(call.class, call.name, call.self)
    return addresses, err
end

-- Of TCP: like LuaSocket's, tries the addresses of the host in turn.
local function connect(here, class, self, host, port, ...)
    local call = begin(here, class, 'connect', self, writers)
    if not names.is_text(host) then return try(call, host, port, ...) end
    local family = familyless[self] ~= class.own.getfd(self) and
        families.of(class, self)
    local addresses, err = addresses_for(call, host, family)
    local attempt = family and connect_to or connect_anew
    local ok, is_over
    for i, address in ipairs(addresses or {}) do
        ok, err, is_over = attempt(call, i == #addresses, address, port, ...)
        if ok then return 1 end
        if is_over then break end
    end
    here.setclass(self, 'tcp{client}')      -- as LuaSocket does
    return nil, err
end

-- LuaSocket closes a stream on a path that it couldn't connect at once: gives
-- it another descriptor.
local function renew(class, self)
    if class.own.getfd(self) >= 0 then return end
    local fresh = assert(require 'socket.unix'.stream())
    class.own.setfd(self, class.own.getfd(fresh))
    class.own.setfd(fresh, -1)
end

-- Of streams on a path, which are connected at once, unless the listener's
-- queue is full; nothing tells when it isn't any more.
local function connect_path(here, class, self, path, ...)
    local call = begin(here, class, 'connect', self, writers)
    local ok, err = try(call, path, ...)
    while not ok and err == 'timeout' and pause(call) do
        renew(class, self)
        ok, err = try(call, path, ...)
    end
    return ok, err
end

-- What takes a host's name, but doesn't wait otherwise.
local function named(name)
    return function(here, class, self, host, ...)
        local call = begin(here, class, name, self, {})
        if not names.is_text(host) then return try(call, host, ...) end
        local addresses, err = addresses_for(call, host,
                                             families.of(class, self))
        if not addresses then return nil, err end
        -- At once anyway; but with a timeout of 0 an address that failed
        -- would leave its family behind.
        leave(self)
        for _, address in ipairs(addresses) do
            local ok
            ok, err = try(call, address, ...)
            if ok then return ok end
        end
        return nil, err
    end
end

-- A method that is given a host and a port, the first of them at that place.
local function addressed(place, method)
    return function(here, class, self, ...)
        if names.are_wrong(select(place, ...)) then
            return nil, names.unknown
        end
        return method(here, class, self, ...)
    end
end

-- The same for a path.
local function on_path(name, place, method)
    return function(here, class, self, ...)
        if names.has_zero((select(place, ...))) then
            own.misuse(("bad argument #%d to '%s' (there is a zero byte in " ..
                        "the path)"):format(place, name))
        end
        return method(here, class, self, ...)
    end
end

-------------------------------------------------------------------------------
-- What doesn't wait, but matters: in threads and outside

local function close(class, self, ...)
    lookups[self] = nil
    streams.put_back(class, self)
    local ok, fd = pcall(class.own.getfd, self)
    if ok and fd >= 0 then
        loops.release(fd)
        local here = loops.here()
        if here and class.name == 'SSL:Connection' then here.hurry(fd) end
    end
    return own.method('close', class.own.close, self, ...)
end

-------------------------------------------------------------------------------

local methods = {leave_all = calls.leave_all}

-- The object is used outside of threads.
function methods.leave(self)
    familyless[self] = nil
    leave(self)
end

-- Called as (class, self, ...), wherever that is.
methods.everywhere = {
    close = close,
    gettimeout = calls.gettimeout,
    settimeout = calls.settimeout,
}

-- Called as (here, class, self, ...) in a thread of the loop `here`.
local stream = {
    accept = repeated('accept', readers, wait),
    receive = streams.receive,
    send = streams.send,
}

local function with(more, methods_of_kind)
    return setmetatable(methods_of_kind, {__index = more})
end

local tcp = with(stream, {
    bind = addressed(1, named 'bind'),
    connect = addressed(1, connect),
    setpeername = addressed(1, connect),
    setsockname = addressed(1, named 'bind'),
})

local path = with(stream, {
    connect = on_path('connect', 1, connect_path),
    setpeername = on_path('setpeername', 1, connect_path),
})

local tls = with(stream, {
    dohandshake = repeated('dohandshake', readers, wait),
})

local datagram = {
    receive = received 'receive',
    receivefrom = received 'receivefrom',
    send = repeated('send', writers, wait),
}

local udp = with(datagram, {
    sendto = addressed(2, repeated('sendto', writers, wait)),
    setpeername = addressed(1, named 'setpeername'),
    setsockname = addressed(1, named 'setsockname'),
})

-- These wait for room at their receiver's.
local path_datagram = with(datagram, {
    send = repeated('send', writers, pause),
    sendto = on_path('sendto', 2, repeated('sendto', writers, pause)),
})

methods.in_threads = {
    ['SSL:Connection'] = tls,
    ['serial{client}'] = stream,
    ['tcp{client}'] = tcp,
    ['tcp{master}'] = tcp,
    ['tcp{server}'] = tcp,
    ['udp{connected}'] = udp,
    ['udp{unconnected}'] = udp,
    ['unixdgram{connected}'] = path_datagram,
    ['unixdgram{unconnected}'] = path_datagram,
    ['unixstream{client}'] = path,
    ['unixstream{master}'] = path,
    ['unixstream{server}'] = path,
}

return methods
