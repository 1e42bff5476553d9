-- Random programs, run by the module and by a simple model of its behaviour:
-- see model/program.lua and model/reference.lua. The programs are the same in
-- each run; `make fuzz` runs others, and more.

local process = require 'process'
local random = require 'random_script'

local clock = process.helper 'model.so'

describe('Random programs', function()
    after_each(process.cleanup)

    it('behave like the model', function()
        if not clock then return pending 'there is no clock of our own' end
        assert.matches('done', random('model/run.lua', process.preload(clock),
            os.getenv 'SOCKETLOOP_FUZZ_PROGRAMS', 2000, 0.7))
    end)
end)
