-- Random programs of coroutines that wait in two loops, and meanwhile are
-- resumed, closed and dropped by any means. Whatever that is, each wait ends,
-- the loops come to rest, and new threads work. In a process of its own (see
-- ../fuzz_spec.lua), with a clock that passes only while a loop waits
-- (../model/clock.c), which aborts where nothing would end a wait:
--
--     LD_PRELOAD=.../model.so lua resumed.lua SEED PROGRAMS SECONDS
--
-- It ends after so many programs, or so many seconds of the processor. Of a
-- hundred programs the seed is printed before.

if os.getenv 'SOCKETLOOP_TEST_GC' then
    require 'gc'
    if rawget(_G, 'jit') then rawget(_G, 'jit').off() end
end

local coro = require 'coro'
local loop = require 'socketloop'
local socket = require 'socket'
local values = require 'fuzz.values'

local first_seed, total, limit = tonumber(arg[1]), tonumber(arg[2]),
                                 tonumber(arg[3])
local trace = os.getenv 'SOCKETLOOP_FUZZ_TRACE'
local chance, pick, random = values.chance, values.pick, values.random
local loops = {loop, loop.coro}
local tick = 1 / 64

for _, which in ipairs(loops) do which.onerror = function() end end

-- The coroutines of this program; those that are dropped are false.
local threads, made

-- Coroutine -> what it waits in; it is cleared when the wait is over.
local waiting = setmetatable({}, {__mode = 'k'})

local function say(...)
    if trace then print(coroutine.running(), ...) end
end

-- Two sockets of each loop, and their peers: plain objects.
local sockets, peers = {}, {}
do
    local listener = assert(socket.bind('127.0.0.1', 0, 8))
    local ip, port = listener:getsockname()
    for i = 1, 4 do
        local peer = assert(socket.connect(ip, port))
        sockets[i] = loops[1 + i % 2].wrap(assert(listener:accept()))
        sockets[i]:settimeout(2 * tick)
        peers[i] = peer
    end
    listener:close()
end

-------------------------------------------------------------------------------
-- What a coroutine, or the main program, does

-- On 5.1 nothing can yield in pcall.
local function waits(what, f, ...)
    local self = coroutine.running()
    say('waits in', what)
    waiting[self] = what
    if chance(50) then
        say(what, pcall(f, ...))
    else
        say(what, f(...))
    end
    waiting[self] = nil
    say 'goes on'
end

local body

local function start(f)
    return pick {
        function() return (select(2, pcall(pick(loops).newthread, f))) end,
        function() return coro.create(f) end,
        function() return coroutine.create(f) end,
    }()
end

local function make()
    if made >= 8 then return end
    made = made + 1
    local index = made
    local co = start(body())
    if type(co) == 'thread' and threads[index] == nil then
        threads[index] = co
    end
end

local function victim()
    return made > 0 and threads[random(made)] or nil
end

local function on_victim(what, f)
    return function(...)
        local co = victim()
        if not co then return end
        say(what, co)
        say(what, pcall(f, co, ...))
    end
end

-- In the middle of a C function or of another coroutine.
local function within(f)
    return pick {
        function()
            table.sort({1, 2}, function()
                f()
                return false
            end)
        end,
        function() string.gsub('x', 'x', function() f() end) end,
        function() coroutine.wrap(f)() end,
        function() coro.wrap(f)() end,
        function() return setmetatable({}, {__index = f}).x end,
    }
end

local acts
acts = {
    function() waits('sleep', pick(loops).sleep, random(3) * tick) end,
    function() waits('sleep', pick(loops).sleep, random(3) * tick) end,
    function() waits('turn', pick(loops).sleep, 0) end,
    function()
        local s = pick(sockets)
        waits('receive', s.receive, s, 1)
    end,
    function() pcall(pick(peers).send, pick(peers), 'x') end,
    function() pcall(pick(loops).suspend) end,
    function() pcall(coroutine.yield, random(3)) end,
    function() pcall(coro.yield, random(3)) end,
    function() pcall(within(function() acts[random(8)]() end)) end,
    on_victim('coroutine.resume', coroutine.resume),
    on_victim('coroutine.resume', coroutine.resume),
    on_victim('coroutine.resume', coroutine.resume),
    on_victim('coro.resume', coro.resume),
    on_victim('loop.resume', function(co) pick(loops).resume(co) end),
    on_victim('coro.transfer', coro.transfer),
    on_victim('close', function(co) (coroutine.close or coro.status)(co) end),
    on_victim('coro.close', function(co) (coro.close or coro.status)(co) end),
    function() threads[random(8)] = false end,
    function() collectgarbage() end,
    function() collectgarbage 'step' end,
    function() make() end,
    function() if chance(20) then error 'an error' end end,
}

function body()
    local list = {}
    for i = 1, random(6) do list[i] = pick(acts) end
    return function()
        for _, act in ipairs(list) do
            act()
            waiting[coroutine.running()] = nil    -- if its wait has raised
        end
        return coro.running()
    end
end

-------------------------------------------------------------------------------
-- A program

local function at_main()
    return select(2, coro.running())
end

local moves = {
    make, make, make,
    function() if at_main() then pcall(pick(loops).step, 0) end end,
    function() if at_main() then pcall(pick(loops).step, tick) end end,
}
for i = 10, #acts - 1 do moves[#moves + 1] = acts[i] end

local function drain()
    for _ = 1, 1000 do
        local going = false
        for _, which in ipairs(loops) do
            local ok, more = pcall(which.step)
            going = going or not ok or more
        end
        if not going then return end
    end
    error 'the loops do not come to rest'
end

local function check()
    for co, what in pairs(waiting) do
        if type(co) == 'thread' and coroutine.status(co) ~= 'dead' then
            error(('a %s that never ended: %s'):format(what,
                                                      debug.traceback(co)))
        end
    end
    for _, which in ipairs(loops) do
        local woken
        which.newthread(function()
            which.sleep(tick)
            woken = true
        end)
        while which.step() do end
        assert(woken, 'a new thread was not woken')
    end
    assert(at_main(), 'not in the main program any more')
end

local function program()
    threads, made = {}, 0
    for _ = 1, random(12) do pick(moves)() end
    drain()
    check()
    threads = {}
    for co in pairs(waiting) do waiting[co] = nil end
    if chance(10) then collectgarbage() end
end

local start_time, done = os.clock(), 0
local seed = first_seed
repeat
    print('seed', seed)
    values.seed(seed)
    for _ = 1, 100 do
        program()
        done = done + 1
    end
    seed = seed + 1
until done >= total or os.clock() - start_time > limit
print('done', done)
