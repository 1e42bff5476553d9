-- Random calls of any function with any arguments, in any order and from
-- everywhere: see fuzz/run.lua. A call may raise an error and have no other
-- effect, and the module must work afterwards. Random programs of coroutines
-- that are resumed, closed and dropped while they wait are in fuzz/resumed.lua;
-- fuzz/hooked.lua does this in finalizers and debug hooks.
--
-- The calls are few, and are repeated identically in each run; `make fuzz`
-- makes others, and more. Failures that were found are in regress/.

local names = require 'name_service'
local process = require 'process'
local random = require 'random_script'

describe('Random calls', function()
    after_each(process.cleanup)

    it('raise errors and leave the module as it was', function()
        if not names.available then
            return pending 'there is no name service of our own'
        end
        assert.matches('done', random('fuzz/run.lua', names.preload,
            os.getenv 'SOCKETLOOP_FUZZ_CALLS', 20000, 0.8))
    end)

    local clock = process.helper 'model.so'

    it('resume, close and drop coroutines that wait', function()
        if not clock then return pending 'there is no clock of our own' end
        assert.matches('done', random('fuzz/resumed.lua',
            process.preload(clock), os.getenv 'SOCKETLOOP_FUZZ_PROGRAMS', 5000,
            0.8))
    end)

    it('do so in finalizers and debug hooks', function()
        if not clock then return pending 'there is no clock of our own' end
        assert.matches('done', random('fuzz/hooked.lua',
            process.preload(clock), os.getenv 'SOCKETLOOP_FUZZ_PROGRAMS', 1000,
            0.8))
    end)
end)
