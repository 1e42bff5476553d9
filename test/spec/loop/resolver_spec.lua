-- resolve, bind to a name, and abandoned look-ups. Most scripts run with a name
-- service of their own: see name_service.lua.

local loop = require 'socketloop'
local names = require 'name_service'
local process = require 'process'
local socket = require 'socket'
local support = require 'support'

local run = support.run

local script, host = names.tests(it, pending)

describe('resolve', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    it('gives what LuaSocket gives', function()
        run(function()
            assert.same(socket.dns.getaddrinfo 'localhost',
                loop.resolve 'localhost')
        end)
    end)

    script('gives one result', [[
        run(function()
            for _, name in ipairs {'127.0.0.1', '+127.0.0.1'} do
                expect(1, select('#', loop.resolve(name)))
            end
        end)
    ]])

    it('takes numeric addresses', function()
        run(function()
            assert.same({{family = 'inet', addr = '127.0.0.1'}},
                loop.resolve '127.0.0.1')
            assert.same({{family = 'inet6', addr = '::1'}},
                loop.resolve '::1')
        end)
    end)

    it('adds the port', function()
        run(function()
            assert.same({{family = 'inet', addr = '127.0.0.1', port = 80}},
                loop.resolve('127.0.0.1', 80))
            assert.same({{family = 'inet', addr = '127.0.0.1', port = 8080}},
                loop.resolve('127.0.0.1', '8080'))
        end)
    end)

    it('takes the name of a service', function()
        local file = io.open '/etc/services'
        local services = file and file:read '*a' or ''
        if file then file:close() end
        if not services:find '\nhttp%s+80/tcp' then
            pending 'this system knows no service'
            return
        end
        run(function()
            assert.same({{family = 'inet', addr = '127.0.0.1', port = 80}},
                loop.resolve('127.0.0.1', 'http'))
        end)
    end)

    script('waits wherever a thread can wait', [[
        run(function()
            local list
            table.sort({1, 2}, function(a, b)
                list = assert(loop.resolve 'wait1+127.0.0.1')
                return a < b
            end)
            expect('127.0.0.1', list[1].addr)
            expect(true, (pcall(loop.resolve, 'wait1+127.0.0.1')))
            local co = coroutine.wrap(function()
                coroutine.yield(loop.resolve 'wait1+127.0.0.1')
            end)
            expect('127.0.0.1', co()[1].addr)
        end)
    ]])

    script('gives no canonical name, even if the system does', [[
        run(function()
            expect(nil, loop.resolve('musl+127.0.0.1').name)
            expect(nil, loop.resolve('musl+wait1+127.0.0.1').name)
        end)
    ]])

    script('works in a coroutine of the user', [[
        local list
        coroutine.wrap(function() list = loop.resolve '+127.0.0.1' end)()
        loop.start()
        expect('127.0.0.1', list[1].addr)
    ]])

    it('raises outside a loop thread', function()
        for _, name in ipairs {'localhost', '127.0.0.1'} do
            local ok, err = pcall(function() return loop.resolve(name) end)
            assert.is_false(ok)
            assert.matches('resolve must be called from a loop thread', err, 1,
                true)
        end
    end)

    it('raises for missing or wrong arguments', function()
        run(function()
            assert.is_false((pcall(loop.resolve)))
            assert.is_false((pcall(loop.resolve, {})))
            assert.is_false((pcall(loop.resolve, 'localhost', {})))
            assert.is_false((pcall(loop.resolve, 'localhost', 65536)))
            assert.is_false((pcall(loop.resolve, 'localhost', 80, 'soon')))
            assert.is_false((pcall(loop.resolve, 'localhost', 80, 0 / 0)))
        end)
    end)

    script('is nil and the reason for a name that is not known', [[
        run(function()
            expect_error('host or service not provided, or not known',
                loop.resolve 'nothing+')
        end)
    ]])

    script('keeps the order of the system', [[
        run(function()
            local list = loop.resolve '+127.0.0.3+::1+127.0.0.2'
            expect(3, #list)
            expect('127.0.0.3', list[1].addr)
            expect('inet6', list[2].family)
            expect('127.0.0.2', list[3].addr)
        end)
    ]])

    script('lets others run', [[
        run(beside, function()
            assert(loop.resolve 'wait200+127.0.0.1')
        end)
    ]])

    script('times out', [[
        run(function()
            local time, result, err = timed(loop.resolve,
                'wait2000+127.0.0.1', nil, 0.05)
            expect_error('timeout', result, err)
            assert(time >= 0.05 and time < 1.5, time)
        end)
    ]])

    script('with a timeout of 0 only resolves numeric addresses', [[
        run(function()
            assert(loop.resolve('127.0.0.1', 80, 0))
            expect_error('timeout', loop.resolve('wait1+127.0.0.1', 80, 0))
        end)
    ]])

    script('runs side by side', [[
        local n = 0
        local time = timed(function()
            for i = 1, 10 do
                loop.newthread(function()
                    local wait = i % 2 == 0 and 400 or 1
                    assert(loop.resolve('wait' .. wait .. '+127.0.0.1'))
                    n = n + 1
                end)
            end
            loop.start()
        end)
        expect(10, n)
        assert(time >= 0.4 and time < 1.6, time)
    ]])

    script('takes at most 32 threads, which end', [[
        local before = count 'task'
        local n, most = 0, 0
        for i = 1, 100 do
            loop.newthread(function()
                assert(loop.resolve('wait100+127.0.0.' .. i))
                most = math.max(most, count 'task')
                n = n + 1
            end)
        end
        loop.start()
        expect(100, n)
        expect(32, most - before)
        local deadline = loop.now() + 20
        while count 'task' > before and loop.now() < deadline do
            socket.sleep(0.1)
        end
        expect(before, count 'task')
        run(function() assert(loop.resolve('wait1+127.0.0.1')) end)
    ]])

    script('starts more threads while all do abandoned work', [[
        local before = count 'task'
        loop.setmaxlookups(8)
        run(function()
            local round, all, found = 0
            repeat
                round = round + 1
                local over = 0
                for i = 1, 8 do
                    loop.newthread(function()
                        expect_error('timeout', loop.resolve(
                            'wait5000+127.0.0.' .. i, nil, 0.02))
                        over = over + 1
                    end)
                end
                while over < 8 do loop.sleep(0.001) end
                found = loop.resolve('wait1+127.0.0.1', nil,
                                     round < 4 and 5 or 0.1)
                assert(found or round >= 4)
                all = count 'task' - before
                assert(all <= math.min(8 * round + 1, 32), all)
                -- A busy machine may not start all of them within 20 ms.
            until not found and all == 32
        end)
        os.exit(0)
    ]], 'TEST_LEAKS=0; export TEST_LEAKS')

    script('leaves no descriptor open', [[
        run(function() loop.sleep(0) end)
        local before = count 'fd'
        run(function()
            assert(loop.resolve 'wait1+127.0.0.1')
            loop.resolve('wait200+127.0.0.1', nil, 0.01)
        end)
        expect(before, count 'fd')
    ]])

    script('keeps the loop running only as long as a thread waits', [[
        local time = timed(run, function()
            loop.resolve('wait3000+127.0.0.1', nil, 0.02)
        end)
        assert(time < 2, time)
        expect(false, loop.step())
        local list
        run(function() list = loop.resolve 'wait100+127.0.0.1' end)
        expect('127.0.0.1', list[1].addr)
    ]])

    script('is nil and the reason without descriptors', [[
        local hoard = {}
        repeat
            local file = io.open '/dev/null'
            hoard[#hoard + 1] = file
        until not file
        run(function()
            local list, err = loop.resolve 'wait1+127.0.0.1'
            expect(nil, list)
            assert(err:lower():find 'too many open files', err)
            assert(loop.resolve '127.0.0.1')
            for _, file in ipairs(hoard) do file:close() end
            assert(loop.resolve 'wait1+127.0.0.1')
        end)
    ]], 'ulimit -n 64')

    script('is nil and the reason without threads', [[
        run(function()
            local list, err = loop.resolve '+127.0.0.1'
            expect(nil, list)
            assert(err:lower():find 'temporarily unavailable', err)
            assert(loop.resolve '127.0.0.1')
        end)
    ]], 'NO_THREADS=1; export NO_THREADS')

    script('ends with its thread', [[
        local thread = loop.newthread(function()
            loop.resolve 'wait100+127.0.0.1'
            error 'went on'
        end)
        if coroutine.close and coroutine.status(thread) == 'suspended' then
            coroutine.close(thread)
        else
            os.exit(0, true)
        end
        run(function() loop.sleep(0.2) end)
    ]])
end)

describe('a bind to a name', function()
    after_each(process.cleanup)

    script('lets others run in a thread', [[
        run(function()
            beside(function()
                local s = loop.tcp('wait100+127.0.0.3', 0)
                expect('127.0.0.3', (s:getsockname()))
                s:close()
                s = loop.tcp()
                expect(1, s:bind('wait100+127.0.0.3', 0))
                s:close()
                s = loop.newserver('wait100+127.0.0.3', 0, print)
                expect('127.0.0.3', (s:getsockname()))
                s:close()
            end)
        end)
    ]])

    script('works in the main program', [[
        local s = loop.tcp('wait10+127.0.0.3', 0)
        expect('127.0.0.3', (s:getsockname()))
        s:close()
    ]])

    script('is nil and the reason for a name that is not known', [[
        local s = loop.tcp()
        expect_error('host or service not provided, or not known',
            s:bind('nothing+', 0))
        run(function()
            expect_error('host or service not provided, or not known',
                s:bind('nothing+', 0))
        end)
        s:close()
    ]])

    script('is not possible while a thread connects', [[
        local s = loop.tcp()
        loop.newthread(function() s:connect('wait100+127.0.0.1', 9) end)
        expect(false, (pcall(s.bind, s, '127.0.0.1', 0)))
        s:close()
        loop.start()
    ]])
end)

describe('an abandoned look-up', function()
    after_each(process.cleanup)

    script('does not delay the end of the program', [[
        run(function()
            loop.resolve('wait20000+127.0.0.1', nil, 0.01)
            os.exit(0)
        end)
    ]], 'TEST_LEAKS=0; export TEST_LEAKS')

    script('does not delay the end of the main program', [[
        loop.newthread(function() loop.resolve('wait20000+127.0.0.1') end)
        loop.step(0.01)
    ]])

    script('does not delay a closing exit', [[
        loop.newthread(function() loop.resolve('wait20000+127.0.0.1') end)
        loop.step(0.01)
        os.exit(0, true)
    ]])

    -- The workers return after the Lua state was closed.
    host('outlives its Lua state', 4, 3, 300, [[
        for i = 1, 20 do
            loop.newthread(function()
                loop.resolve('wait' .. i * 10 .. '+127.0.0.1')
            end)
        end
        loop.step(0.02)
    ]])

    host('outlives the code that Lua has loaded', 2, 2, 400, [[
        assert(package.cpath:find('/test/?.so', 1, true))
        for _ = 1, 4 do
            loop.newthread(loop.resolve, 'wait200+127.0.0.1')
        end
        loop.step(0.01)
    ]], ("LUA_CPATH='%s'; export LUA_CPATH"):format(names.plain_path or ''))

    host('is one of many that are given up at every stage', 3, 2, 100,
         process.read_file(((os.getenv 'LUA_PATH' or '')
             :match '([^;]*/test)/%?%.lua' or 'test') .. '/host/lookups.lua'))
end)

describe('the hosts file', function()
    after_each(process.cleanup)

    -- Runs the code in a mount namespace, which requires root.
    local function with_hosts(name, code, make_hosts)
        it(name, function()
            local unshare = process.which 'unshare'
            if not unshare or process.run(unshare .. ' -m mount --bind ' ..
                '/dev/null /dev/null') ~= 0 then
                pending 'this takes root'
                return
            end
            local hosts = process.tempdir() .. '/hosts'
            process.write_file(hosts, make_hosts)
            local status, output = process.run(('%s -m sh -c %s'):format(
                unshare, process.quote(('mount --bind %s /etc/hosts && %s')
                    :format(hosts, process.script(code)))))
            assert.equal(0, status, output)
        end)
    end

    local same = [[
        local loop = require 'socketloop'
        local socket = require 'socket'
        loop.newthread(function()
            local mine = loop.resolve(NAME)
            local theirs = socket.dns.getaddrinfo(NAME)
            assert((mine == nil) == (theirs == nil))
            for i, address in ipairs(theirs or {}) do
                assert(mine[i].addr == address.addr)
            end
            if ADDRESS then assert(mine[1].addr == ADDRESS) end
        end)
        loop.start()
    ]]

    with_hosts('is asked', "local NAME, ADDRESS = 'socketloop.test', " ..
        "'127.1.2.3'\n" .. same, '127.1.2.3 socketloop.test\n')

    with_hosts('need not know localhost', "local NAME, ADDRESS = " ..
        "'localhost'\n" .. same, '')
end)
