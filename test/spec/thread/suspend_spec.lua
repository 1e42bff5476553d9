-- suspend and resume.

local loop = require 'socketloop'
local lists = require 'value_lists'
local places = require 'places'
local support = require 'support'

local run, pack, failure = support.run, support.pack, support.failure
local numbers, drain = lists.numbers, support.drain

-- Places around suspend() in which a suspended thread is frozen on some Lua.
local inside = places.few {
    ['a coroutine of its own'] = places.passing['a standard coroutine'],
}

describe('suspend and resume', function()
    support.hooks(before_each, after_each)

    local function suspended(keep)
        return loop.newthread(function()
            repeat
                keep[#keep + 1] = pack(loop.suspend())
            until keep.stop
        end)
    end

    -- The room on a stack differs between Luas. Too many values must raise an
    -- error in one of the two threads and have no other effect.
    it('pass no more values than there is room for', function()
        local sizes = {100, 7000, 30000, 600000}
        local full
        local values = {}
        for i = 1, 600000 do values[i] = i end
        for _, kept in ipairs(sizes) do
            for _, passed in ipairs(sizes) do
                local function body(...)
                    local n = select('#', loop.suspend())
                    return n + select('#', ...)
                end
                local ok, err = pcall(function()
                    local t = loop.newthread(body,
                        support.unpack(values, 1, kept))
                    loop.resume(t, support.unpack(values, 1, passed))
                end)
                if not ok then
                    full = true
                    assert.matches('too many', (tostring(err):gsub(
                        'stack overflow', 'too many')))
                end
            end
        end
        assert.is_true(full)
        support.collect()
    end)

    it('pass no value', function()
        local got = {}
        loop.resume(suspended(got))
        assert.same({n = 0}, got[1])
    end)

    it('pass any number of values, nil among them', function()
        local got = {}
        local thread = suspended(got)
        loop.resume(thread, nil)
        loop.resume(thread, 1, nil, 'x', nil, nil)
        loop.resume(thread, numbers(200))
        assert.same({n = 1}, got[1])
        assert.same({n = 5, 1, nil, 'x'}, got[2])
        assert.same(pack(numbers(200)), got[3])
    end)

    it('pass more values than fit on a small stack', function()
        for name, around in pairs(inside) do
            local got
            local thread = loop.newthread(function()
                around(function() got = pack(loop.suspend()) end)
            end)
            loop.resume(thread, numbers(5000))
            assert.equal(5000, got.n, name)
            assert.equal(5000, got[5000], name)
        end
    end)

    for name, around in pairs(inside) do
        it('pass values inside ' .. name, function()
            local got
            local thread = loop.newthread(function()
                around(function() got = pack(loop.suspend()) end)
            end)
            assert.is_nil(got)
            support.collect()
            loop.resume(thread, 1, nil, 3, nil)
            assert.same({n = 4, 1, nil, 3}, got)
        end)
    end

    it('drop the arguments of suspend', function()
        local thread = loop.newthread(function() loop.suspend(1, 2, 3) end)
        assert.equal(0, pack(loop.resume(thread)).n)
    end)

    it('resume returns nothing when the thread ends', function()
        local thread = loop.newthread(function()
            loop.suspend()
            return 1, 2, 3
        end)
        assert.equal(0, pack(loop.resume(thread)).n)
    end)

    it('resume returns when the thread waits', function()
        local log = {}
        local thread = loop.newthread(function()
            loop.suspend()
            loop.sleep(0)
            log[#log + 1] = 'woken'
        end)
        loop.resume(thread)
        log[#log + 1] = 'returned'
        drain()
        assert.same({'returned', 'woken'}, log)
    end)

    it('work from thread to thread', function()
        local log = {}
        run(function()
            local me = loop.current()
            local other = loop.newthread(function()
                log[#log + 1] = loop.suspend()
                log[#log + 1] = loop.suspend()
                loop.sleep(0)
                loop.resume(me, 'done')
            end)
            loop.resume(other, 'one')
            loop.resume(other, 'two')
            log[#log + 1] = loop.suspend()
        end)
        assert.same({'one', 'two', 'done'}, log)
    end)

    it('work through a chain of two hundred threads', function()
        -- Each thread is resumed by the one before it, after that one has
        -- waited; so the chain is long, but not nested.
        local threads, last = {}, nil
        for i = 1, 200 do
            threads[i] = loop.newthread(function()
                local value = loop.suspend()
                loop.sleep(0)
                if i < 200 then loop.resume(threads[i + 1], value + 1)
                else last = value end
            end)
        end
        loop.resume(threads[1], 1)
        drain()
        assert.equal(200, last)
    end)

    it('work a thousand times', function()
        local sum = 0
        local thread = loop.newthread(function()
            while true do sum = sum + loop.suspend() end
        end)
        for i = 1, 1000 do loop.resume(thread, i) end
        assert.equal(500500, sum)
    end)

    it('work from a plain coroutine', function()
        local got = {}
        local thread = suspended(got)
        coroutine.wrap(function() loop.resume(thread, 'x') end)()
        assert.equal('x', got[1][1])
    end)

    it('suspend inside a nested coroutine suspends the thread', function()
        local got
        local thread = loop.newthread(function()
            got = coroutine.wrap(function()
                return 'value: ' .. loop.suspend()
            end)()
        end)
        loop.resume(thread, 'x')
        assert.equal('value: x', got)
    end)

    it('coroutine.yield in a thread suspends it', function()
        local got
        local thread = loop.newthread(function()
            got = pack(coroutine.yield('dropped'))
        end)
        assert.is_nil(got)
        assert.is_false(loop.step(0))
        loop.resume(thread, 1, nil)
        assert.same({n = 2, 1}, got)
    end)

    it('a suspended thread does not keep the loop alive', function()
        local thread = loop.newthread(loop.suspend)
        assert.is_false(loop.step(5))
        loop.start()
        loop.resume(thread)
        assert.equal('dead', coroutine.status(thread))
    end)

    it('resume raises the error of the thread', function()
        local thread = loop.newthread(function()
            loop.suspend()
            error 'boom'
        end)
        assert.matches('_spec%.lua:%d+: boom',
                       failure(loop.resume, thread))
        assert.equal('dead', coroutine.status(thread))
    end)

    it('resume raises an error that is not a string as it is', function()
        local value = setmetatable({}, {__tostring = function() return 'x' end})
        local thread = loop.newthread(function()
            loop.suspend()
            error(value)
        end)
        assert.equal(value, failure(loop.resume, thread))
    end)

    it('resume raises the error of a thread frozen in a C function', function()
        for _, around in pairs(inside) do
            local value = {}
            local thread = loop.newthread(function()
                around(function() loop.suspend() end)
                table.sort({1, 2}, function()
                    loop.suspend()
                    error(value)
                end)
            end)
            loop.resume(thread)
            assert.equal(value, failure(loop.resume, thread))
        end
    end)

    it('resume refuses a dead thread', function()
        local thread = loop.newthread(function() end)
        assert.matches('cannot resume dead', failure(loop.resume, thread))
    end)

    it('resume refuses a thread that has failed', function()
        local thread = loop.newthread(function()
            loop.suspend()
            error 'boom'
        end)
        failure(loop.resume, thread)
        assert.matches('cannot resume dead', failure(loop.resume, thread))
    end)

    it('resume refuses the running thread', function()
        local err = run(function()
            return failure(loop.resume, (loop.current()))
        end)
        assert.matches('running', err)
    end)

    it('resume refuses the running thread in a nested coroutine', function()
        local err = run(function()
            local me = loop.current()
            return coroutine.wrap(function()
                return failure(loop.resume, me)
            end)()
        end)
        assert.matches('resume', err)
    end)

    it('resume refuses the thread that resumed the caller', function()
        local err
        run(function()
            local me = loop.current()
            loop.newthread(function() err = failure(loop.resume, me) end)
            loop.sleep(0)
        end)
        assert.matches('resume', err)
    end)

    it('resume refuses a sleeping thread, which sleeps on', function()
        local woken
        local thread = loop.newthread(function()
            woken = pack(loop.sleep(0.005))
        end)
        assert.matches('waits', failure(loop.resume, thread, 'x'))
        drain()
        assert.equal(0, woken.n)
    end)

    it('resume refuses a thread frozen in a sleep', function()
        local thread = loop.newthread(function()
            table.sort({1, 2}, function() loop.sleep(0.005) return false end)
        end)
        assert.matches('waits', failure(loop.resume, thread))
        drain()
        assert.equal('dead', coroutine.status(thread))
    end)

    it('resume refuses a thread that waits for I/O', function()
        local listener = loop.tcp('127.0.0.1', 0)
        listener:listen()
        local got
        local thread = loop.newthread(function()
            got = pack(listener:accept())
        end)
        assert.matches('waits', failure(loop.resume, thread, 'x'))
        assert.is_nil(got)
        listener:close()
        drain()
        assert.same({nil, 'closed'}, {got[1], got[2]})
    end)

    it('resume wants a thread', function()
        for _, value in ipairs {1, 'x', {}, true, print} do
            assert.matches('bad argument #1 .*expected',
                           failure(loop.resume, value))
        end
        assert.matches('bad argument #1 .*expected', failure(loop.resume))
    end)

    it('suspend raises in the main program', function()
        local err = failure(function() loop.suspend() end)
        assert.matches('suspend', err)
        assert.matches('must be called from a loop thread', err)
        assert.matches('newthread', err)
    end)

    it('sleep raises in the main program', function()
        local err = failure(function() loop.sleep(0) end)
        assert.matches('sleep', err)
        assert.matches('must be called from a loop thread', err)
        assert.is_false(loop.step(0))
    end)

    it('accept raises in the main program', function()
        local listener = loop.tcp('127.0.0.1', 0)
        listener:listen()
        local err = failure(function() listener:accept() end)
        listener:close()
        assert.matches('must be called from a loop thread', err)
        assert.matches('accept', err)
    end)
end)
