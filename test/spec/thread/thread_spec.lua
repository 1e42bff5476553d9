-- Threads: newthread, current, and coroutines that the loop did not start.

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

    it('keeps a waiting thread alive without references', function()
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
        assert.matches('_spec%.lua:%d+: boom', err)
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

    it('equals coroutine.running() in the main program', function()
        local thread, ismain = coroutine.running()
        local current, ismain_too = loop.current()
        assert.equal(thread, current)
        assert.equal(ismain, ismain_too)
    end)

    it('equals coroutine.running() in a plain coroutine', function()
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

    it('waits inside a C function or gets a clear error', function()
        -- The thread runs on the main program's C stack. Only 5.2 and later and
        -- LuaJIT can yield across some of these functions.
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
