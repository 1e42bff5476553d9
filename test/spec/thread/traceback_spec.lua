-- Tracebacks, when the program has replaced debug.traceback.

local loop = require 'socketloop'
local coro = require 'coro'
local support = require 'support'

describe('a traceback', function()
    support.hooks(before_each, after_each)

    local original = debug.traceback

    after_each(function()
        debug.traceback = original    -- luacheck: ignore
        loop.onerror = nil
    end)

    for name, replacement in pairs {
        ['raises an error'] = function() error 'worse' end,
        ['raises a table'] = function() error {} end,
        ['gives no string'] = function() return {} end,
        ['gives nothing'] = function() end,
        ['waits'] = function() loop.sleep(0) end,
    } do
        it('is one when debug.traceback ' .. name, function()
            local errors, traceback = {}, nil
            loop.newthread(function()
                loop.sleep(0)
                error 'boom'
            end)
            loop.onerror = function(_, err, trace)
                errors[1], traceback = err, trace
            end
            debug.traceback = replacement    -- luacheck: ignore
            local ok = pcall(loop.start)
            local _, err = pcall(loop.newthread, function() error 'boom' end)
            local resumed = support.pack(coro.resume(coro.create(function()
                error('x', 0)
            end)))
            local dead = support.pack(coro.resume((coro.wrap(coro.running)())))
            debug.traceback = original    -- luacheck: ignore
            assert.is_true(ok)
            assert.matches(': boom$', errors[1])
            assert.matches('^stack traceback:\n.*traceback_spec', traceback)
            assert.matches(': boom\nstack traceback:\n.*traceback_spec', err)
            assert.equal('x', resumed[2])
            assert.matches('^stack traceback:\n', resumed[3])
            assert.matches('^stack traceback:\n.*traceback_spec', dead[3])
        end)
    end

    it('of a deep stack has its two ends', function()
        local function deeper(n)
            if n == 0 then error 'boom' end
            return 1 + deeper(n - 1)
        end
        for _, n in ipairs {1, 10, 40, 100} do
            local function outermost() return 1 + deeper(n) end
            local thread = coro.create(function() return 1 + outermost() end)
            local _, _, traceback = coro.resume(thread)
            assert.matches("'error'", traceback)
            assert.matches('outermost', traceback)
            assert.equal(n > 20 and 1 or 0,
                         support.count(traceback, '\n\t%.%.%.'))
        end
    end)
end)
