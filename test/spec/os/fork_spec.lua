-- A child made by fork(2) while conversations are in progress: whatever the
-- child does with inherited sockets and loops, the parent is not affected.
-- Forks with names are in resolver_fork_spec.lua, forks with unix paths in
-- unix_server_spec.lua.

local names = require 'name_service'
local process = require 'process'

-- Conversations between clients and servers in one process.
local prelude = [[
local CLIENTS, TURNS, slow = 20, 50, false
local all, over, left = {}, 0, false

local function keep(s)
    all[#all + 1] = s
    s:settimeout(20)
    return s
end

local listener = loop.newserver('127.0.0.1', 0, function(client)
    keep(client)
    for line in function() return client:receive() end do
        assert(client:send(line .. '\n') or left)
    end
    client:close()
end)
local _, port = listener:getsockname()

local function converse(go_on)
    local client = keep(assert(loop.connect('127.0.0.1', port)))
    for turn = 1, TURNS do
        if turn == 5 then go_on() end
        if slow then loop.sleep(0.001) end
        client:send(turn .. '\n')
        local line, err = client:receive()
        if left then return end
        expect(tostring(turn), line or err)
    end
    client:close()
    over = over + 1
    if over == CLIENTS then listener:close() end
end

-- Starts the conversations and calls f in a thread when all of them pause. The
-- loop may be stopped there; then between() is called.
local function in_the_middle(f, between)
    local begun = 0
    local function go_on()
        begun = begun + 1
        if begun == CLIENTS then f() end
        while begun < CLIENTS do loop.sleep(0.001) end
        slow = true
    end
    for i = 1, CLIENTS do loop.newthread(converse, go_on) end
    loop.start()
    if between and over < CLIENTS then
        between()
        loop.start()
    end
    expect(CLIENTS, over)
end

-- In the child: closes all sockets.
local function leave_all()
    left = true
    for _, s in ipairs(all) do s:close() end
    listener:close()
end

-- Files by which parent and child signal each other.
local told = {os.tmpname(), os.tmpname()}
os.remove(told[1])
os.remove(told[2])

local function tell(what) assert(io.open(told[what], 'w')):close() end

local function turn() loop.sleep(0) end
local function nap() loop.sleep(0.001) end
local function block() socket.sleep(0.001) end

local function await(what, pause)
    local deadline = loop.now() + 20
    while loop.now() < deadline do
        local file = io.open(told[what])
        if file then
            file:close()
            os.remove(told[what])
            return
        end
        pause()
    end
    error 'nothing was told'
end
]]

local function forks(name, code, before)
    if not names.available then return pending(name) end
    it(name, function()
        names.host(1, 1, 0, prelude .. code, before)
    end)
end

describe('After a fork the parent goes on', function()
    after_each(process.cleanup)

    forks('while the child waits in the step in which it was made', [[
        local child
        in_the_middle(function()
            child = fork()
            if child > 0 then return await(1, nap) end
            leave_all()
            exchange()
            tell(1)
            await(2, turn)    -- polls while the parent gets its events
            quit(7)
        end)
        tell(2)
        expect(7, wait(child))
    ]])

    forks('while the child runs its own loop', [[
        local child
        in_the_middle(function() loop.stop() end, function()
            child = fork()
            if child > 0 then return await(1, block) end
            leave_all()
            run(exchange)
            tell(1)
            run(await, 2, turn)
            quit(7)
        end)
        tell(2)
        expect(7, wait(child))
    ]])

    forks('when the child forgets descriptors', [[
        local child
        in_the_middle(function()
            child = fork()
            if child == 0 then
                for _, s in ipairs(all) do s:setfd(-1) end
                quit(7)
            end
            expect(7, wait(child))
        end)
    ]])

    forks('when the child takes descriptors over', [[
        local child
        in_the_middle(function()
            child = fork()
            if child == 0 then
                for _, s in ipairs(all) do
                    local taken = loop.wrap(s:getfd(), 'tcp')
                    loop.newthread(function() taken:receive() end)
                end
                quit(7)
            end
            expect(7, wait(child))
        end)
    ]])

    forks('when the child closes its Lua state', [[
        local child
        in_the_middle(function() loop.stop() end, function()
            child = fork()
            if child == 0 then error 'on purpose' end
        end)
        expect(1, wait(child))
    ]])

    -- A lock of AddressSanitizer's allocator that another thread held during
    -- the fork is never released in the child.
    local looks_up = names.forks_in_threads and
                     not os.getenv 'ASAN_OPTIONS' and forks or pending
    looks_up('with what is being looked up, and so does the child', [[
        local found, child = 0, nil
        for i = 1, 20 do
            loop.newthread(function()
                local list = loop.resolve('wait20+127.0.0.' .. i)
                expect('127.0.0.' .. i, list[1].addr)
                found = found + 1
            end)
        end
        loop.newthread(function()
            loop.sleep(0.01)
            child = fork()
        end)
        listener:close()
        loop.start()
        expect(20, found)
        if child == 0 then return 7 end
        expect(7, wait(child))
    ]])

    forks('as does a child that started without descriptors', [[
        local child
        in_the_middle(function() loop.stop() end, function()
            child = fork()
            if child > 0 then return end
            leave_all()
            local files = {}
            repeat
                local file = io.open '/dev/null'
                files[#files + 1] = file
            until not file
            for _ = 1, 2 do
                local ok, err = pcall(run, loop.sleep, 0.001)
                expect(loop.poller ~= 'epoll' and loop.poller ~= 'kqueue', ok)
                assert(ok or err:match ': Too many open files', err)
            end
            for _, file in ipairs(files) do file:close() end
            run(exchange)
            run(function()
                local list = loop.resolve 'wait1+127.0.0.1'
                expect('127.0.0.1', list[1].addr)
            end)
            quit(7)
        end)
        expect(7, wait(child))
    ]], 'ulimit -n 100')

    forks('as do children and their children', [[
        listener:close()
        run(exchange)
        local first = fork()
        run(exchange)
        local second = fork()
        run(exchange)
        if second == 0 then return 7 end
        expect(7, wait(second))
        if first == 0 then return 8 end
        expect(8, wait(first))
    ]])
end)
