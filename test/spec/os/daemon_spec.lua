-- A child made by fork(2) that closes all descriptors, as a daemon does: the
-- numbers of the descriptors in the inherited loop are reused by unrelated
-- files, which the loop must not touch.

local names = require 'name_service'
local process = require 'process'

-- The prelude of each script.
local prelude = [[
local strangers = {}

-- Closes all descriptors and opens files that reuse the numbers.
local function leave()
    closefrom(3)
    for i = 1, 60 do strangers[i] = assert(io.open('/dev/null', 'w')) end
end

-- Asserts that the files are still open.
local function unharmed()
    for i = 1, 3 do collectgarbage() end
    for _, file in ipairs(strangers) do
        assert(file:write 'x')
        assert(file:flush())
        assert(file:close())
    end
end

-- Returns the two ends of a connection.
local function pair()
    local listener = loop.tcp('127.0.0.1', 0)
    assert(listener:listen())
    local _, port = listener:getsockname()
    local near = assert(loop.connect('127.0.0.1', port))
    local far = assert(listener:accept())
    listener:close()
    return near, far
end

-- Forks and calls f() in the child; f must end the child.
local function in_child(f)
    local child = fork()
    if child == 0 then
        f()
        quit(7)
    end
    expect(7, wait(child))
end
]]

local function daemon(name, code)
    if not names.available then return pending(name) end
    it(name, function() names.host(1, 1, 0, prelude .. code) end)
end

