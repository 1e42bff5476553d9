-- With install, an object that was closed during its look-up was connected, and
-- thus open again.

local names = require 'name_service'
local process = require 'process'

local script = names.tests(it, pending)

describe('a look-up', function()
    after_each(process.cleanup)

    script('does not reopen an object that is closed meanwhile', [[
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
