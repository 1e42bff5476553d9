-- A woken connect asked the system for the socket's error, and waited for ever,
-- since another call had already read the error.

local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('a connect whose error was read elsewhere', function()
        support.run(function()
            local port = support.closedport()
            local s = support.track(loop.tcp('127.0.0.1', 0))
            local result
            loop.newthread(function()
                result = pack(s:connect('127.0.0.1', port))
            end)
            s:getoption 'error'
            assert.is_true(support.eventually(function()
                return result ~= nil
            end))
            assert.is_nil(result[1])
            s:close()
        end)
    end)
end)
