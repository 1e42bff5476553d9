-- Concurrent look-ups of one name share one query, and the number of queries at
-- a time is limited. The scripts run with a name service of their own: see
-- name_service.lua.

local loop = require 'socketloop'
local names = require 'name_service'
local process = require 'process'

local script, host = names.tests(it, pending)

local prelude = [[
-- In a thread: the number of queries so far, without this one.
local function asked()
    local address = assert(loop.resolve '+asked')[1].addr
    local high, low = address:match '^127%.1%.(%d+)%.(%d+)$'
    local n = high * 256 + low
    others = others + 1
    return n - others + 1
end
others = 0

-- Starts n threads that call f(i). Returns the seconds until all have returned.
local function together(n, f)
    local over, start = 0, loop.now()
    for i = 1, n do
        loop.newthread(function()
            f(i)
            over = over + 1
        end)
    end
    while over < n do loop.sleep(0.001) end
    return loop.now() - start
end

local function expect_address(address, host, ...)
    local list, err = loop.resolve(host, ...)
    expect(address, list and list[1].addr, err)
end
]]

local function shared(name, code, before)
    script(name, prelude .. 'run(function()\n' .. code .. '\nend)', before)
end

describe('Threads that look up the same name', function()
    after_each(process.cleanup)

    shared('share one look-up', [[
        together(100, function()
            expect_address('127.0.0.1', 'wait50+127.0.0.1')
        end)
        expect(1, asked())
    ]])

    -- Without sharing this would take 100 * 3 / 32 rounds of half a second.
    shared('do not wait for one another', [[
        local time = together(100, function()
            for i = 1, 3 do
                expect_address('127.0.0.' .. i, 'wait500+127.0.0.' .. i)
            end
        end)
        expect(3, asked())
        assert(time < 4, time)
    ]])

    shared('get all of the answer', [[
        local seen = {}
        together(10, function(i)
            local list = assert(loop.resolve('wait20+127.0.0.2+::1', 80))
            expect(2, #list)
            expect('127.0.0.2', list[1].addr)
            expect('::1', list[2].addr)
            expect(80, list[2].port)
            assert(not seen[list])
            seen[list] = true
        end)
        expect(1, asked())
    ]])

    shared('get the same error', [[
        together(10, function()
            expect_error('host or service not provided, or not known',
                loop.resolve 'wait20+')
        end)
        expect(1, asked())
    ]])

    -- Some look-ups are for connects that are closed, in this order; the others
    -- get the answer.
    for what, order in pairs {
        ['the first ones give'] = '{1, 2, 3, 4}',
        ['the last ones give'] = '{10, 9, 8, 7}',
        ['others give'] = '{5, 1, 10, 6}',
    } do
        shared('go on when ' .. what .. ' up', ([[
            local order, sockets, over = %s, {}, 0
            for _, i in ipairs(order) do sockets[i] = loop.tcp() end
            for i = 1, 10 do
                loop.newthread(function()
                    if sockets[i] then
                        expect_error('closed',
                            sockets[i]:connect('wait100+127.0.0.1', 9))
                    else
                        expect_address('127.0.0.1', 'wait100+127.0.0.1', 9)
                    end
                    over = over + 1
                end)
            end
            for _, i in ipairs(order) do sockets[i]:close() end
            while over < 10 do loop.sleep(0.001) end
            expect(1, asked())
        ]]):format(order))
    end

    shared('go on when the time of one is over', [[
        loop.newthread(function()
            expect_address('127.0.0.1', 'wait1000+127.0.0.1')
        end)
        expect_error('timeout', loop.resolve('wait1000+127.0.0.1', nil, 0))
        expect_error('timeout', loop.resolve('wait1000+127.0.0.1', nil, 0.01))
        expect_address('127.0.0.1', 'wait1000+127.0.0.1')
        expect(1, asked())
    ]])

    shared('connect to all of them', [[
        local listener, port = listen '127.0.0.1'
        together(20, function()
            assert(loop.connect('wait20+127.0.0.1', port)):close()
        end)
        expect(1, asked())
    ]])

    shared('ask again after the answer', [[
        for i = 1, 3 do
            expect_address('127.0.0.1', 'wait1+127.0.0.1')
            expect(i, asked())
        end
    ]])

    shared('ask again after all have given up', [[
        for i = 1, 2 do
            together(3, function()
                expect_error('timeout',
                    loop.resolve('wait5000+127.0.0.1', nil, 0.05))
            end)
        end
        expect(2, asked())
        os.exit(0)
    ]], 'TEST_LEAKS=0; export TEST_LEAKS')

    shared('ask for other ports and purposes on their own', [[
        together(3, function(i)
            assert(loop.resolve('wait50+127.0.0.1', i > 1 and i or nil))
        end)
        expect(3, asked())
    ]])

    host('go on in a child', 1, 1, 0, prelude .. [[
        local found = 0
        for i = 1, 20 do
            loop.newthread(function()
                expect_address('127.0.0.' .. i % 2 + 1,
                    'wait50+127.0.0.' .. i % 2 + 1)
                found = found + 1
            end)
        end
        loop.step(0.02)
        local child = fork()
        loop.start()
        expect(20, found)
        if child == 0 then return 7 end
        expect(7, wait(child))
    ]])

    host('end with their state', 1, 2, 0, [[
        for i = 1, 20 do
            loop.newthread(loop.resolve, 'wait50+127.0.0.1')
        end
        loop.step(0.02)
    ]])
end)

describe('setmaxlookups', function()
    after_each(process.cleanup)

    -- With eight at a time this would take 38 rounds of 0.2 seconds.
    shared('has a default of 32', [[
        local time = together(300, function(i)
            expect_address('127.0.1.' .. i % 256,
                ('wait200+127.0.1.%d%s'):format(i % 256,
                    ('+'):rep(1 + math.floor(i / 256))))
        end)
        expect(300, asked())
        assert(time < 5, time)
    ]])

    for _, max in ipairs {1, 3, 50} do
        shared('limits how many run at a time: ' .. max, ([[
            local max, before, most = %d, count 'task', 0
            loop.setmaxlookups(max)
            together(2 * max, function(i)
                expect_address('127.0.0.' .. i, 'wait300+127.0.0.' .. i)
                most = math.max(most, count 'task' - before)
            end)
            expect(max, most)
        ]]):format(max))
    end

    shared('can be raised while names are looked up', [[
        local before, most = count 'task', 0
        loop.setmaxlookups(2)
        loop.newthread(function()
            loop.sleep(0.01)
            loop.setmaxlookups(10)
            most = count 'task' - before
        end)
        together(20, function(i)
            expect_address('127.0.0.' .. i, 'wait100+127.0.0.' .. i)
        end)
        expect(10, most)
    ]])

    shared('can be lowered while names are looked up', [[
        local before, most, least = count 'task', 0, 1000
        local over = false
        loop.newthread(function()
            while not over do
                loop.sleep(0.001)
                least = math.min(least, count 'task' - before)
            end
        end)
        together(60, function(i)
            if i == 60 then loop.setmaxlookups(3) end
            expect_address('127.0.0.' .. i, 'wait100+127.0.0.' .. i)
        end)
        over = true
        assert(least <= 3, least)
        loop.setmaxlookups()
        together(60, function(i)
            expect_address('127.0.0.' .. i, 'wait200+127.0.0.' .. i)
            most = math.max(most, count 'task' - before)
        end)
        expect(32, most)
    ]])

    it('takes whole numbers from 1 on', function()
        for _, n in ipairs {0, -1, 1.5, 0 / 0, 'many', {}} do
            assert.is_false((pcall(loop.setmaxlookups, n)))
        end
        for _, n in ipairs {1, 8, 1e9, math.huge} do
            assert.is_true((pcall(loop.setmaxlookups, n)))
        end
        loop.setmaxlookups()
    end)

    shared('does not keep numeric addresses waiting', [[
        loop.setmaxlookups(1)
        local s, over = loop.tcp(), false
        loop.newthread(function()
            s:connect('wait5000+127.0.0.1', 9)
            over = true
        end)
        for _ = 1, 100 do expect_address('127.0.0.9', '127.0.0.9') end
        assert(not over)
        s:close()
    ]], 'TEST_LEAKS=0; export TEST_LEAKS')
end)
