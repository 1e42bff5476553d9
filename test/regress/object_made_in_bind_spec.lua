-- A LuaSocket object that was made while bind looked up a name did not get the
-- descriptor, which stayed the loop socket's.

local names = require 'name_service'
local process = require 'process'

local script = names.tests(it, pending)

describe('a look-up', function()
    after_each(process.cleanup)

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
end)
