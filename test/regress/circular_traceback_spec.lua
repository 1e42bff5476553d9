-- The traceback of an error followed the return targets of threads, which may
-- form a circle, and never ended.

local coro = require 'coro'
local support = require 'support'

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('an error has a traceback though threads return in a circle', function()
        local main = (coro.running())
        local a, b
        a = coro.create(function()
            coro.resume(b)
            coro.transfer(main)
            error 'boom'
        end)
        local err, traceback
        b = coro.create(function()
            coro.transfer(a)
            err, traceback = select(2, coro.resume(a))
            coro.transfer(main)
        end)
        coro.transfer(a)
        coro.transfer(b)
        assert.matches('boom', err)
        assert.matches('^stack traceback:\n', traceback)
    end)
end)
