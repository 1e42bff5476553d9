-- Every function of the module, of coro and of Lua's coroutine library, and
-- every method of sockets, with makers of arguments that let calls get
-- somewhere.
--
-- A call is {name, makers of arguments, a function that makes them harmless}.

local values = require 'fuzz.values'

local pick, random, chance = values.pick, values.random, values.chance
local any, host, port = values.any, values.host, values.port
local seconds, bytes, count = values.seconds, values.bytes, values.count

local calls = {}

local function from(pool) return function() return values.from(pool) end end
local thread, socket, func = from 'threads', from 'sockets', from 'functions'
local plain = from 'plain'

local function flag() return chance(50) end
local function one_of(list) return function() return pick(list) end end

-------------------------------------------------------------------------------
-- Harmless arguments

local function is_number(value)
    return tonumber(value) ~= nil and type(value) ~= 'table'
end

-- Limits times to a moment, except those that are refused.
local function short(args, first)
    for i = first, args.n do
        if is_number(args[i]) and tonumber(args[i]) > 0.003 then
            args[i] = 0.001
        end
    end
end

local function short_sleep(args) short(args, 1) end

-- LuaSocket's own sleep never ends for an argument that is not a number.
local function number_sleep(args)
    short(args, 1)
    if is_number(args[1]) and tonumber(args[1]) ~= tonumber(args[1]) then
        args[1] = 0
    end
end

-- A step without a timeout might wait for ever.
local function short_step(args)
    if args.n == 0 then args.n = 1 end
    if args[1] == nil or is_number(args[1]) and tonumber(args[1]) < 0 then
        args[1] = 0
    end
    short(args, 1)
end

local is_host = {}
for _, name in ipairs(values.hosts) do is_host[name] = true end

-- Limits arguments to this machine's hosts and ports; from position `at` on
-- they are host, port, host, port.
local function local_only(at)
    return function(args)
        for i = at, args.n do
            local value = args[i]
            if (i - at) % 2 == 0 then
                if type(value) == 'string' and not is_host[value] and
                   not value:find 'sl%-fuzz' or type(value) == 'number' then
                    args[i] = host()
                end
            elseif type(value) == 'string' or type(value) == 'number' then
                args[i] = port()
            end
        end
    end
end

-- Descriptors that no socket owned when they were made.
calls.orphans = {}