describe('A daemon', function()
    after_each(process.cleanup)

    daemon('has a loop whose socket has the number of a poller', [[
        in_child(function()
            closefrom(3)
            run(exchange)
        end)
        run(exchange)
    ]])

    daemon('leaves alone who has the number of a poller', [[
        run(exchange)
        in_child(function()
            leave()
            run(exchange)
            unharmed()
        end)
        run(exchange)
    ]])

    daemon('closes no socket of its parent', [[
        run(function()
            local all = {}
            for i = 1, 9, 2 do all[i], all[i + 1] = pair() end
            local server = loop.newserver('127.0.0.1', 0, print)
            local plain = assert(socket.bind('127.0.0.1', 0))
            local by_number = loop.wrap(plain:getfd())
            plain:setfd(-1)
            in_child(function()
                leave()
                for i = 1, 10, 3 do all[i]:close() end
                all = nil
                server:close()
                by_number:close()
                exchange()
                unharmed()
            end)
            for i = 1, 9, 2 do
                all[i]:send 'hello\n'
                expect('hello', (all[i + 1]:receive()))
            end
            server:close()
        end)
    ]])

    daemon('closes no poller and no socket when its Lua state ends', [[
        local state = newstate()
        runstate(state, "local loop = require 'socketloop'\n" ..
            "loop.newserver('127.0.0.1', 0, print)\n" ..
            "kept = {loop.tcp('127.0.0.1', 0), loop.coro}\n" ..
            "loop.newthread(loop.resolve, 'wait50+127.0.0.1')\n" ..
            "loop.step(0.01)\n")
        in_child(function()
            leave()
            closestate(state)
            unharmed()
        end)
        closestate(state)
    ]])

    daemon('wakes who waits on what was closed', [[
        local woken, near, far, child = 0, nil, nil, nil
        run(function()
            near, far = pair()
            local server = loop.newserver('127.0.0.1', 0, print)
            for _, s in ipairs {near, far} do
                loop.newthread(function()
                    local line, err = s:receive()
                    if child ~= 0 then return end
                    expect(nil, line)
                    expect('closed', err)
                    woken = woken + 1
                end)
            end
            loop.sleep(0.001)
            child = fork()
            if child == 0 then
                leave()
                loop.sleep(0.001)
                loop.sleep(0)    -- the woken threads run first
                expect(2, woken)
                expect('closed', (select(2, near:send 'x')))
                server:close()
                unharmed()
                quit(7)
            end
            expect(7, wait(child))
            server:close()
            near:close()
            far:close()
        end)
    ]])

    daemon('goes on with what is being looked up', [[
        local found = 0
        for i = 1, 20 do
            loop.newthread(function()
                local list = loop.resolve('wait50+127.0.0.' .. i)
                expect('127.0.0.' .. i, list[1].addr)
                found = found + 1
            end)
        end
        loop.step(0.02)
        in_child(function()
            leave()
            loop.start()
            expect(20, found)
            unharmed()
        end)
        loop.start()
        expect(20, found)
    ]])

    daemon('gives look-ups up', [[
        local s = loop.tcp()
        loop.newthread(function() s:connect('wait50+127.0.0.1', 9) end)
        loop.step(0.01)
        in_child(function()
            leave()
            s:close()
            unharmed()
        end)
        s:close()
        loop.start()
    ]])

    daemon('ends attempts to connect', [[
        local port = hang '127.0.9.1'
        local before, all, ended, child = count 'fd', {}, 0, nil
        local thrice = '+127.0.9.1+127.0.9.1+127.0.9.1'
        for i, host in ipairs {'127.0.9.1', thrice} do
            local s = loop.tcp()
            all[i] = s
            loop.newthread(function()
                expect_error('closed', s:connect(host, port))
                ended = ended + 1
            end)
        end
        run(function()
            while count 'fd' < before + 4 do loop.sleep(0.01) end
            child = fork()
            if child == 0 then
                leave()
                while ended < 2 do loop.sleep(0.001) end
                unharmed()
                quit(7)
            end
            expect(7, wait(child))
            for _, s in ipairs(all) do s:close() end
        end)
        expect(2, ended)
    ]])

    daemon('sends nothing of its parent, and closes nothing for it', [[
        run(function()
            local s, peer = pair()
            peer:send 'one\ntwo\n'
            s:settimeout(0)
            repeat loop.sleep(0) until s:receive()
            local chunk, sum = ('f'):rep(100000), 0
            repeat
                local n, err, last = s:send(chunk)
                sum = sum + (n or last)
            until err
            s:send 'x'    -- gathered
            loop.sleep(0)
            s:close()    -- leaves unsent bytes to the loop
            in_child(function()
                leave()
                loop.newthread(loop.sleep, 0.001)
                loop.sleep(0.001)
                unharmed()
            end)
            peer:settimeout(20)
            local all = peer:receive '*a'
            expect(true, #all >= sum)
            peer:close()
        end)
    ]])
end)

describe('A child of a child', function()
    after_each(process.cleanup)

    daemon('really closes what it inherited', [[
        run(function()
            local near, far = pair()
            local server = loop.newserver('127.0.0.1', 0, print)
            in_child(function()
                in_child(function()
                    local before = count 'fd'
                    near:close()
                    server:close()
                    expect(before - 2, count 'fd')
                    far = nil
                    for i = 1, 3 do collectgarbage() end
                    expect(before - 3, count 'fd')
                end)
                local before = count 'fd'
                near:close()
                far:close()
                server:close()
                expect(before - 3, count 'fd')
                near, far = pair()
                in_child(function()
                    before = count 'fd'
                    near:close()
                    far:close()
                    expect(before - 2, count 'fd')
                end)
            end)
            near:send 'hello\n'
            near:close()
            expect('hello', (far:receive()))
            expect(nil, (far:receive()))
            far:close()
            server:close()
        end)
    ]])

    daemon('takes another socket with an old number for another one', [[
        run(function()
            local old = loop.tcp('127.0.0.1', 0)
            local number = old:getfd()
            in_child(function()
                closefrom(3)
                local sockets = {}
                repeat
                    local s = socket.tcp4()
                    assert(s:bind('127.0.0.1', 0))
                    sockets[#sockets + 1] = s
                until s:getfd() >= number
                in_child(function()
                    old:close()
                    old = nil
                    for i = 1, 3 do collectgarbage() end
                    for _, s in ipairs(sockets) do
                        assert(s:getsockname())
                    end
                end)
            end)
        end)
    ]])
end)
