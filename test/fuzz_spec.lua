-- Random calls of everything with anything, in any order and from everywhere:
-- see fuzz/run.lua. Whatever it is, it may do no more than raise an error, and
-- the module must work afterwards.
--
-- The same calls each time, and few of them; `make fuzz` makes more. What was
-- found so is told in regress/.

local names = require 'names'
local process = require 'process'

local quote = process.quote

local seed = os.getenv 'SOCKETLOOP_FUZZ_SEED' or '1'
local calls = os.getenv 'SOCKETLOOP_FUZZ_CALLS'

local script = (os.getenv 'LUA_PATH' or ''):match '([^;]*/test)/%?%.lua'

describe('Random calls', function()
    local limit = process.limit
    after_each(function()
        process.limit = limit
        process.cleanup()
    end)

    it('raise errors and leave the module as it was', function()
        if not (names.available and script) then
            return pending 'there is no name service of our own'
        end
        local folder = process.tempdir()
        process.limit = calls and 3600 or 100
        local status, output = process.run(('%s; cd %s; exec %s %s %s %s %s %s')
            :format(names.preload, quote(folder), quote(process.interpreter),
                    quote(script .. '/fuzz/run.lua'), quote(seed),
                    quote(calls or 20000), calls and 1e9 or 0.8,
                    quote(folder)))
        if status ~= 0 then
            error(('status %d: make fuzz SEED=%s\n%s'):format(status, seed,
                  output:sub(-10000)), 0)
        end
        assert.matches('done', output)
    end)
end)
