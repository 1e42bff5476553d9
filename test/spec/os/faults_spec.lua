-- System calls that fail: temporary failures go unnoticed, others end
-- conversations with an error, and no byte is ever wrong. preload/faults.c
-- makes the calls fail; preload/faults.lua has the conversations.

local process = require 'process'
local faulty = require 'faulty'

describe('With system calls that fail', function()
    if not faulty.available then
        pending 'the library faults.so is for Linux only'
        return
    end
    after_each(process.cleanup)

    local function talk(settings, conversations, ...)
        conversations = faulty.some(conversations)
        local output, counts = faulty.file(settings, 'faults.lua',
            conversations, math.min(200, conversations), ...)
        local complete, broken = output:match '(%d+) complete, (%d+) broken'
        assert(complete, output)
        assert.equal(conversations, complete + broken)
        return tonumber(complete), counts
    end

    local temporary = 'interrupt=100 again=100 short=200 accept=20'

    it('for now, a thousand conversations are complete', function()
        local complete, counts = talk(temporary, 1000)
        assert.equal(faulty.some(1000), complete)
        for _, kind in ipairs {'interrupt', 'again', 'short'} do
            assert.is_true(counts[kind] > 0, kind)
        end
        -- Out of a hundred accepts at times none fails.
        assert.is_true(counts.accept > 0 or complete < 1000)
    end)

    it('for now, accept goes on', function()
        local settings = 'interrupt=300 again=300 accept=300'
        assert.equal(faulty.some(300), (talk(settings, 300, 'accept')))
    end)

    it('nearly always, they are complete', function()
        local settings = 'interrupt=500 again=500 short=900 accept=20'
        assert.equal(faulty.some(100), (talk(settings, 100)))
    end)

    it('for good, they are complete or end with an error', function()
        local complete, counts = talk(temporary .. ' reset=10', 400,
                                      'may-fail')
        assert.is_true(counts.reset > 0)
        assert.is_true(complete < faulty.some(400))
    end)

    it('at every connection, each ends with an error', function()
        assert.equal(0, (talk('reset=1000', 100, 'may-fail')))
    end)
end)
