-- Connects to host names, in scripts with a name service of their own.

local names = require 'name_service'
local process = require 'process'

local script = names.tests(it, pending)

describe('a connect whose name is looked up', function()
    after_each(process.cleanup)

    for _, mode in ipairs {'b', 't'} do
        script('is over in time, mode ' .. mode, ([[
            local listener, port = listen '127.0.0.1'
            run(function()
                local s = loop.tcp()
                s:settimeout(0.2, '%s')
                local time, result, err = timed(s.connect, s,
                    'wait2000+127.0.0.1', port)
                expect_error('timeout', result, err)
                assert(time >= 0.2 and time < 1.5, time)
                s:close()
            end)
        ]]):format(mode))
    end

    script('has one deadline for look-up and connection', [[
        local port = hang '127.0.9.1'
        run(function()
            local s = loop.tcp()
            s:settimeout(0.9)
            local time, result, err = timed(s.connect, s,
                'wait800+127.0.9.1', port)
            expect_error('timeout', result, err)
            assert(time >= 0.9 and time < 1.6, time)
            s:close()
        end)
    ]])

    script('goes on after a timeout', [[
        local listener, port = listen '127.0.0.1'
        run(function()
            local s = loop.tcp()
            s:settimeout(0.02)
            local calls = 0
            repeat
                local result, err = s:connect('wait200+127.0.0.1', port)
                calls = calls + 1
            until result or err ~= 'timeout'
            assert(calls > 2, calls)
            expect(port, (select(2, s:getpeername())))
            s:close()
        end)
    ]])

    script('goes on with timeout 0', [[
        local listener, port = listen '127.0.0.1'
        run(function()
            local s = loop.tcp()
            s:settimeout(0)
            local result, err
            repeat
                result, err = s:connect('wait50+127.0.0.1', port)
                loop.sleep(0.001)
            until err ~= 'timeout'
            expect(true, result)
            s:close()
        end)
    ]])

    script('begins anew for another host', [[
        local listener, port = listen '127.0.0.2'
        run(function()
            local s = loop.tcp()
            s:settimeout(0.05)
            expect_error('timeout', s:connect('wait300+127.0.0.1', port))
            s:settimeout(5)
            expect(true, s:connect('wait1+127.0.0.2', port))
            expect('127.0.0.2', (s:getpeername()))
            s:close()
        end)
    ]])

    script('is over when the socket is closed', [[
        run(function()
            local s = loop.tcp()
            local result = async(s.connect, s, 'wait3000+127.0.0.1', 80)
            loop.sleep(0.02)
            local time, r, err = timed(function()
                s:close()
                return result()
            end)
            expect_error('closed', r, err)
            assert(time < 1, time)
        end)
    ]])

    script('is over when a wrapped socket is closed', [[
        run(function()
            local s = loop.wrap(socket.tcp())
            local result = async(s.connect, s, 'wait3000+127.0.0.1', 80)
            loop.sleep(0.02)
            s:close()
            expect_error('closed', result())
        end)
    ]])

    script('is nil and the reason for a name that is not known', [[
        run(function()
            local s = loop.tcp()
            expect_error('host or service not provided, or not known',
                s:connect('wait1+', 80))
            expect_error('host or service not provided, or not known',
                loop.connect('wait1+', 80))
            s:close()
        end)
    ]])

    script('works for a bound socket', [[
        local listener, port = listen '127.0.0.1'
        run(function()
            beside(function()
                local s = assert(loop.connect('wait100+127.0.0.1', port,
                    'wait100+127.0.0.3'))
                expect('127.0.0.3', (s:getsockname()))
                s:close()
            end)
        end)
    ]])

    script('works for a wrapped LuaSocket object', [[
        local listener, port = listen '127.0.0.1'
        run(function()
            local s = loop.wrap(socket.tcp())
            expect(true, s:connect('wait20+127.0.0.1', port))
            assert(listener:accept()):send 'hello\n'
            expect('hello', s:receive())
            s:close()
        end)
    ]])

    script('can be garbage', [[
        run(function()
            loop.sleep(0)
            local before = count 'fd'
            for _ = 1, 20 do
                local s = loop.tcp()
                s:settimeout(0.001)
                expect_error('timeout', s:connect('wait5000+127.0.0.1', 80))
            end
            collectgarbage()
            collectgarbage()
            expect(before, count 'fd')
        end)
    ]], 'TEST_LEAKS=0; export TEST_LEAKS')
end)
