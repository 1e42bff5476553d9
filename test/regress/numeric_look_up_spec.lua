-- With install, names of digits, dots and colons were passed to LuaSocket,
-- whose look-up blocks.

local names = require 'name_service'
local process = require 'process'

local script = names.tests(it, pending)

describe('a look-up', function()
    after_each(process.cleanup)

    script('of a name that looks numeric lets others run', [[
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
end)
