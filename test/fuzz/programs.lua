-- The parts of random programs of coroutines, and a function that runs them:
-- actions of a coroutine (acts), actions of the main program (moves), and the
-- checks afterwards. Each wait ends, the loops come to rest, new threads work,
-- and all errors are ones that the reference names.
--
-- The arguments of the script that requires this file are SEED PROGRAMS
-- SECONDS: it ends after so many programs, or so many seconds of CPU time. The
-- seed is printed before each hundred programs.

local coro = require 'coro'
local loop = require 'socketloop'
local socket = require 'socket'
local values = require 'fuzz.values'

local programs = {}

local trace = os.getenv 'SOCKETLOOP_FUZZ_TRACE'
local chance, pick, random = values.chance, values.pick, values.random
local loops = {loop, loop.coro}
local tick = 1 / 64

-- The coroutines of this program; dropped ones are false.
local threads, made

-- Coroutine -> name of the operation it waits in; cleared when the wait is
-- over.
local waiting = setmetatable({}, {__mode = 'k'})

local function say(...)
    if trace then print(coroutine.running(), ...) end
end

-- Two sockets of each loop, and their peers, which are plain objects.
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
-- Errors

-- Patterns of the errors that calls in a wrong place or order raise.
local refusals = {
    'an error',                        -- a program's own
    'must be called from a loop thread',
    'already running',
    'already waited on by another thread',
    'a thread of another loop cannot wait in this one',
    'cannot resume',
    'cannot close a',
    'trying to resume',
    'trying to transfer',
    'the coroutine was closed, or resumed by somebody else',
    'in a finalizer',
    'or a finalizer',
    'a finalizer has resumed the coroutine before',
    'attempt to yield',
    'yielding from',
    'coroutine ended without transferring control',
}
programs.refusals = refusals

-- The first error that matches none of these patterns.
local strange

local function judge(what, err)
    local text = tostring(err)
    for _, refusal in ipairs(refusals) do
        if text:find(refusal, 1, true) then return end
    end
    strange = strange or debug.traceback(('%s: %s'):format(what, text))
end

local function judged(what, ok, ...)
    say(what, ok, ...)
    if not ok then
        judge(what, (...))
    elseif ... == false and select('#', ...) == 2 then    -- resume's
        judge(what, (select(2, ...)))
    end
    return ok, ...
end

-- pcall that records errors no call may raise.
local function try(what, f, ...)
    return judged(what, pcall(f, ...))
end
programs.try = try

for _, which in ipairs(loops) do
    which.onerror = function(_, err) judge('onerror', err) end
end

-------------------------------------------------------------------------------
-- Actions of a coroutine or of the main program

-- On 5.1 a coroutine cannot yield in pcall.
local function waits(what, f, ...)
    local self = coroutine.running()
    say('waits in', what)
    waiting[self or false] = what
    if chance(50) then
        try(what, f, ...)
    else
        say(what, f(...))
    end
    waiting[self or false] = nil
    say 'goes on'
end

-- Calls f in a coroutine that `waiting` may list as waiting. If f stops for
-- good, this is not reported as a wait that never ended.
function programs.interrupt(f)
    local self = coroutine.running() or false
    local what = waiting[self]
    waiting[self] = nil
    f()
    waiting[self] = what
end

local body

local function start(f)
    return pick {
        function()
            return (select(2, try('start', pick(loops).newthread, f)))
        end,
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
programs.victim = victim

local function on_victim(what, f)
    return function(...)
        local co = victim()
        if not co then return end
        say(what, co)
        try(what, f, co, ...)
    end
end

-- Calls f inside a C function or another coroutine.
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
    function() try('suspend', pick(loops).suspend) end,
    function() try('yield', coroutine.yield, random(3)) end,
    function() try('coro.yield', coro.yield, random(3)) end,
    function() try('within', within(function() acts[random(8)]() end)) end,
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
programs.acts = acts

-- Indices in acts.
programs.suspend, programs.yield, programs.coro_yield = 6, 7, 8
programs.transfer, programs.collect, programs.collect_step = 15, 19, 20
programs.resumes = {10, 11, 12, 13, 14, 15}

-- Returns a function that does up to n random acts.
function programs.some(n)
    local list = {}
    for i = 1, random(n) do list[i] = pick(acts) end
    return function()
        for _, act in ipairs(list) do
            act()
            waiting[coroutine.running() or false] = nil    -- after an error
        end
    end
end

function body()
    local f = programs.some(6)
    return function()
        f()
        return coro.running()
    end
end

-------------------------------------------------------------------------------
-- A program

function programs.at_main()
    return select(2, coro.running())
end
local at_main = programs.at_main

local moves = {
    make, make, make,
    function() if at_main() then try('step', pick(loops).step, 0) end end,
    function() if at_main() then try('step', pick(loops).step, tick) end end,
}
programs.moves = moves

local function drain()
    for _ = 1, 1000 do
        local going = false
        for _, which in ipairs(loops) do
            local ok, more = try('step', which.step)
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
        which.start()
        assert(woken and not which.step(0), 'a new thread was not woken')
    end
    assert(at_main(), 'not in the main program any more')
    if strange then error(strange, 0) end
end

local function program(finish, verify)
    threads, made = {}, 0
    say 'a program'
    for _ = 1, random(12) do try('move', pick(moves)) end
    drain()
    finish()
    drain()
    check()
    verify()
    threads = {}
    for co in pairs(waiting) do waiting[co] = nil end
    if chance(10) then collectgarbage() end
end

-- Runs as many programs as the script's arguments say. When the loops have come
-- to rest, finish() ends whatever could start new waits; verify() comes at the
-- end.
function programs.run(finish, verify)
    local seed, total, limit = tonumber(arg[1]), tonumber(arg[2]),
                               tonumber(arg[3])
    local start_time, done = os.clock(), 0
    for i = 10, #acts do moves[#moves + 1] = acts[i] end
    repeat
        print('seed', seed)
        values.seed(seed)
        for _ = 1, 100 do
            program(finish, verify)
            done = done + 1
        end
        seed = seed + 1
    until done >= total or os.clock() - start_time > limit
    print('done', done)
end

return programs
