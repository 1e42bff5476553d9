-- Errors in threads that coro.resume runs.

local coro = require 'coro'
local places = require 'places'
local support = require 'support'

local pack, failure = support.pack, support.failure
local count = support.count
local inside = places.passing

-- Specs run in the main program's thread.
local main = coro.running()

describe('An error in a resumed thread', function()
    support.ends_in_main(after_each)

    it('is returned with a traceback', function()
        local function culprit() error 'boom' end
        local results = pack(coro.resume(coro.create(function()
            culprit()
        end)))
        assert.equal(3, results.n)
        assert.is_false(results[1])
        assert.matches('_spec%.lua:%d+: boom$', results[2])
        assert.matches('^stack traceback:\n', results[3])
        assert.matches('culprit', results[3])
    end)

    it('is returned as it is when it is no string', function()
        for _, value in ipairs {{}, true, false, print, main} do
            local ok, err, traceback = coro.resume(coro.create(error), value)
            assert.is_false(ok)
            assert.equal(value, err)
            assert.matches('^stack traceback:', traceback)
        end
        local results = pack(coro.resume(coro.create(error), nil))
        assert.equal(3, results.n)
        assert.is_false(results[1])
        assert.is_true(support.has_no_value(results[2]))
    end)

    it('is returned after it has yielded', function()
        local thread = coro.create(function()
            coro.yield()
            error('boom', 0)
        end)
        assert.is_true((coro.resume(thread)))
        local ok, err = coro.resume(thread)
        assert.is_false(ok)
        assert.equal('boom', err)
        assert.equal('dead', coro.status(thread))
    end)

    for name, around in pairs(inside) do
        it('is returned when it was raised inside ' .. name, function()
            local value = {}
            local thread = coro.create(function()
                around(function()
                    coro.yield()
                    error(value)
                end)
            end)
            assert.is_true((coro.resume(thread)))
            local ok, err, traceback = coro.resume(thread)
            assert.is_false(ok)
            assert.equal(value, err)
            assert.matches('^stack traceback:', traceback)
            assert.equal('dead', coro.status(thread))
        end)
    end

    it('raised by Lua itself is returned', function()
        local ok, err, traceback = coro.resume(coro.create(function()
            local nothing = nil
            return nothing.field
        end))
        assert.is_false(ok)
        assert.matches('attempt to index', err)
        assert.matches('^stack traceback:', traceback)
    end)

    it('from a stack overflow is returned', function()
        local ok, err = coro.resume(coro.create(function()
            local function deeper() return 1 + deeper() end
            deeper()
        end))
        assert.is_false(ok)
        assert.matches('stack overflow', err)
    end)

    it('goes to the resumer only, which can go on', function()
        local log = {}
        local outer = coro.create(function()
            local ok, err = coro.resume(coro.create(function()
                error('boom', 0)
            end))
            log[#log + 1] = tostring(ok) .. ' ' .. err
            coro.yield()
            log[#log + 1] = 'end'
        end)
        assert.is_true((coro.resume(outer)))
        assert.is_true((coro.resume(outer)))
        assert.same({'false boom', 'end'}, log)
    end)

    it('has the traceback of all its resumers', function()
        local traceback
        local function innermost_function() error 'boom' end
        local function middle_function()
            local _
            _, _, traceback = coro.resume(coro.create(function()
                innermost_function()
            end))
        end
        local function outer_function()
            assert.is_true((coro.resume(coro.create(function()
                middle_function()
            end))))
        end
        assert.is_true((coro.resume(coro.create(function()
            outer_function()
        end))))
        assert.matches('innermost_function.*middle_function.*outer_function',
                       traceback)
    end)

    it('is raised by wrap with the traceback of the chain', function()
        local function innermost_function() error 'boom' end
        local function outer_function()
            coro.wrap(function() innermost_function() end)()
        end
        local err = failure(coro.wrap(function() outer_function() end))
        assert.matches('^[^\n]*_spec%.lua:%d+: boom\n' ..
                       'stack traceback:\n', err)
        assert.matches('innermost_function.*outer_function', err)
        assert.equal(1, count(err, 'boom'))
        assert.equal(1, count(err, 'stack traceback:'))
    end)

    it('that passes wrap and resume has one traceback', function()
        local ok, err, traceback = coro.resume(coro.create(function()
            coro.wrap(function() error('boom', 0) end)()
        end))
        assert.is_false(ok)
        assert.matches('^boom', err)
        assert.equal(1, count(err .. '\n' .. traceback, 'boom'))
        assert.is_true(count(err, 'stack traceback:') <= 1)
        assert.equal(1, count(traceback, 'stack traceback:'))
    end)

    it('is returned to the resumer also after transfers', function()
        local ok, err
        local thread = coro.create(function()
            coro.transfer(main, 'suspended')
            error('boom', 0)
        end)
        local outer = coro.create(function()
            ok, err = coro.resume(thread)
            coro.transfer(main, 'outer')
        end)
        assert.equal('suspended', coro.transfer(outer))
        assert.equal('outer', coro.transfer(thread))
        assert.is_false(ok)
        assert.equal('boom', err)
    end)

    it('can be caught in the thread across transfers', function()
        local ok, err
        local thread = coro.create(function()
            ok, err = pcall(function()
                coro.yield()
                error('boom', 0)
            end)
            return 'fine'
        end)
        coro.resume(thread)
        assert.same(pack(true, 'fine'), pack(coro.resume(thread)))
        assert.is_false(ok)
        assert.equal('boom', err)
    end)
end)
