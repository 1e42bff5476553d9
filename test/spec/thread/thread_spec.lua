-- Threads: newthread, current, suspend, resume.

local loop = require 'socketloop'
local lists = require 'lists'
local places = require 'places'
local support = require 'support'

local run, pack, failure = support.run, support.pack, support.failure
local numbers, drain = lists.numbers, support.drain

-- What a suspended thread does around suspend() to be frozen on some Lua.
local inside = places.few {
    ['a coroutine of its own'] = places.passing['a standard coroutine'],
}

describe('newthread', function()
    support.hooks(before_each, after_each)

    it('returns a thread', function()
        assert.equal('thread', type(loop.newthread(function() end)))
    end)

    it('runs the handler at once', function()
        local ran = false
        loop.newthread(function() ran = true end)
        assert.is_true(ran)
    end)

    it('passes all the arguments', function()
        local got
        loop.newthread(function(...) got = pack(...) end, 1, nil, 'x', nil)
        assert.same({n = 4, 1, nil, 'x', nil}, got)
    end)

    it('passes no argument when there is none', function()
        local got
        loop.newthread(function(...) got = pack(...) end)
        assert.equal(0, got.n)
    end)

    it('passes two hundred arguments', function()
        local got
        loop.newthread(function(...) got = pack(...) end, numbers(200))
        assert.equal(200, got.n)
        assert.equal(200, got[200])
    end)

    it('returns exactly one value', function()
        local got = pack(loop.newthread(function() return 1, 2, 3 end))
        assert.equal(1, got.n)
    end)

    it('returns when the thread first waits', function()
        local log = {}
        loop.newthread(function()
            log[#log + 1] = 'started'
            loop.sleep(0)
            log[#log + 1] = 'woken'
        end)
        log[#log + 1] = 'returned'
        drain()
        assert.same({'started', 'returned', 'woken'}, log)
    end)

    it('returns when the thread suspends', function()
        local after = false
        local thread = loop.newthread(function()
            loop.suspend()
            after = true
        end)
        assert.is_false(after)
        loop.resume(thread)
        assert.is_true(after)
    end)

    it('returns the thread also when it has already ended', function()
        local thread = loop.newthread(function() end)
        assert.equal('dead', coroutine.status(thread))
    end)

    it('runs a thread started by a thread at once', function()
        local log = {}
        run(function()
            log[#log + 1] = 'outer'
            loop.newthread(function()
                log[#log + 1] = 'inner'
                loop.sleep(0)
                log[#log + 1] = 'inner woken'
            end)
            log[#log + 1] = 'outer again'
            loop.sleep(0)
            loop.sleep(0)
        end)
        assert.same({'outer', 'inner', 'outer again', 'inner woken'}, log)
    end)

    it('takes a C function as the handler', function()
        local thread = loop.newthread(loop.sleep, 0)
        assert.not_equal('dead', coroutine.status(thread))
        drain()
        assert.equal('dead', coroutine.status(thread))
    end)

    it('takes a C function that calls back as the handler', function()
        local done = false
        loop.newthread(pcall, function()
            loop.sleep(0)
            done = true
        end)
        assert.is_false(done)
        drain()
        assert.is_true(done)
    end)

    it('keeps a waiting thread alive that nobody else refers to', function()
        local done = false
        loop.newthread(function()
            loop.sleep(0.001)
            done = true
        end)
        support.collect()
        drain()
        assert.is_true(done)
    end)

    it('starts threads from a plain coroutine too', function()
        local log = {}
        local wrapped = coroutine.wrap(function()
            loop.newthread(function()
                log[#log + 1] = 'started'
                loop.sleep(0)
                log[#log + 1] = 'woken'
            end)
            log[#log + 1] = 'returned'
            coroutine.yield()
        end)
        wrapped()
        drain()
        assert.same({'started', 'returned', 'woken'}, log)
    end)

    it('goes on when the coroutine that started it is garbage', function()
        local done = false
        coroutine.wrap(function()
            loop.newthread(function()
                pcall(loop.sleep, 0)
                done = true
            end)
        end)()
        support.collect()
        drain()
        assert.is_true(done)
    end)

    it('raises an error before the first wait in its caller', function()
        local err = failure(loop.newthread, function() error 'boom' end)
        assert.matches('thread_spec%.lua:%d+: boom', err)
    end)

    it('adds the traceback of the thread to the message', function()
        local err = failure(loop.newthread, function()
            local function culprit() error 'boom' end
            culprit()
        end)
        assert.matches('boom\nstack traceback:\n', err)
        assert.matches('culprit', err)
    end)

    it('raises an error that is not a string as it is', function()
        local value = {}
        assert.equal(value, failure(loop.newthread, error, value))
        assert.equal(false, failure(loop.newthread, error, false))
        assert.is_true(support.has_no_value(
            failure(loop.newthread, error, nil)))
    end)

    it('leaves the thread that failed dead', function()
        local thread
        failure(loop.newthread, function()
            thread = loop.current()
            error 'boom'
        end)
        assert.equal('dead', coroutine.status(thread))
        assert.is_false(loop.step(0))
    end)

    it('raises in the thread that started it, which can go on', function()
        local err = run(function()
            local err = failure(loop.newthread, function() error 'boom' end)
            loop.sleep(0)
            return err
        end)
        assert.matches('boom', err)
    end)

    it('wants a function', function()
        for _, handler in ipairs {1, 'x', {}, true} do
            assert.matches('bad argument #1 .*function expected',
                           failure(loop.newthread, handler))
        end
        assert.matches('bad argument #1 .*function expected',
                       failure(loop.newthread))
        assert.matches("'newthread'", failure(function()
            loop.newthread(1)
        end))
    end)
end)

describe('current', function()
    support.hooks(before_each, after_each)

    it('is what coroutine.running gives in the main program', function()
        local thread, ismain = coroutine.running()
        local current, ismain_too = loop.current()
        assert.equal(thread, current)
        assert.equal(ismain, ismain_too)
    end)

    it('is what coroutine.running gives in a plain coroutine', function()
        coroutine.wrap(function()
            local thread, ismain = coroutine.running()
            local current, ismain_too = loop.current()
            assert.equal(thread, current)
            assert.equal(ismain or false, ismain_too or false)
        end)()
    end)

    it('is the running thread', function()
        local current, ismain
        local thread = loop.newthread(function()
            current, ismain = loop.current()
        end)
        assert.equal(thread, current)
        assert.is_falsy(ismain)
    end)

    it('is the same before and after a wait', function()
        local before, after = run(function()
            local before = loop.current()
            loop.sleep(0)
            return before, (loop.current())
        end)
        assert.equal(before, after)
    end)

    it('is the same before and after a wait inside a C function', function()
        local before, after = run(function()
            local before, after = loop.current()
            table.sort({1, 2}, function()
                loop.sleep(0)
                after = loop.current()
            end)
            return before, after
        end)
        assert.equal(before, after)
    end)

    it('is the loop thread inside a nested coroutine', function()
        local outer, inner, later = run(function()
            local inner, later
            coroutine.wrap(function()
                coroutine.wrap(function()
                    inner = loop.current()
                    loop.sleep(0)
                    later = loop.current()
                end)()
            end)()
            return loop.current(), inner, later
        end)
        assert.equal(outer, inner)
        assert.equal(outer, later)
    end)

    it('is the starter again when a started thread waits', function()
        run(function()
            local starter = loop.current()
            local other
            local started = loop.newthread(function()
                other = loop.current()
                loop.sleep(0)
            end)
            assert.equal(started, other)
            assert.equal(starter, (loop.current()))
            loop.sleep(0)
        end)
    end)

    it('is the starter again when a started thread fails', function()
        run(function()
            local starter = loop.current()
            pcall(loop.newthread, error)
            assert.equal(starter, (loop.current()))
        end)
    end)

    it('is the main program again after a step', function()
        loop.newthread(loop.sleep, 0)
        drain()
        assert.equal((coroutine.running()), (loop.current()))
    end)
end)

describe('suspend and resume', function()
    support.hooks(before_each, after_each)

    local function suspended(keep)
        return loop.newthread(function()
            repeat
                keep[#keep + 1] = pack(loop.suspend())
            until keep.stop
        end)
    end

    -- How many values a stack has room for differs; what is too much must be
    -- an error in one of the two, and no more than that.
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

    it('drop what suspend is given', function()
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
        -- Each is resumed by the one before it only after that has waited,
        -- so the chain is long but not deep.
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
        assert.matches('thread_spec%.lua:%d+: boom',
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

describe('a plain coroutine outside the loop\'s threads', function()
    support.hooks(before_each, after_each)

    it('may sleep: its resumer goes on, the loop wakes it', function()
        local log = {}
        local co = coroutine.create(function()
            log[#log + 1] = 'started'
            loop.sleep(0.001)
            log[#log + 1] = 'woken'
        end)
        assert.is_true((coroutine.resume(co)))
        log[#log + 1] = 'resumed'
        support.collect()
        drain()
        assert.same({'started', 'resumed', 'woken'}, log)
        assert.equal('dead', coroutine.status(co))
    end)

    it('may do I/O', function()
        local client, server = support.mixed()
        local got
        coroutine.wrap(function() got = pack(client:receive()) end)()
        assert.is_nil(got)
        server:send 'hello\n'
        drain()
        assert.equal('hello', got[1])
        client:close()
        server:close()
    end)

    it('may wait again and again', function()
        local turns = 0
        coroutine.wrap(function()
            for _ = 1, 20 do
                loop.sleep(0)
                turns = turns + 1
            end
        end)()
        drain()
        assert.equal(20, turns)
    end)

    it('may wait inside C functions once the loop has woken it', function()
        local done
        coroutine.wrap(function()
            loop.sleep(0)
            table.sort({1, 2}, function() loop.sleep(0) end)
            done = true
        end)()
        drain()
        assert.is_true(done)
    end)

    it('either waits inside a C function or is told why not', function()
        -- Its C stack is the main program's, and only 5.2 and later and
        -- LuaJIT can do without it, in some functions.
        for name, around in pairs(inside) do
            local ended, err
            coroutine.wrap(function()
                local ok
                ok, err = pcall(around, function() loop.sleep(0) end)
                ended = true
                if ok then err = nil end
            end)()
            drain()
            assert.is_true(ended, name)
            if err then assert.equal('string', type(err), name) end
        end
    end)

    it('may be garbage after its wait', function()
        local list = setmetatable({}, {__mode = 'v'})
        list[1] = coroutine.create(function() loop.sleep(0) end)
        coroutine.resume(list[1])
        drain()
        support.collect()
        assert.is_nil(list[1])
    end)

    it('may fail after its wait, and the error leaves step', function()
        coroutine.wrap(function()
            loop.sleep(0)
            error 'boom'
        end)()
        local ok, err = pcall(drain)
        assert.is_false(ok)
        assert.matches('boom', err)
        drain()
    end)
end)
