-- The methods that replace those of LuaSocket's and LuaSec's objects in loop
-- threads.
--
-- Each one calls the object's own method with timeout 0, and again when the
-- descriptor is ready. So received bytes stay in the object's buffer, results
-- and errors are the object's own, and an object may be used both in threads
-- and outside of them. Only its timeouts are kept in calls.lua while it is used
-- in threads. receive and send of streams are in streams.lua.
--
-- `class` is an entry of classes.lua: class.own has LuaSocket's own methods.
-- `here` is the running thread's entry of loops.lua.

local calls = require 'socketloop.calls'
local families = require 'socketloop.families'
local loops = require 'socketloop.loops'
local names = require 'socketloop.names'
local own = require 'socketloop.own'
local streams = require 'socketloop.streams'

local require = require    -- the program may replace the global one later

local unpack = table.unpack or unpack      -- luacheck: ignore

local begin, try, wait, pause = calls.begin, calls.try, calls.wait, calls.pause
local enter, leave, patience = calls.enter, calls.leave, calls.patience
local is_closed, unready = calls.is_closed, calls.unready
local readers, writers = calls.readers, calls.writers

local function pack(...)
    return {n = select('#', ...), ...}
end

-- Object -> the call for which its host's name is being looked up.
local lookups = calls.weak()

-- Object -> the descriptor that a failed connect has left to it. Such an object
-- may still be connected to an address of either family.
local familyless = calls.weak()

-------------------------------------------------------------------------------
-- Methods that may wait

-- Returns a method that calls the object's own one until that succeeds or
-- fails for good. For methods without partial results.
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

-- Returns a receive method of datagram objects. It fails if there is no
-- descriptor, where LuaSocket's own one returns '' without end.
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

-- Waits for the attempt to connect that has returned ok, err. Returns true, or
-- nil and an error. A third result says that the attempt was given up, and why:
-- 'timeout' or 'closed'. (The second result alone does not, as an attempt may
-- also end with the system's error 'timeout'.)
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

-- Closes the object's descriptor.
local function drop(call)
    local fd = call.class.own.getfd(call.self)
    if fd < 0 then return end
    loops.release(fd)
    call.class.own.close(call.self)
end

-- Connects to an address on the object's descriptor. The third result is true
-- if no further address is to be tried.
local function connect_to(call, _, address, ...)
    local ok, err = try(call, address, ...)
    if not ok and err == 'closed' and not is_closed(call) then
        -- On Linux the first connect(2) after a failed attempt on the same
        -- descriptor reports that failure once more.
        ok, err = try(call, address, ...)
    end
    local why
    ok, err, why = finish_connecting(call, ok, err)
    return ok, err, why ~= nil
end

-- Connects an object without a family to an address, on a new descriptor. The
-- third result is true if no further address is to be tried.
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
        familyless[self] = class.own.getfd(self)    -- left as by LuaSocket
    else
        drop(call)
    end
    return ok, err, is_over
end

-- Looks up the host's addresses for an object of that family (false: of any).
-- Returns their list, or nil and an error.
local function addresses_for(call, host, family)
    -- As in LuaSocket, a timeout of 0 does not limit the look-up.
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

-- connect of TCP objects: tries the host's addresses in turn, as LuaSocket
-- does.
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
    -- LuaSocket sets the class even after a failure.
    here.setclass(self, 'tcp{client}')
    return nil, err
end

-- Gives a unix stream object a new descriptor. LuaSocket has closed the former
-- one because it could not be connected at once.
local function renew(class, self)
    if class.own.getfd(self) >= 0 then return end
    local fresh = assert(require 'socket.unix'.stream())
    class.own.setfd(self, class.own.getfd(fresh))
    class.own.setfd(fresh, -1)
end

-- connect of unix stream objects. It succeeds at once unless the listener's
-- queue is full; no event reports room in the queue.
local function connect_path(here, class, self, path, ...)
    local call = begin(here, class, 'connect', self, writers)
    local ok, err = try(call, path, ...)
    while not ok and err == 'timeout' and pause(call) do
        renew(class, self)
        ok, err = try(call, path, ...)
    end
    return ok, err
end

-- Returns a method that takes a host's name, and waits only for the look-up.
local function named(name)
    return function(here, class, self, host, ...)
        local call = begin(here, class, name, self, {})
        if not names.is_text(host) then return try(call, host, ...) end
        local addresses, err = addresses_for(call, host,
                                             families.of(class, self))
        if not addresses then return nil, err end
        -- The method does not block. With timeout 0 an address that failed
        -- would leave its family to the object.
        leave(self)
        for _, address in ipairs(addresses) do
            local ok
            ok, err = try(call, address, ...)
            if ok then return ok end
        end
        return nil, err
    end
end

-- Returns a method that checks its arguments host and port, which begin at that
-- place.
local function addressed(place, method)
    return function(here, class, self, ...)
        if names.are_wrong(select(place, ...)) then
            return nil, names.unknown
        end
        return method(here, class, self, ...)
    end
end

-- Returns a method that checks its argument at that place, a path.
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
-- Methods that are replaced in threads and outside

-- Wakes the threads that wait on the descriptor, then closes the object.
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

-- To be called when the object is used outside of threads.
function methods.leave(self)
    familyless[self] = nil
    leave(self)
end

-- Called as (class, self, ...), in threads and outside.
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

-- send and sendto wait for room in the receiver's queue, which no event
-- reports.
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
