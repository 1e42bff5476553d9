-- Found by review.

local names = require 'names'
local process = require 'process'

local script = names.tests(it, pending)

describe('a look-up', function()
    after_each(process.cleanup)

    -- The descriptor was the loop socket's, but the object was to close it.
    script('for bind, during which the LuaSocket object is made', [[
        run(function()
            loop.resolve '+127.0.0.1'
            local before = count 'fd'
            local s = loop.tcp()
            local result = async(s.bind, s, 'wait50+127.0.0.3', 0)
            local object = s:getsocket()
            expect(1, result())
            expect('127.0.0.3', (object:getsockname()))
            expect(object:getfd(), s:getfd())
            expect(1, s:listen())
            s:close()
            expect(before, count 'fd')
        end)
    ]])

    -- LuaSocket's own bind looked it up, and nobody else ran.
    script('for bind lets others run, also that of a wrapped object', [[
        run(function()
            for _, make in ipairs {socket.tcp, socket.tcp4, socket.udp} do
                local s = loop.wrap(make())
                beside(function()
                    expect(1, s:setsockname('wait100+127.0.0.3', 0))
                end)
                expect('127.0.0.3', (s:getsockname()))
                s:close()
                s = loop.wrap(make())
                expect_error('host or service not provided, or not known',
                             s:setsockname('wait1+', 0))
                s:close()
            end
        end)
    ]])

    -- With install, names of digits, dots and colons were left to LuaSocket.
    script('of what looks like an address lets others run', [[
        loop.install()
        run(function()
            local _, port = listen '127.0.0.1'
            for _, host in ipairs {'wait100+::1+127.0.0.1', '[+wait100+::1]',
                                   '0.0.0.0+wait100'} do
                beside(function() socket.connect(host, port) end)
                local s = socket.udp()
                beside(function() s:setpeername(host, port) end)
                s:close()
            end
            local s = assert(socket.connect('127.1', port))
            expect('127.0.0.1', (s:getpeername()))
            s:close()
        end)
    ]])

    -- With install, it was connected, and open again.
    script('is the last of an object that is closed meanwhile', [[
        loop.install()
        run(function()
            local _, port = listen '127.0.0.1'
            for _, make in ipairs {socket.tcp, socket.udp} do
                local s = make()
                local result = async(s.setpeername, s, 'wait50+127.0.0.1',
                                     port)
                s:close()
                expect_error('closed', result())
                expect(-1, s:getfd())
            end
        end)
    ]])
end)
