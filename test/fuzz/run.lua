-- Calls everything in any order with any arguments, from everywhere, and checks
-- that the module still works. The script is a process of its own, since it may
-- crash (see fuzz_spec.lua):
--
--     lua run.lua SEED CALLS SECONDS FOLDER
--
-- It ends after so many calls, or so many seconds of CPU time. FOLDER is for
-- unix sockets, and should be the working directory.
--
-- A round is 1000 calls with a seed of its own. The seed is printed before the
-- round, so the last one printed is that of a crash. SOCKETLOOP_FUZZ_TRACE=1
-- prints each call.

if os.getenv 'SOCKETLOOP_TEST_GC' then require 'gc' end

local coro = require 'coro'
local loop = require 'socketloop'
local socket = require 'socket'
local calls = require 'fuzz.calls'
local values = require 'fuzz.values'

local first_seed, total, limit, folder = arg[1], arg[2], arg[3], arg[4]
first_seed, total, limit = tonumber(first_seed), tonumber(total),
                           tonumber(limit)
local trace = os.getenv 'SOCKETLOOP_FUZZ_TRACE'
local loops = {loop, loop.coro}
local standard, std = coroutine, {}
for name, f in pairs(coroutine) do std[name] = f end
local main = coro.running()

local chance, pick, random = values.chance, values.pick, values.random
local from, keep = values.from, values.keep

local round_calls = 1000
local left, done = 0, 0

-------------------------------------------------------------------------------
-- Results of calls

-- All sockets of the round, so that they can be closed.
local made

