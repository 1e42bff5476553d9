-- Timeouts in call_async.

local support = require 'support'

local timed = support.timed

-- Tolerance for comparisons of clocks, in seconds.
local tick = 0.002

describe('A timeout', function()
    support.hooks(before_each, after_each)

    describe('of call_async', function()
        it('is nil, timeout', function()
            support.with_mixed(function(s)
                s:settimeout(0.01)
                local took, ok, err = timed(s.call_async, s, function()
                    return nil, 'wantread'
                end)
                assert.is_nil(ok)
                assert.equal('timeout', err)
                assert.is_true(took >= 0.01 - tick and took < 5, took)
            end)
        end)
    end)
end)
