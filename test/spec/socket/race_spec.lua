-- Connects to a host with several addresses. The scripts run with a name
-- service of their own: see name_service.lua.

local names = require 'name_service'
local process = require 'process'

local script = names.tests(it, pending)

describe('connect to several addresses', function()
    after_each(process.cleanup)

    script('takes the first that answers', [[
        local listener, port = listen '127.0.9.2'
        run(function()
            local s = assert(loop.connect('+127.0.9.1+127.0.9.2', port))
            expect('127.0.9.2', (s:getpeername()))
            assert(listener:accept()):send 'hello\n'
            expect('hello', s:receive())
            expect(6, s:send 'hello\n')
            s:close()
        end)
    ]])

    script('goes on at once when one has failed', [[
        local listener, port = listen '127.0.9.6'
        run(function()
            local time, s = timed(loop.connect, '+127.0.9.1+127.0.9.2' ..
                '+127.0.9.3+127.0.9.4+127.0.9.5+127.0.9.6', port)
            assert(s):close()
            assert(time < 1, time)
        end)
    ]])

    script('does not wait long for one that does not answer', [[
        local listener, port = listen '127.0.9.2'
        hang('127.0.9.1', port)
        run(function()
            local before = count 'fd'
            local time, s = timed(loop.connect, '+127.0.9.1+127.0.9.2', port)
            expect('127.0.9.2', (s:getpeername()))
            assert(time >= 0.25 and time < 2, time)
            s:close()
            expect(before, count 'fd')
        end)
    ]])

    script('lets others run', [[
        local listener, port = listen '127.0.9.2'
        hang('127.0.9.1', port)
        run(function()
            beside(function()
                assert(loop.connect('+127.0.9.1+127.0.9.2', port)):close()
            end)
        end)
    ]])

    script('takes the one that answers later if no other does', [[
        local listener, port = listen '127.0.9.4'
        hang('127.0.9.2', port)
        run(function()
            local time, s = timed(loop.connect,
                '+127.0.9.1+127.0.9.2+127.0.9.3+127.0.9.4', port)
            expect('127.0.9.4', (s:getpeername()))
            assert(time >= 0.25 and time < 2, time)
            s:close()
        end)
    ]])

    script('alternates between the families', [[
        local ok, six, port = pcall(listen, '::1')
        if not ok then os.exit(0, true) end
        local listener = listen('127.0.9.2', port)
        hang('127.0.9.1', port)
        run(function()
            local s = assert(loop.connect('+127.0.9.1+127.0.9.2+::1', port))
            expect('::1', (s:getpeername()))
            s:close()
        end)
        six:close()
        listener:close()
    ]])

    script('begins with the first family', [[
        local ok, six, port = pcall(listen, '::1')
        if not ok then os.exit(0, true) end
        local four = listen('127.0.9.1', port)
        run(function()
            local s = assert(loop.connect('+127.0.9.1+::1', port))
            expect('127.0.9.1', (s:getpeername()))
            s:close()
            s = assert(loop.connect('+::1+127.0.9.1', port))
            expect('::1', (s:getpeername()))
            s:close()
        end)
        six:close()
        run(function()
            local s = assert(loop.connect('+::1+127.0.9.1', port))
            expect('127.0.9.1', (s:getpeername()))
            s:close()
        end)
    ]])

    script('gives one reason when all have failed', [[
        local listener, port = listen '127.0.9.1'
        listener:close()
        run(function()
            expect_error('connection refused',
                loop.connect('+127.0.9.1+127.0.9.2+::1', port))
            local before = count 'fd'
            for _ = 1, 20 do
                loop.connect('+127.0.9.1+127.0.9.2', port)
            end
            expect(before, count 'fd')
        end)
    ]])

    -- No TCP connection to a multicast address is possible.
    script('prefers a host\'s answer to unreachable', [[
        local listener, port = listen '127.0.9.1'
        listener:close()
        run(function()
            local _, err = loop.connect('+224.0.0.1', port)
            if err ~= 'Network is unreachable' then return end
            expect_error('connection refused',
                loop.connect('+224.0.0.1+127.0.9.1', port))
            expect_error('connection refused',
                loop.connect('+127.0.9.1+224.0.0.1', port))
            local s = loop.wrap(socket.tcp())
            expect_error('connection refused',
                s:connect('+127.0.9.1+224.0.0.1', port))
            s:close()
        end)
    ]])

    script('is over in time', [[
        local port = hang '127.0.9.1'
        hang('127.0.9.2', port)
        run(function()
            local before = count 'fd'
            for _, mode in ipairs {'b', 't'} do
                local s = loop.tcp()
                s:settimeout(0.4, mode)
                local time, result, err = timed(s.connect, s,
                    '+127.0.9.1+127.0.9.2', port)
                expect_error('timeout', result, err)
                assert(time >= 0.4 and time < 5, time)
                s:close()
            end
            expect(before, count 'fd')
        end)
    ]])

    script('goes on after a timeout', [[
        local listener, port = listen '127.0.9.3'
        hang('127.0.9.1', port)
        hang('127.0.9.2', port)
        run(function()
            local s = loop.tcp()
            s:settimeout(0.1)
            local time, result, err = timed(function()
                local result, err
                repeat
                    result, err = s:connect('+127.0.9.1+127.0.9.2+127.0.9.3',
                        port)
                until err ~= 'timeout'
                return result, err
            end)
            expect(true, result)
            assert(time >= 0.5 and time < 5, time)
            expect('127.0.9.3', (s:getpeername()))
            s:close()
        end)
    ]])

    script('does nothing in between', [[
        local port, listener = hang '127.0.9.1'
        run(function()
            local s = loop.tcp()
            s:settimeout(0.3)
            expect_error('timeout', s:connect('+127.0.9.1+127.0.9.1', port))
            listener:close()    -- a repeated SYN is refused
            local start = os.clock()
            loop.sleep(2)
            assert(os.clock() - start < 0.3)
            s:settimeout(5)
            expect_error('connection refused',
                s:connect('+127.0.9.1+127.0.9.1', port))
            s:close()
        end)
    ]])

    script('is over when the socket is closed', [[
        local port = hang '127.0.9.1'
        run(function()
            local before = count 'fd'
            local s = loop.tcp()
            local result = async(s.connect, s,
                '+127.0.9.1+127.0.9.1+127.0.9.1', port)
            loop.sleep(0.3)
            s:close()
            expect_error('closed', result())
            expect(before, count 'fd')
            loop.sleep(0.3)    -- the third would have started
        end)
    ]])

    script('is over when its LuaSocket object is asked for', [[
        local port = hang '127.0.9.1'
        run(function()
            local before = count 'fd'
            local s = loop.tcp()
            local result = async(s.connect, s, '+127.0.9.1+127.0.9.1', port)
            loop.sleep(0.01)
            s:getsocket()
            expect_error('closed', result())
            s:close()
            expect(before, count 'fd')
        end)
    ]])

    script('can be garbage', [[
        local port = hang '127.0.9.1'
        run(function()
            local before = count 'fd'
            for _ = 1, 20 do
                local s = loop.tcp()
                s:settimeout(0.001)
                expect_error('timeout',
                    s:connect('+127.0.9.1+127.0.9.1', port))
            end
            collectgarbage()
            collectgarbage()
            expect(before, count 'fd')
        end)
    ]])

    script('may be under way at the end of the program', [[
        local port = hang '127.0.9.1'
        for i = 1, 5 do
            loop.newthread(loop.connect, '+127.0.9.1+127.0.9.1', port)
        end
        loop.step(0.1)
        loop.step(0.3)
    ]])

    script('happens many times at once', [[
        local listener, port = listen '127.0.9.2'
        local n = 0
        for i = 1, 200 do
            loop.newthread(function()
                local s = assert(loop.connect(
                    ('wait%d+127.0.9.1+127.0.9.2'):format(i % 5), port))
                assert(listener:accept()):send 'hello\n'
                s:close()
                n = n + 1
            end)
        end
        loop.start()
        expect(200, n)
    ]])

    script('takes only the family of the local address', [[
        local listener, port = listen '127.0.9.1'
        run(function()
            local s = assert(loop.connect('+::1+127.0.9.2+127.0.9.1', port,
                '127.0.9.3'))
            expect('127.0.9.3', (s:getsockname()))
            expect('127.0.9.1', (s:getpeername()))
            s:close()
            local before = count 'fd'
            listener:close()
            expect(nil, (loop.connect('+::1+127.0.9.1', port, '127.0.9.3')))
            expect(before - 1, count 'fd')
        end)
    ]])

    script('goes through a LuaSocket object one by one', [[
        local listener, port = listen '127.0.9.3'
        run(function()
            local object = socket.tcp()
            local s = loop.wrap(object)
            expect(true, s:connect('+127.0.9.1+::1+127.0.9.2+127.0.9.3',
                port))
            expect('127.0.9.3', (object:getpeername()))
            assert(listener:accept()):send 'hello\n'
            expect('hello', s:receive())
            s:close()
        end)
    ]])
end)

