-- After an error that a stopped thread had propagated, LuaJIT's VM took another
-- coroutine for the one that had caught the error.

local coro = require 'coro'
local support = require 'support'

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('an error that a stopped thread passes on', function()
        local function fail()
            local third = coro.create(function() error {} end)
            local second = coro.create(function() coro.transfer(third) end)
            local first = coro.create(function() coro.resume(second) end)
            coro.transfer(first)
        end
        local function sum(list)
            local n = 0
            for _, value in ipairs(list) do n = n + value end
            return n
        end
        local list = {}
        for i = 1, 50 do list[i] = i end
        for i = 1, 300 do
            assert.is_false((pcall(fail)))
            list[51] = i % 2 == 0 and 1.5 or nil    -- leaves a trace
            assert.equal(1275 + (list[51] or 0), sum(list))
        end
    end)
end)
