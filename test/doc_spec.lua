-- The examples in the documentation run as they stand.

local process = require 'process'

local function read(name)
    local file = assert(io.open(name))
    local text = file:read '*a'
    file:close()
    return text
end

describe('the documentation', function()
    after_each(process.cleanup)

    for _, name in ipairs {'README.md', 'doc/reference.md'} do
        local count = 0
        for code in read(name):gmatch '\n```lua\n(.-)\n```' do
            count = count + 1
            it(('runs: %s, example %d'):format(name, count), function()
                local status, output = process.lua(code)
                assert.equal(0, status, output)
                for expected in code:gmatch '%-%-> (%w+)' do
                    assert.matches(expected, output)
                end
            end)
        end
        assert(count > 0, name .. ' has no example')
    end
end)