-- Makes a descriptor that no socket owns.
local function descriptor()
    local s = require 'socket'[pick {'tcp', 'udp'}]()
    if not s then return -1 end
    if not (s.bind or s.setsockname)(s, '127.0.0.1', 0) then return -1 end
    local fd = s:getfd()
    calls.orphans[#calls.orphans + 1] = fd
    s:setfd(-1)
    return fd
end

-- Replaces descriptors by unowned ones. The object may lose its own descriptor.
local function own_descriptor(args, object)
    for i = 1, args.n do
        if is_number(args[i]) then args[i] = descriptor() end
    end
    local ok, fd = pcall(function() return object:getfd() end)
    if ok and type(fd) == 'number' and fd >= 0 then
        calls.orphans[#calls.orphans + 1] = fd
    end
end

-- A connect to a listener whose short queue is full takes seconds.
local function long_queue(args)
    if is_number(args[1]) then args[1] = 100 + random(100) end
    if args[1] == nil then args[1], args.n = 100, 1 end
end

-- LuaSocket's own receive allocates as many bytes as are requested.
local function small_count(args)
    if is_number(args[1]) then args[1] = count() end
end

-- Options that neither stop this process nor affect other machines.
local options = {'keepalive', 'reuseaddr', 'tcp-nodelay', 'linger', 'error',
                 'recv-buffer-size', 'send-buffer-size', 'broadcast',
                 'ipv6-v6only', 'ip-multicast-ttl', 'nosuchoption'}
local is_option = {}
for _, name in ipairs(options) do is_option[name] = true end

local function harmless_option(args)
    if type(args[1]) == 'string' and not is_option[args[1]] then
        args[1] = pick(options)
    elseif is_number(args[1]) then
        args[1] = pick(options)
    end
    if args[1] == 'linger' and type(args[2]) == 'table' then
        args[2] = {on = true, timeout = 0}
    end
end

local folder = ''
local paths = 0

-- Sets the folder for unix sockets.
function calls.set_folder(name) folder = name end

local function path()
    if chance(20) then return ('\0sl-fuzz-%s-%d'):format(folder, random(3)) end
    if chance(30) then paths = paths + 1 end
    return ('%s/sl-fuzz-%d'):format(folder, paths % 100)
end

local function host_or_path() return chance(75) and host() or path() end
local function port_or_none() return chance(75) and port() or nil end

-------------------------------------------------------------------------------
-- The functions

-- Functions of a loop.
calls.loop = {
    {'connect', {host, port}, local_only(1)},
    {'connect', {host, port, host, port}, local_only(1)},
    {'current', {}},
    {'newserver', {host_or_path, port_or_none, func}, function(args)
        local_only(1)(args)
        if type(args[3]) == 'function' then
            args[3] = calls.handler(args[3])
        end
    end},
    {'newthread', {func, any, any}},
    {'newthread', {func}},
    {'now', {}},
    {'resolve', {host, port, seconds}, function(args)
        local limit = args[3]
        local_only(1)(args)
        args[3] = limit
    end},
    {'resume', {thread, any, any}},
    {'resume', {thread}},
    {'sleep', {seconds}, short_sleep},
    {'step', {seconds}, short_step},
    {'stop', {}},
    {'suspend', {}},
    {'suspend', {}},
    {'tcp', {host, port}, local_only(1)},
    {'tcp', {}},
    {'udp', {host, port}, local_only(1)},
    {'udp', {}},
    {'unix', {}},
    {'wrap', {plain}, own_descriptor},
    {'wrap', {socket}, own_descriptor},
    {'wrap', {descriptor, any}, own_descriptor},
}

-- Makes a handler of clients that records them (set by the user of this file).
function calls.handler(f) return f end

calls.coro = {
    {'create', {func}},
    {'transfer', {thread, any, any}},
    {'transfer', {thread}},
    {'ptransfer', {thread, any}},
    {'resume', {thread, any, any}},
    {'resume', {thread}},
    {'yield', {any, any}},
    {'wrap', {func}},
    {'safewrap', {func}},
    {'status', {thread}},
    {'running', {}},
    {'isyieldable', {}},
}

calls.coroutine = {
    {'create', {func}},
    {'resume', {thread, any}},
    {'status', {thread}},
    {'wrap', {func}},
    {'running', {}},
    {'yield', {any, any}},
    {'close', {thread}},
}

local patterns = one_of {'*l', '*a', '*l', '*a', 'l', 'a', '', '*n'}

-- Methods of sockets; the socket comes first.
calls.methods = {
    {'accept', {}},
    {'bind', {host_or_path, port}, local_only(1)},
    {'call_async', {func, any, any}},
    {'close', {}},
    {'connect', {host_or_path, port}, local_only(1)},
    {'dirty', {}},
    {'getfamily', {}},
    {'getfd', {}},
    {'getoption', {one_of(options)}, harmless_option},
    {'getpeername', {}},
    {'getsocket', {}},
    {'getsockname', {}},
    {'getstats', {}},
    {'gettimeout', {}},
    {'listen', {count}, long_queue},
    {'receive', {}},
    {'receive', {patterns, bytes, flag}},
    {'receive', {count, bytes, flag}},
    {'receive', {count}},
    {'receivefrom', {count}},
    {'receivefrom', {}},
    {'send', {bytes, count, count}},
    {'send', {bytes}},
    {'send', {function() return {bytes(), bytes(), any()} end}},
    {'sendto', {bytes, host_or_path, port}, local_only(2)},
    {'setfd', {descriptor}, own_descriptor},
    {'setoption', {one_of(options), any}, harmless_option},
    {'setpeername', {host_or_path, port}, local_only(1)},
    {'setsockname', {host_or_path, port}, local_only(1)},
    {'setsocket', {plain}},
    {'setsocket', {any}},
    {'setstats', {count, count, count}},
    {'settimeout', {seconds, one_of {'b', 't', 'r', 'x'}}},
    {'settimeout', {seconds}},
    {'shutdown', {one_of {'send', 'receive', 'both', 'x'}}},
    {'starttls', {any, any}},
    {'socket', {}},
    {'nosuchmethod', {any}},
}

-- Functions of LuaSocket that may wait in a thread while install is in effect.
local function sockets()
    return {values.from 'plain', values.from 'sockets', values.from 'plain'}
end

local function short_select(args)
    args.n = 3
    args[3] = pick {0, 0.001}
end

calls.socket = {
    {'select', {sockets, sockets, seconds}, short_select},
    {'sleep', {seconds}, number_sleep},
    {'tcp', {}},
    {'udp', {}},
}

-- Methods of LuaSocket's own objects that do not block.
calls.plain = {
    {'connect', {host, port}, local_only(1)},
    {'close', {}},
    {'getfd', {}},
    {'receive', {count}, small_count},
    {'send', {bytes}},
    {'getsockname', {}},
    {'dirty', {}},
}

return calls
