-- Random programs, run in the module and by a simple model of what it has to
-- do: see model/program.lua and model/reference.lua. The same ones each time;
-- `make fuzz` takes others, and more of them.

local names = require 'names'
local process = require 'process'

local quote = process.quote

local seed = os.getenv 'SOCKETLOOP_FUZZ_SEED' or '1'
local count = os.getenv 'SOCKETLOOP_FUZZ_PROGRAMS'

local script = (os.getenv 'LUA_PATH' or ''):match '([^;]*/test)/%?%.lua'

describe('Random programs', function()
    local limit = process.limit
    after_each(function()
        process.limit = limit
        process.cleanup()
    end)

    it('do what the model does', function()
        if not (names.clock and script) then
            return pending 'there is no clock of our own'
        end
        process.limit = count and 3600 or 100
        local status, output = process.run(('%s; exec %s %s %s %s %s %s')
            :format(names.clock, quote(process.interpreter),
                    quote(script .. '/model/run.lua'), quote(seed),
                    quote(count or 2000), count and 1e9 or 0.7,
                    quote(process.tempdir())))
        if status ~= 0 then
            error(('status %d\n%s'):format(status, output:sub(-10000)), 0)
        end
        assert.matches('done', output)
    end)
end)
