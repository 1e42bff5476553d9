-- Requests for memory that fail, each of them once: see memory.c, which does
-- it, and memory.lua, what it does it to.
--
-- Not every request is tried, unless SOCKETLOOP_TEST_ALL is in the
-- environment (make memory). What failed is run alone by
-- `memory KIND WIDTH 0 test/host/memory.lua PART N` with these numbers from the
-- message.

local process = require 'process'

local runs = os.getenv 'SOCKETLOOP_TEST_ALL' and 0 or 4

local host = process.folder and process.helper 'memory'

local function survives(name, kind, width, number)
    it(name, function()
        if not host then
            return pending 'the host is for Linux only'
        end
        process.limit = number == 0 and 3600 or 60
        local status, output = process.run(('%s %s %d %d %s/host/memory.lua')
            :format(host, kind, width, number, process.folder))
        process.limit = 60
        if status ~= 0 then error(output, 0) end
        assert.matches('requests\n$', output)
    end)
end

describe('Without memory', function()
    after_each(process.cleanup)

    for _, kind in ipairs {'lua', 'system'} do
        local whose = kind == 'lua' and 'Lua\'s' or 'our'
        survives('for one of ' .. whose .. ' requests all goes on', kind, 1,
                 runs)
        survives('for two of ' .. whose .. ' requests all goes on', kind, 2,
                 runs)
        survives('for ' .. whose .. ' requests, until there is, all goes on',
                 kind, 0, runs)
    end
end)