local function keep_result(value)
    local kind = type(value)
    if kind == 'userdata' then
        made[#made + 1] = value
        local ok, name = pcall(function() return value.type end)
        if ok and name == 'socketloop_socket' then
            keep('sockets', value)
        else
            pcall(function() value:settimeout(0) end)
            keep('plain', value)
        end
        if chance(30) then
            local _, _, port = pcall(function() return value:getsockname() end)
            if tonumber(port) and tonumber(port) > 0 then
                values.ports[random(10)] = tonumber(port)
            end
        end
    elseif kind == 'thread' then
        keep('threads', value)
    elseif kind == 'function' then
        keep('functions', value)
    elseif kind == 'table' and chance(50) then
        keep('tables', value)
    end
end

local function keep_results(ok, ...)
    if not ok then return end
    for i = 1, select('#', ...) do
        keep_result((select(i, ...)))
    end
end

function calls.handler(f)
    return function(...)
        keep_results(true, ...)
        return f(...)
    end
end

-------------------------------------------------------------------------------
-- One call

local function show(name, args)
    local list = {}
    for i = 1, args.n do
        local text = type(args[i]) == 'table' and 'table' or tostring(args[i])
        if type(args[i]) == 'function' then
            local info = debug.getinfo(args[i], 'S')
            text = text .. ' ' .. info.what .. ' ' .. info.linedefined
        end
        if type(args[i]) == 'string' then text = ('%q'):format(text) end
        list[i] = #text > 60 and text:sub(1, 60) .. '...' or text
    end
    io.stderr:write(('%s(%s) in %s\n'):format(name, table.concat(list, ', '),
                                              tostring(coro.running())))
end

local function make_call(name, f, call, first)
    local args = values.list(call[2])
    if call[3] then call[3](args, first) end
    if trace then show(name, args) end
    done = done + 1
    left = left - 1
    if first ~= nil then
        keep_results(pcall(f, first, values.unpack(args)))
    else
        keep_results(pcall(f, values.unpack(args)))
    end
end

local function call_function(list, library, name)
    local call = pick(list)
    local f = library[call[1]]
    -- A thread that is in a step of the other loop may be abandoned there.
    if call[1] == 'step' and not select(2, coro.running()) then return end
    if f then make_call(name .. '.' .. call[1], f, call) end
end

local function call_method(list, object)
    local call = pick(list)
    local ok, f = pcall(function() return object[call[1]] end)
    if ok and type(f) == 'function' then
        make_call(tostring(object) .. ':' .. call[1], f, call, object)
    end
end

-- Kinds of functions; those that may wait are called only where they can.
local kinds = {
    function() call_function(calls.loop, pick(loops), 'loop') end,
    function() call_function(calls.loop, pick(loops), 'loop') end,
    function() call_function(calls.coro, coro, 'coro') end,
    function() call_function(calls.coroutine, std, 'coroutine') end,
    function()
        local object = from 'sockets'
        if object then call_method(calls.methods, object) end
    end,
    function()
        local object = from 'plain'
        if object then call_method(calls.plain, object) end
    end,
    function() call_function(calls.socket, socket, 'socket') end,
    function()
        local f = from 'functions'
        if f then
            make_call('function', f, {'', {values.any, values.any}})
        end
    end,
}
kinds[#kinds + 1] = kinds[5]
kinds[#kinds + 1] = kinds[5]
kinds[#kinds + 1] = kinds[5]

-------------------------------------------------------------------------------
-- Places where a function is called

local act

-- Functions that undo install.
local undo = {}

local function acts(n, depth)
    return function(...)
        keep_results(true, ...)
        for _ = 1, random(n) do act(depth + 1) end
        return values.any(), values.any()
    end
end

local function with(event, f)
    return setmetatable({}, {[event] = f})
end

local places = {
    function(f) pick(loops).newthread(f, values.any()) end,
    function(f) pick(loops).newthread(f, values.any()) end,
    function(f) coro.resume(coro.create(f)) end,
    function(f) coro.transfer(coro.create(f)) end,
    function(f) coro.wrap(f)(values.any()) end,
    function(f)
        local g = coro.safewrap(f)
        g(values.any())
        keep('functions', g)
    end,
    function(f) std.resume(std.create(f)) end,
    function(f)
        local thread = std.create(f)
        keep('threads', thread)
        std.resume(thread, values.any())
    end,
    function(f) pcall(f) end,
    function(f) table.sort({3, 1, 2}, f) end,
    function(f) string.gsub('xx', 'x', f) end,
    function(f) return with('__index', f).x end,
    function(f) return tostring(with('__tostring', f)) end,
    function(f) for _ in f do return end end,   -- luacheck: ignore 512
}

-- A reader that never returns leaks memory of Lua's parser, which would hide
-- leaks of the module.
if not os.getenv 'ASAN_OPTIONS' then
    places[#places + 1] = function(f)
        -- The name that load returns is alive because it is a constant here:
        -- 5.1's parser doesn't keep it alive during its first read.
        return load(f), '=(load)'
    end
end

local others = {
    function() collectgarbage() end,
    function() collectgarbage 'step' end,
    function() values.forget(pick {'sockets', 'plain', 'threads'}) end,
    function()
        local s = from 'sockets'
        if s then s[pick {'x', 'note', 'send'}] = values.any() end
    end,
    function() pick(loops).onerror = nil end,
    function() pick(loops).onerror = acts(2, 3) end,
    function() pick(loops).onerror = function() end end,
    function()
        local l = pick(loops)
        if not select(2, coro.running()) then return end
        l.newthread(function()
            l.sleep(0.002)
            l.stop()
        end)
        l.start(pick {0.001, 0, nil})
    end,
    function() undo[#undo + 1] = pick(loops).install() end,
    function() coro.install() end,
    function() debug.sethook(function() end, '', 100) end,
    function() debug.sethook() end,
}

function act(depth)
    if left <= 0 then return end
    if depth < 6 and chance(25) then
        pcall(pick(places), acts(6, depth))
    elseif chance(4) then
        pcall(pick(others))
    else
        pick(kinds)()
    end
end

-------------------------------------------------------------------------------
-- A round

local fill_pools, settle, check_exchange

local function begin()
    made = {}
    values.reset()
    values.ports = {}
    fill_pools()
    left = round_calls
end

-- LuaSocket's objects with a timeout of 0.
local function plain_pair()
    local listener = assert(socket.bind('127.0.0.1', 0, 200))
    local _, port = listener:getsockname()
    local client = assert(socket.connect('127.0.0.1', port))
    local server = assert(listener:accept())
    client:setoption('linger', {on = true, timeout = 0})    -- no TIME_WAIT
    for _, s in ipairs {listener, client, server} do
        s:settimeout(0)
        keep_result(s)
    end
    return client, server
end

-- Bodies of threads: C functions and Lua functions.
local function bodies(l)
    return {
        l.suspend, l.current, l.resume, l.newthread, l.stop, coro.transfer,
        coro.resume, coro.yield, coro.running, std.yield, std.resume, pcall,
        error, select, tostring, rawget, table.sort, string.gsub,
        function() end,
        function(...) return ... end,
        function() error('an error', 0) end,
        function() error {} end,
        function() return nil, pick {'wantread', 'wantwrite', 'timeout'} end,
        function() l.sleep(pick {0, 0.001}) end,
        acts(4, 2), acts(4, 2), acts(8, 1), acts(2, 4),
    }
end

function fill_pools()
    keep('threads', main)
    for _, l in ipairs(loops) do
        for _, f in ipairs(bodies(l)) do
            if chance(40) then keep('functions', f) end
        end
        local client, server = plain_pair()
        local mine = l.wrap(client)
        keep_result(mine)
        keep_result(l.udp('127.0.0.1', 0))
        if chance(50) then keep_result(l.wrap(server)) end
        keep_result(l.newserver('127.0.0.1', 0,
                                calls.handler(from 'functions')))
        keep('functions', mine.receive)
        keep('functions', mine.send)
    end
end

-- Closes all sockets, including those that are made meanwhile.
local function close_all()
    while made[1] do
        local s = table.remove(made)
        pcall(function()
            s.send = nil
            s:setoption('linger', {on = true, timeout = 0})   -- no TIME_WAIT
        end)
        pcall(s.close, s)
    end
end

-- Waits until all threads have ended. A TLS handshake has ten seconds.
local function ends(l)
    local deadline = l.now() + 15
    while l.now() < deadline do
        close_all()
        local ok, waits = pcall(l.step, 0.01)
        if ok and not waits then return true end
    end
    return false
end

-- Prints the tracebacks of anchored threads.
local function show_waiting()
    for _, value in pairs(debug.getregistry()) do
        if type(value) == 'thread' and value ~= main then
            io.stderr:write(debug.traceback(value), '\n')
        end
    end
end

-- Closes the descriptors that are still sockets; no object owns them, since all
-- others have been closed.
local function close_orphans()
    for _, fd in ipairs(calls.orphans) do
        local ok, s = pcall(loop.wrap, fd)
        if ok then s:close() end
    end
    calls.orphans = {}
end

-- Closes everything. After that nothing may wait.
function settle()
    left = 0
    debug.sethook()
    for _, l in ipairs(loops) do l.onerror = function() end end
    for _, l in ipairs(loops) do
        if not ends(l) then
            show_waiting()
            error 'something still waits'
        end
        l.onerror = nil
    end
    close_orphans()
    while undo[1] do table.remove(undo)() end
    _G.coroutine = standard    -- luacheck: ignore 122
    values.reset()
end

-- Asserts that the module still works.
function check_exchange(l)
    local got, ended
    local server = l.newserver('127.0.0.1', 0, function(client)
        client:send(client:receive():upper() .. '\n')
        client:close()
    end)
    local _, port = server:getsockname()
    l.newthread(function()
        local client = assert(l.connect('127.0.0.1', port))
        client:settimeout(5)
        client:send 'hello\n'
        got = table.concat({client:receive()}, ' ')
        client:close()
        server:close()
        ended = pcall(table.sort, {1, 2, 3}, function(a, b)
            l.sleep(0)
            return a < b
        end)
    end)
    while l.step(5) do end
    assert(got == 'HELLO' and ended, 'the exchange fails')
    assert(coro.wrap(function(a) return coro.yield(a) end)(1) == 1)
    assert(select(2, coro.running()), 'not in the main program any more')
end

-------------------------------------------------------------------------------

calls.set_folder(folder)
io.stdout:setvbuf 'no'
local start = os.clock()
local seed = first_seed
repeat
    values.seed(seed)
    print('seed', seed)
    begin()
    local turns = 0
    while left > 0 and turns < 3 * round_calls do
        turns = turns + 1
        act(0)
        if chance(20) then pcall(pick(loops).step, 0) end
    end
    settle()
    for _, l in ipairs(loops) do check_exchange(l) end
    collectgarbage()
    seed = seed + 1
until done >= total or os.clock() - start > limit
print('done', done)
