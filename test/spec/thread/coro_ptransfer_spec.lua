-- coro.ptransfer, and the end of a thread that was entered by a transfer.

local coro = require 'coro'
local lists = require 'value_lists'
local places = require 'places'
local support = require 'support'

local pack, unpack, failure = support.pack, support.unpack, support.failure
local count = support.count
local passes_all, inside = lists.passes_all, places.passing

-- Specs run in the main program's thread.
local main = coro.running()

describe('A thread entered by transfer', function()
    support.ends_in_main(after_each)

    local text = 'coroutine ended without transferring control'

    it('must end by transferring', function()
        assert.matches(text, failure(coro.transfer,
                                     coro.create(function() end)))
    end)

    it('must not end with values either', function()
        assert.matches(text, failure(coro.transfer,
                                     coro.create(function() return 1, 2 end)))
    end)

    it('must end by transferring: raised in main, not half way', function()
        local reached = false
        local thread = coro.create(function()
            pcall(coro.transfer, coro.create(function() end))
            reached = true
        end)
        assert.matches(text, failure(coro.transfer, thread))
        assert.is_false(reached)
        assert.equal('suspended', coro.status(thread))
    end)

    it('must end by transferring: ptransfer returns it', function()
        local ok, err = coro.ptransfer(coro.create(function() end))
        assert.is_false(ok)
        assert.matches(text, err)
    end)

    it('must end by transferring also after a time', function()
        local thread = coro.create(function() coro.transfer(main) end)
        coro.transfer(thread)
        assert.matches(text, failure(coro.transfer, thread))
    end)

    it('must end by transferring also inside C functions', function()
        for _, around in pairs(inside) do
            local thread = coro.create(function()
                around(function() coro.transfer(main) end)
            end)
            coro.transfer(thread)
            assert.matches(text, failure(coro.transfer, thread))
        end
    end)

    it('is dead after it has ended so', function()
        local thread = coro.create(function() end)
        failure(coro.transfer, thread)
        assert.equal('dead', coro.status(thread))
    end)

    it('may be resumed later, and then returns to its resumer', function()
        local thread = coro.create(function()
            return coro.transfer(main)
        end)
        coro.transfer(thread)
        assert.same(pack(true, 1, nil), pack(coro.resume(thread, 1, nil)))
        assert.equal('dead', coro.status(thread))
    end)

    it('may be resumed later, and then yields to its resumer', function()
        local thread = coro.create(function()
            coro.transfer(main)
            coro.yield 'yielded'
        end)
        coro.transfer(thread)
        assert.same(pack(true, 'yielded'), pack(coro.resume(thread)))
        assert.same(pack(true), pack(coro.resume(thread)))
    end)
end)

describe('An error in a thread entered by transfer', function()
    support.ends_in_main(after_each)

    it('is raised in the main program', function()
        local function culprit() error 'boom' end
        local err = failure(coro.transfer, coro.create(function()
            culprit()
        end))
        assert.matches('^[^\n]*_spec%.lua:%d+: boom\n', err)
        assert.matches('culprit', err)
        assert.equal(1, count(err, 'boom'))
        assert.equal(1, count(err, 'stack traceback:'))
    end)

    it('is raised as it is when it is no string', function()
        for _, value in ipairs {{}, true, false, print, main} do
            assert.equal(value, failure(coro.transfer, coro.create(error),
                                        value))
        end
        assert.is_true(support.has_no_value(
            failure(coro.transfer, coro.create(error), nil)))
    end)

    it('is raised in main, not in the thread left', function()
        local reached = false
        local thread = coro.create(function()
            pcall(coro.transfer, coro.create(function() error 'boom' end))
            reached = true
        end)
        assert.matches('boom', failure(coro.transfer, thread))
        assert.is_false(reached)
        assert.equal('suspended', coro.status(thread))
    end)

    it('leaves its caller suspended, to be continued', function()
        local thread = coro.create(function()
            local value = coro.transfer(coro.create(error), {})
            coro.transfer(main, value)
        end)
        failure(coro.transfer, thread)
        assert.equal('again', coro.transfer(thread, 'again'))
    end)

    it('ends the resume in which the main program is', function()
        local thread = coro.create(function()
            coro.transfer(coro.create(function() error('boom', 0) end))
        end)
        local ok, err, traceback = coro.resume(thread)
        assert.is_false(ok)
        assert.equal('boom', err)
        assert.matches('^stack traceback:', traceback)
        assert.equal('suspended', coro.status(thread))
    end)

    it('can be caught in the main program again and again', function()
        for _ = 1, 100 do
            local value = {}
            assert.equal(value, failure(coro.transfer, coro.create(error),
                                        value))
        end
    end)

    it('leaves the thread dead', function()
        local thread = coro.create(error)
        failure(coro.transfer, thread, {})
        assert.equal('dead', coro.status(thread))
    end)
end)