-- A network namespace in which packets to some addresses vanish. Making it
-- requires root.
describe('connect to an address without a host', function()
    after_each(process.cleanup)

    local unshare = process.which 'unshare'
    local set_up = 'ip link set lo up && ' ..
        'ip addr add 198.51.100.1/32 dev lo && ' ..
        'ip route add 198.51.100.0/24 dev lo'

    local function set_up_and(command)
        return ('%s -n sh -c %s'):format(unshare,
            process.quote(set_up .. ' && ' .. command))
    end

    local function in_network(name, code)
        it(name, function()
            if not (names.available and unshare and
                    process.run(set_up_and 'true') == 0) then
                pending 'this takes root'
                return
            end
            names.script(code, nil, set_up_and)
        end)
    end

    in_network('tries the next one', [[
        local listener, port = listen '127.0.9.1'
        run(function()
            local time, s = timed(loop.connect, '+198.51.100.2+127.0.9.1',
                port)
            expect('127.0.9.1', (s:getpeername()))
            assert(time >= 0.25 and time < 2, time)
            s:close()
        end)
    ]])

    in_network('is over in time', [[
        run(function()
            local s = loop.tcp()
            s:settimeout(0.2)
            expect_error('timeout', s:connect('+198.51.100.2', 80))
            s:close()
        end)
    ]])
end)
