-- A call with a timeout of 0 asks the system for readiness. Any answer counted
-- as ready.

local support = require 'support'

local pack = support.pack

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('call_async with a timeout of 0 times out', function()
        support.with_mixed(function(s)
            local calls = 0
            s:settimeout(0)
            assert.same(pack(nil, 'timeout'), pack(s:call_async(function()
                calls = calls + 1
                return nil, calls < 1000 and 'wantread' or 'spins'
            end)))
            assert.equal(1, calls)
        end)
    end)
end)