describe('coro.ptransfer', function()
    support.ends_in_main(after_each)

    it('returns true and the values passed back', function()
        passes_all(function(...)
            local results = pack(coro.ptransfer(coro.create(function(...)
                coro.transfer(main, ...)
            end), ...))
            assert.is_true(results[1])
            return pack(unpack(results, 2, results.n))
        end)
    end)

    it('returns true and the values passed back, in a thread', function()
        local results
        local thread = coro.create(function()
            local me = coro.running()
            results = pack(coro.ptransfer(coro.create(function(...)
                coro.transfer(me, ...)
            end), 1, nil))
            coro.transfer(main)
        end)
        coro.transfer(thread)
        assert.same(pack(true, 1, nil), results)
    end)

    it('passes values to a thread that waits in transfer', function()
        local got
        local thread = coro.create(function()
            got = pack(coro.transfer(main))
            coro.ptransfer(main, 1, nil)
        end)
        coro.transfer(thread)
        assert.same(pack(1, nil), pack(coro.transfer(thread, 'x', nil)))
        assert.same(pack('x', nil), got)
    end)

    it('returns false, an error and a traceback', function()
        local function culprit() error 'boom' end
        local results = pack(coro.ptransfer(coro.create(function()
            culprit()
        end)))
        assert.equal(3, results.n)
        assert.is_false(results[1])
        assert.matches('_spec%.lua:%d+: boom$', results[2])
        assert.matches('^stack traceback:\n', results[3])
        assert.matches('culprit', results[3])
    end)

    it('returns errors that are no strings as they are', function()
        for _, value in ipairs {{}, true, false, print, main} do
            local ok, err = coro.ptransfer(coro.create(error), value)
            assert.is_false(ok)
            assert.equal(value, err)
        end
    end)

    it('returns nil as an error', function()
        local ok, err, traceback = coro.ptransfer(coro.create(error), nil)
        assert.is_false(ok)
        assert.is_true(support.has_no_value(err))
        assert.matches('^stack traceback:', traceback)
    end)

    it('returns the error of a thread further on', function()
        local reached = false
        local ok, err, traceback = coro.ptransfer(coro.create(function()
            pcall(coro.transfer, coro.create(function()
                error 'boom'
            end))
            reached = true
        end))
        assert.is_false(ok)
        assert.matches('boom', err)
        assert.matches('^stack traceback:', traceback)
        assert.is_false(reached)
    end)

    it('refuses the running thread and dead ones', function()
        local function refusal(thread)
            local results = pack(pcall(coro.ptransfer, thread))
            if results[1] then table.remove(results, 1) end
            assert.is_false(results[1])
            return results[2]
        end
        local dead = coro.create(function() end)
        coro.resume(dead)
        assert.matches('cannot resume dead coroutine', refusal(dead))
        assert.matches('trying to transfer to the running thread',
                       refusal(main))
    end)
end)
