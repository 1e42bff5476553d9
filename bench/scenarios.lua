-- The scenarios, the contestants, and the limits of socketloop's cost.
--
-- The first limit is for LuaJIT and 5.4, the second for 5.1. A contestant
-- without a command for a scenario does not take part.

local scenarios = {}

-------------------------------------------------------------------------------
-- Contestants. The others are compared with the first one.

local function other(name)
    return {
        name = name, lua = 'luajit',
        server = 'luajit bench/servers/' .. name .. '.lua',
    }
end

local function ours(lua, title, limit)
    return {
        name = lua, title = title, lua = lua, limit = limit,
        server = lua .. ' bench/servers/socketloop.lua',
        environment = ("LUA_PATH='build/%s/?.lua;;' " ..
                       "LUA_CPATH='build/%s/?.so;;' "):format(lua, lua),
    }
end

-- The cost of Lua without a library; supports lines only.
local function bare(lua)
    return {
        name = 'bare ' .. lua, lua = lua, bare = true,
        server = lua .. ' bench/servers/bare.lua',
        environment = ("LUA_CPATH='build/%s/bench/?.so;;' "):format(lua),
    }
end

scenarios.contestants = {
    {name = 'raw', title = 'raw C', server = 'build/bench/raw'},
    other 'luv',
    other 'cqueues',
    other 'copas',
    ours('luajit', 'socketloop, LuaJIT', 1),
    ours('lua5.4', 'socketloop, 5.4', 1),
    ours('lua5.1', 'socketloop, 5.1', 2),
    bare 'luajit', bare 'lua5.4', bare 'lua5.1',
}

-------------------------------------------------------------------------------
-- Servers under load: CPU time of the server for each operation. load: options
-- of build/bench/load. counts: numbers of operations between which instructions
-- and system calls are counted. copas is left out: it uses select.

scenarios.loads = {
    {
        name = 'echo-1', title = 'a line, 1 connection',
        server = 'line', load = '-c 1',
    }, {
        name = 'echo-50', title = 'a line, 50 connections',
        server = 'line', load = '-c 50', limits = {1.08, 1.15},
        counts = {2000, 8000},
        instruction_limits = {1500, 2500}, call_limits = {2.05, 2.05},
    }, {
        name = 'echo-1000', title = 'a line, 1000 connections',
        server = 'line', load = '-c 1000', limits = {1.12, 1.25},
    }, {
        name = 'echo-8000', title = 'a line, 100 of 8000 connections',
        server = 'line', load = '-c 8000 -a 100', limits = {1.12, 1.25},
        many = true,
    }, {
        name = 'open-8000', title = 'a line, 50 of 8000 connections',
        server = 'line', load = '-c 8000 -a 50', many = true,
    }, {
        name = 'pipelined', title = '16 lines at once, 50 connections',
        server = 'line', load = '-c 50 -d 16', limits = {2.5, 3.5},
        counts = {500, 1500},
    }, {
        name = 'long', title = 'a line of 8000 bytes, 50 connections',
        server = 'line', load = '-c 50 -s 8000', limits = {1.2, 1.3},
        counts = {1000, 3000},
    }, {
        name = 'churn', title = 'connect, a line, close; 50 at a time',
        server = 'line', load = '-m churn -c 50', limits = {0.87, 0.95},
        counts = {1000, 3000},
    }, {
        name = 'bulk-count', title = '1 MiB received by count',
        server = 'count', load = '-m count -c 4 -s 1048576 -t 0.5',
    }, {
        name = 'bulk-all', title = "4 MiB received by '*a'",
        server = 'all', load = '-m all -c 4 -s 4194304 -t 0.5',
        limits = {1.15, 1.15},
    },
}

-- Cost of one scenario relative to another one, for one contestant.
scenarios.growth = {
    name = 'growth', title = 'from 50 to 8000 open connections',
    of = 'open-8000', from = 'echo-50', limits = {1.05, 1.1},
}

-------------------------------------------------------------------------------
-- Memory for each connection that is open and idle.

local KiB = 1024

scenarios.memory = {
    {
        name = 'memory-1000', title = '1000 idle connections',
        server = 'line', load = '-m idle -c 1000',
    }, {
        name = 'memory-8000', title = '8000 idle connections',
        server = 'line', load = '-m idle -c 8000', many = true,
        limits = {1.0 * KiB, 1.8 * KiB, 6 * KiB},    -- LuaJIT, 5.4, 5.1
    },
}

-------------------------------------------------------------------------------
-- Threads without sockets.

scenarios.sleepers = {
    name = 'sleepers', title = '100 000 sleeping threads',
    libraries = {luv = 'luv', cqueues = 'cqueues', luajit = 'socketloop',
                 ['lua5.4'] = 'socketloop', ['lua5.1'] = 'socketloop',
                 ['bare luajit'] = 'bare', ['bare lua5.4'] = 'bare',
                 ['bare lua5.1'] = 'bare'},
    limits = {1.0, 1.3},                             -- microseconds
}

-- bench/switch.lua, which has its own limits.
scenarios.switches = {name = 'switches', title = 'switching threads'}

return scenarios
