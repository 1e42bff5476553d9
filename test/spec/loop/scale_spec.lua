-- Many connections, and an idle loop.

local loop = require 'socketloop'
local support = require 'support'
local process = require 'process'

-- Reduced counts under emulation, with a busy collector, and under
-- ThreadSanitizer, which has no room for so many calls on one stack.
local eased = os.getenv 'SOCKETLOOP_TEST_GC' or os.getenv 'TSAN_OPTIONS'

-- Returns a shell command that raises the limit of descriptors for a script, or
-- nil where that is not allowed.
local function raised(count)
    if process.max_descriptors() < count + 100 then return nil end
    return 'ulimit -n ' .. count + 100
end

local function script(code, before)
    local status, output = process.lua(code, before)
    assert.equal(0, status, output)
    return output
end

-- Clients and a server in one process: IDLE connections, then ACTIVE ones that
-- exchange data. The idle ones are still open at the end.
local crowd = [[
    local loop = require 'socketloop'
    local idle, active, turns = IDLE, ACTIVE, 20
    local served = 0
    local listener = loop.newserver('127.0.0.1', 0, function(client)
        served = served + 1
        while true do
            local line = client:receive()
            if not line then break end
            client:send(line .. '\n')
        end
        client:close()
    end)
    local _, port = listener:getsockname()
    local clients = {}

    local left = idle
    for i = 1, 50 do
        loop.newthread(function()
            while left > 0 do
                left = left - 1
                local client = assert(loop.connect('127.0.0.1', port))
                clients[#clients + 1] = client
            end
        end)
    end
    while #clients < idle or served < idle do
        assert(loop.step(10))
    end

    local finished = 0
    for i = 1, active do
        loop.newthread(function()
            local client = assert(loop.connect('127.0.0.1', port))
            for j = 1, turns do
                assert(client:send(j .. '\n'))
                assert(client:receive() == tostring(j))
            end
            client:close()
            finished = finished + 1
        end)
    end
    while finished < active do assert(loop.step(10)) end
    print(('%d active beside %d idle'):format(finished, #clients))

    -- Every hundredth idle connection is woken.
    local woken = 0
    for i = 1, idle, 100 do
        loop.newthread(function()
            clients[i]:send 'hello\n'
            assert(clients[i]:receive() == 'hello')
            woken = woken + 1
        end)
    end
    while woken < math.ceil(idle / 100) do assert(loop.step(10)) end

    -- All clients close.
    for i = 1, idle do clients[i]:close() end
    listener:close()
    while loop.step(10) do end
    print 'done'
]]

describe('the loop', function()
    after_each(process.cleanup)

    it('has room for 8000 idle connections and 100 active ones', function()
        if loop.poller == 'select' then
            return pending 'select has no room for that'
        end
        local idle = eased and 800 or 8000
        local before = raised(2 * idle + 300)
        if not before then
            return pending 'the limit of descriptors is too low'
        end
        local output = script(crowd:gsub('IDLE', idle):gsub('ACTIVE', 100),
                              before)
        assert.equal(('100 active beside %d idle\ndone\n'):format(idle),
                     output)
    end)

    it('has room for 400 connections with every poller', function()
        local before = raised(1000)
        local output = script(crowd:gsub('IDLE', 400):gsub('ACTIVE', 50),
                              before)
        assert.equal('50 active beside 400 idle\ndone\n', output)
    end)

    if loop.poller == 'select' then
        it('refuses descriptors that select cannot hold', function()
            local before = raised(3000)
            if not before then
                return pending 'the limit of descriptors is too low'
            end
            local output = script([[
                local loop = require 'socketloop'
                local listener = loop.newserver('127.0.0.1', 0, function(c)
                    c:send 'hello\n'
                    c:close()
                end)
                local _, port = listener:getsockname()
                local files = {}
                for i = 1, 1100 do files[i] = assert(io.open '/dev/null') end
                local function try()
                    local client, err = loop.connect('127.0.0.1', port)
                    return client and 'connected' or 'refused: ' .. err
                end
                loop.newthread(function()
                    local ok, result = pcall(try)
                    print(ok and result or 'refused: ' .. tostring(result))
                    -- Below the limit clients are served again.
                    for i = 1, 1100 do files[i]:close() end
                    local client = assert(loop.connect('127.0.0.1', port))
                    print(client:receive())
                    listener:close()
                end)
                loop.start()
            ]], before)
            assert.matches('^refused: [^\n]+', output)
            assert.matches('\nhello', output)
        end)
    end
end)

describe('a loop with nothing to do', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    it('uses no CPU', function()
        local port, listener = support.serve(function(client)
            client:receive()
            client:close()
        end)
        local clients = {}
        for i = 1, 10 do clients[i] = support.plain.connect(port) end
        for _ = 1, 20 do loop.step(0.001) end
        local start = os.clock()
        loop.step(0.3)
        local used = os.clock() - start
        for i = 1, 10 do clients[i]:close() end
        listener:close()
        assert.is_true(used < 0.1, used)
    end)

    it('makes no system calls', function()
        local calls, why = process.strace [[
            local loop = require 'socketloop'
            local listener = loop.newserver('127.0.0.1', 0, function(client)
                client:receive()
            end)
            local _, port = listener:getsockname()
            loop.newthread(function()
                local client = loop.connect('127.0.0.1', port)
                client:settimeout(30)
                client:receive()
            end)
            loop.newthread(loop.sleep, 30)
            for i = 1, 30 do loop.step(0.001) end
            io.stderr:write 'starts here\n'
            loop.step(0.3)
            io.stderr:write 'ends here\n'
            os.exit(0)
        ]]
        if not calls then return pending(why) end
        local _, count = calls:gsub('\n', '')
        -- One system call is the wait. Where reading the clock is a system
        -- call, two are for that. ucontext's switch of stacks adds calls of its
        -- own.
        count = count - select(2, calls:gsub('rt_sigprocmask', ''))
        if loop.poller == 'kqueue' then    -- the emulation's calls
            count = count - select(2, calls:gsub('epoll_pwait', ''))
        end
        assert.is_true(count <= 3, calls)
        assert.is_true(count >= 1, calls)
    end)

    it('makes few system calls for a round trip', function()
        local calls, why = process.strace [[
            local loop = require 'socketloop'
            local listener = loop.newserver('127.0.0.1', 0, function(client)
                while true do
                    local line = client:receive()
                    if not line then break end
                    client:send(line .. '\n')
                end
            end)
            local _, port = listener:getsockname()
            loop.newthread(function()
                local client = loop.connect('127.0.0.1', port)
                client:settimeout(30)
                for i = 1, 120 do
                    if i == 21 then io.stderr:write 'starts here\n' end
                    client:send 'hello\n'
                    client:receive()
                end
                io.stderr:write 'ends here\n'
                os.exit(0)
            end)
            loop.start()
        ]]
        if not calls then return pending(why) end
        local _, count = calls:gsub('\n', '')
        -- A round trip is send, receive, send, receive. Each receive may be
        -- tried once before it waits, and each waits once. ucontext's switch of
        -- stacks adds calls of its own.
        count = count - select(2, calls:gsub('rt_sigprocmask', ''))
        if loop.poller == 'kqueue' then    -- the emulation's calls
            count = count - select(2, calls:gsub('epoll_pwait', ''))
        end
        assert.is_true(count <= 100 * 8 + 20, count)
    end)
end)
