-- Memory allocations that fail, each of them once. host/memory.c makes them
-- fail; host/memory.lua has the scenes.
--
-- Each Lua and each poller tries different allocations; all are tried if
-- SOCKETLOOP_TEST_ALL is in the environment (make memory). A failure is
-- repeated alone by `memory KIND WIDTH 0 test/host/memory.lua PART N` with the
-- numbers from the message.

local loop = require 'socketloop'
local process = require 'process'

local all = os.getenv 'SOCKETLOOP_TEST_ALL'

local host = process.folder and process.helper 'memory'

local seed = 0
for byte in (process.interpreter .. loop.poller):gmatch '.' do
    seed = seed + byte:byte()
end

local function survives(name, kind, width, number)
    it(name, function()
        if not host then
            return pending 'the host is for Linux only'
        end
        process.limit = all and 3600 or 60
        local status, output = process.run(
            ('%s %s %d %d:%d %s/host/memory.lua'):format(host, kind, width,
                all and 0 or number, seed + width, process.folder))
        process.limit = 60
        if status ~= 0 then error(output, 0) end
        assert.matches('requests\n$', output)
    end)
end

describe('Without memory', function()
    after_each(process.cleanup)

    for _, kind in ipairs {'lua', 'system'} do
        local whose = kind == 'lua' and 'Lua\'s' or 'our'
        survives('for one of ' .. whose .. ' requests all goes on', kind, 1, 4)
        survives('for two of ' .. whose .. ' requests all goes on', kind, 2, 2)
        survives('for ' .. whose .. ' requests, until there is, all goes on',
                 kind, 0, 2)
    end
end)
