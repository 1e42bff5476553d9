-- LuaSocket looked up the name for bind, and blocked all threads meanwhile.

local names = require 'name_service'
local process = require 'process'

local script = names.tests(it, pending)

describe('a look-up', function()
    after_each(process.cleanup)

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
end)
