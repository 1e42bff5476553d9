-- The thread that a yield returned to had been continued by another thread, and
-- had started the caller: a crash.

local coro = require 'coro'
local support = require 'support'

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('a safewrapped function called below the one that yielded', function()
        local main = coro.running()
        local first, from_below, yielded
        local wrapper, yielder
        wrapper, yielder = coro.safewrap(function(yield)
            first = yield 'out'
            from_below = coro.wrap(function()
                yielded = wrapper 'in'
                coro.transfer(main, 'end')
            end)()
            yield 'again'
        end)
        assert.equal('out', wrapper())
        assert.equal('end', coro.transfer(yielder, 'went on'))
        assert.same({'went on', 'in', 'again'}, {first, from_below, yielded})
    end)
end)
