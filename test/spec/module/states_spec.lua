-- Several Lua states in one process, each with the module, and states that are
-- closed while operations are in progress. `make tsan` runs host/states.lua,
-- too.

local names = require 'name_service'
local process = require 'process'

local folder = process.folder

-- Runs a script in a host program that lets the script make further states.
local function host(name, code)
    if not names.available then return pending(name) end
    it(name, function() names.host(1, 1, 0, code) end)
end

-- Operations in progress when a state is closed.
local states = {
    ['sleeping threads'] = [[
        for _ = 1, 10 do
            loop.newthread(loop.sleep, 100)
            loop.newthread(table.sort, {2, 1}, function() loop.sleep(100) end)
            coroutine.wrap(function() pcall(loop.sleep, 100) end)()
        end
        loop.step(0)
    ]],
    ['suspended threads'] = [[
        keep = {}
        for i = 1, 10 do
            keep[i] = loop.newthread(loop.suspend)
            loop.newthread(function()
                ('x'):gsub('x', function() loop.suspend() end)
            end)
        end
    ]],
    ['ready threads'] = [[
        for _ = 1, 10 do
            loop.newthread(loop.sleep, 0)
            loop.newthread(table.sort, {2, 1}, function() loop.sleep(0) end)
        end
    ]],
    ['running servers'] = [[
        server = loop.newserver('127.0.0.1', 0, function(client)
            table.sort({2, 1}, function() client:receive() end)
        end)
        local _, port = server:getsockname()
        for _ = 1, 10 do
            loop.newthread(function()
                local client = assert(loop.connect('127.0.0.1', port))
                client:settimeout(100)
                client:receive()
            end)
        end
        for _ = 1, 5 do loop.step(0) end
    ]],
    ['senders that wait'] = [[
        local server = loop.newserver('127.0.0.1', 0, loop.suspend)
        local _, port = server:getsockname()
        loop.newthread(function()
            local client = assert(loop.connect('127.0.0.1', port))
            client:send(('x'):rep(2^24))
        end)
        for _ = 1, 5 do loop.step(0) end
    ]],
    ['pending look-ups'] = [[
        for i = 1, 20 do
            loop.newthread(loop.resolve, 'wait30+127.0.0.1')
            loop.newthread(loop.connect, 'wait30+127.0.0.1', 9)
        end
        loop.step(0.01)
    ]],
    ['pending connections'] = [[
        for i = 1, 10 do
            loop.newthread(loop.connect, '192.0.2.1', 9)
            loop.newthread(function()
                table.sort({2, 1}, function()
                    local s = loop.tcp()
                    s:connect('192.0.2.1', 9)
                end)
            end)
        end
        loop.step(0)
    ]],
    ['failures nobody was told of'] = [[
        for _ = 1, 10 do
            loop.newthread(function() loop.sleep(0) error 'boom' end)
        end
        pcall(loop.step)
    ]],
    ['symmetric coroutines'] = [[
        local cloop, coro = loop.coro, require 'coro'
        cloop.newthread(function()
            for i in coro.wrap(function()
                cloop.sleep(0)
                coro.yield(1)
                cloop.sleep(100)
            end) do keep = i end
        end)
        for _ = 1, 5 do cloop.step(0) end
        coro.transfer(coro.create(function(main)
            coro.transfer(main)
        end), (coro.running()))
    ]],
    ['LuaSocket made cooperative'] = [[
        local socket = require 'socket'
        loop.install()
        local listener = assert(socket.bind('127.0.0.1', 0))
        loop.newthread(listener.accept, listener)
        loop.newthread(socket.select, {listener}, nil, 100)
        loop.newthread(socket.sleep, 100)
        loop.step(0)
    ]],
    ['a coroutine that loaded it and died'] = [[
        package.loaded.socketloop = nil
        loop = nil
        collectgarbage()
        pcall(coroutine.wrap(function()
            loop = require 'socketloop'
            error 'boom'
        end))
        collectgarbage()
        loop.newthread(loop.sleep, 100)
        loop.step(0)
        loop.newthread(function()
            local another = require 'socketloop'
            package.loaded.socketloop = nil
            another = require 'socketloop'
            another.newthread(another.sleep, 100)
        end)
        collectgarbage()
        loop.step(0)
    ]],
}

local order = {}
for name in pairs(states) do order[#order + 1] = name end
table.sort(order)

-- Makes a state with one of these operations in progress.
local prelude = [[
local function state(code)
    local new = newstate()
    runstate(new, "loop = require 'socketloop' " .. code)
    return new
end

-- Threads of the system's resolver end by themselves, after a while.
local function expect_soon(wanted, what)
    for _ = 1, 10000 do
        if count(what) == wanted then return end
        socket.sleep(0.001)
    end
    expect(wanted, count(what))
end
]]

describe('A Lua state', function()
    after_each(process.cleanup)

    for _, name in ipairs(order) do
        host('can be closed with ' .. name, prelude .. ([[
            local code, tasks = %q, count 'task'
            closestate(state(code))    -- starts tasks that remain
            expect_soon(tasks, 'task')
            local before = count 'fd'
            for _ = 1, 3 do closestate(state(code)) end
            expect(before, count 'fd')
            expect_soon(tasks, 'task')
        ]]):format(states[name]))
    end

    local all = {}
    for _, name in ipairs(order) do
        all[#all + 1] = ('%q'):format(states[name])
    end
    all = '{' .. table.concat(all, ',\n') .. '}\n'

    host('is one of many that are closed in any order', prelude .. [[
        local codes = ]] .. all .. [[
        math.randomseed(7)
        local before = count 'fd'
        for _ = 1, 3 do
            local open = {}
            for _, code in ipairs(codes) do open[#open + 1] = state(code) end
            while #open > 0 do
                closestate(table.remove(open, math.random(#open)))
                for _, other in ipairs(open) do
                    runstate(other, 'pcall(loop.step, 0)')
                end
            end
        end
        expect(before, count 'fd')
    ]])

    host('talks with another one, and closes it', prelude .. [[
        local server = state [=[
            server = loop.newserver('127.0.0.1', 0, function(client)
                for line in function() return client:receive() end do
                    client:send(line .. '\n')
                end
                client:close()
            end)
        ]=]
        local port = runstate(server,
            'return (select(2, server:getsockname()))')
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            for i = 1, 20 do
                client:send(i .. '\n')
                client:settimeout(0.001)
                local line
                repeat
                    runstate(server, 'loop.step(0)')
                    line = client:receive()
                until line
                expect(tostring(i), line)
            end
            -- Runs within a thread that stays frozen.
            table.sort({2, 1}, function()
                if server then closestate(server) end
                server = nil
                loop.sleep(0)
            end)
            client:settimeout(20)
            expect('closed', select(2, client:receive()))
        end)
    ]])

    if names.available and folder then
        it('is one of many in as many threads of the system', function()
            names.host(8, 3, 0, ('dofile %q'):format(folder ..
                '/host/states.lua'))
        end)
    end
end)
