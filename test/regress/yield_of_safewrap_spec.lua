-- The yield of a safewrapped function had no caller to return to: a crash.

local coro = require 'coro'
local support = require 'support'

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it("safewrap's yield in a thread that was resumed directly", function()
        local wrapper, thread = coro.safewrap(function(yield)
            local ok, err = pcall(yield, 1)
            return ok, err
        end)
        local ok, yielded, err = coro.resume(thread)
        assert.is_true(ok)
        assert.is_false(yielded)
        assert.equal('yielding from a non-resumed thread', err)
        assert.is_false((pcall(wrapper)))
    end)
end)
