-- Host names for UDP sockets of the loop.

local names = require 'name_service'
local process = require 'process'

-- Each script is a process with a name service of its own: see
-- name_service.lua.
describe('A UDP socket and names', function()
    after_each(process.cleanup)

    local script = names.tests(it, pending)

    script('looks its peer up while others run', [[
        for _, make in ipairs {loop.udp, function()
            return loop.wrap(socket.udp())
        end} do
            run(function()
                local s = make()
                beside(function()
                    expect(1, s:setpeername('wait100+127.0.0.1', 9))
                end)
                local host, port = s:getpeername()
                expect('127.0.0.1', host)
                expect(9, port)
                s:close()
            end)
        end
    ]])

    script('tries all addresses', [[
        for _, make in ipairs {loop.udp, function()
            return loop.wrap(socket.udp())
        end} do
            run(function()
                -- A broadcast address requires a socket option and a route.
                local s = make()
                expect(1, s:setpeername('+255.255.255.255+127.0.0.1', 9))
                expect('127.0.0.1', (s:getpeername()))
                s:close()
                s = make()
                local ok, err = s:setpeername('+255.255.255.255', 9)
                expect(nil, ok)
                assert(err == 'permission denied' or
                       err == 'Network is unreachable', err)
                -- The socket can still be used.
                expect(1, s:sendto('x', '127.0.0.1', 9))
                s:close()
                s = make()
                local other = assert(socket.udp6())
                if other:setsockname('::1', 0) then
                    expect(1, s:setpeername('+255.255.255.255+::1', 9))
                    expect('::1', (s:getpeername()))
                end
                other:close()
                s:close()
            end)
        end
    ]])

    script('takes its timeout for the look-up', [[
        run(function()
            local s = loop.udp()
            s:settimeout(0.01)
            local took, ok, err = timed(s.setpeername, s,
                'wait1000+127.0.0.1', 9)
            expect_error('timeout', ok, err)
            assert(took < 0.5)
            s:settimeout(5)
            expect(1, s:setpeername('wait10+127.0.0.1', 9))
            s:close()
        end)
    ]])

    script('is closed during the look-up', [[
        run(function()
            local fresh, bound = loop.udp(), loop.udp('127.0.0.1', 0)
            for _, s in ipairs {fresh, bound} do
                local result = async(s.setpeername, s, 'wait200+127.0.0.1', 9)
                loop.sleep(0.005)
                s:close()
                expect_error('closed', result())
            end
        end)
    ]])

    script('refuses another call for its peer during the look-up', [[
        run(function()
            local s = loop.udp('127.0.0.1', 0)
            local result = async(s.setpeername, s, 'wait50+127.0.0.1', 9)
            assert(not s:setpeername('127.0.0.1', 9))
            assert(not pcall(s.sendto, s, 'x', '127.0.0.1', 9))
            expect(1, (result()))
            expect(1, s:send('x'))
            s:close()
        end)
    ]])

    script('binds to names, also outside of threads', [[
        local s = loop.udp('wait10+127.0.0.1', 0)
        expect('127.0.0.1', (s:getsockname()))
        expect(1, s:setpeername('wait10+127.0.0.1', 9))
        s:close()
        run(function()
            local t = loop.udp()
            expect(1, t:setsockname('wait10+127.0.0.1', 0))
            expect('127.0.0.1', (t:getsockname()))
            t:close()
        end)
    ]])
end)
