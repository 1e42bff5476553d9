-- Random numbers that are the same on every Lua, and random values as arguments
-- of calls. All values are safe: hosts are those of the loopback interface,
-- ports and descriptors those of this process's sockets.

local unpack = table.unpack or unpack      -- luacheck: ignore

local values = {}

-------------------------------------------------------------------------------
-- Numbers

local state = 1

function values.seed(n)
    state = n % 2147483646 + 1
    for _ = 1, 4 do values.random(2) end
end

-- Returns a number from 1 to n; without n, from 0 to 1.
function values.random(n)
    state = state * 16807 % 2147483647      -- exact in a double
    if not n then return state / 2147483647 end
    return math.floor(state / 2147483647 * n) + 1
end
local random = values.random

function values.chance(percent) return random(100) <= percent end
local chance = values.chance

function values.pick(list) return list[random(#list)] end
local pick = values.pick

-------------------------------------------------------------------------------
-- Pools: results of calls, which later calls may get as arguments

local pools
local limit = 24

function values.reset()
    pools = {sockets = {}, plain = {}, threads = {}, functions = {},
             tables = {}}
end

-- Keeps a value, possibly in place of another one.
function values.keep(pool, value)
    local list = pools[pool]
    if #list < limit then
        list[#list + 1] = value
    else
        list[random(limit)] = value
    end
end

function values.pool(name) return pools[name] end

-- Returns a value of a pool, or nil.
function values.from(pool)
    local list = pools[pool]
    if #list > 0 then return pick(list) end
end

-- Removes a value from a pool.
function values.forget(pool)
    local list = pools[pool]
    if #list > 0 then table.remove(list, random(#list)) end
end

-------------------------------------------------------------------------------
-- Kinds of values

local huge, nan = math.huge, 0 / 0
local numbers = {0, 1, 2, 3, -1, 0.5, 7, 64, 1000, 65536, 2 ^ 31, -2 ^ 31,
                 2 ^ 53, 1e300, -1e300, huge, -huge, nan}
local strings = {'', 'x', '*l', '*a', 'l', 'a', '*n', '5', '0', '-1', '1e3',
                 'hello\n', 'a\r\nb\r\n', '\0', 'both', 'send', 'receive',
                 'b', 't', 'r', 'tcp', 'udp', 'unix', 'wantread', 'keepalive',
                 'reuseaddr', 'linger', 'tcp-nodelay', 'nosuchoption',
                 ('line\n'):rep(100), ('x'):rep(3000)}

local generic = {
    function() return nil end,
    function() return chance(50) end,
    function() return pick(numbers) end,
    function() return pick(strings) end,
    function() return random(20) - 1 end,
    function() return {} end,
    function() return {pick(strings), pick(strings)} end,
    function() return values.from 'tables' end,
    function() return values.from 'sockets' end,
    function() return values.from 'plain' end,
    function() return values.from 'threads' end,
    function() return values.from 'functions' end,
}

function values.any() return pick(generic)() end

values.hosts = {'127.0.0.1', '127.0.0.1', '127.0.0.1', '::1', '*', '',
                '+127.0.0.1', '+127.0.0.1+::1', 'wait1+127.0.0.1', '+', '0',
                '127.0.0.2'}

-- Returns a host. Connections stay in this process, since ports are its own.
function values.host() return pick(values.hosts) end

-- Ports that sockets of this process are bound to.
values.ports = {}

function values.port()
    local bad = {-1, 65536, 1e10, nan, 0.5, '', 'no-such-service', '-3'}
    if chance(70) and values.ports[1] then
        return pick(values.ports)
    elseif chance(70) then
        return chance(50) and 0 or '0'
    end
    return pick(bad)
end

function values.seconds()
    return pick {0, -1, 0, 0.001, 0.002, 0.0001, -huge, '0.001'}
end

function values.bytes()
    if chance(10) then return ('y'):rep(random(300000)) end
    return pick(strings)
end

function values.count()
    return chance(50) and random(40) - 1 or random(5000)
end

-- Returns several arguments, one from each maker, packed.
function values.list(makers)
    local n = #makers
    local list = {}
    for i = 1, n do list[i] = makers[i]() end
    while n > 0 and chance(20) do n = n - 1 end
    while chance(8) do
        n = n + 1
        list[n] = values.any()
    end
    if n > 0 and chance(15) then list[random(n)] = values.any() end
    list.n = n
    return list
end

function values.unpack(list) return unpack(list, 1, list.n) end

return values
