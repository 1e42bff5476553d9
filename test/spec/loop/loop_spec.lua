-- The loop: start, stop, step, poller.

local loop = require 'socketloop'
local support = require 'support'
local process = require 'process'

local run = support.run
local failure, drain = support.failure, support.drain

-- Starts a thread that waits until the returned function is called.
local function waiting()
    local listener = loop.tcp('127.0.0.1', 0)
    listener:listen()
    loop.newthread(function() listener:accept() end)
    return function() listener:close() end
end

describe('step', function()
    support.hooks(before_each, after_each)

    it('is false at once when nothing waits', function()
        local elapsed, result = support.timed(loop.step, 5)
        assert.is_false(result)
        assert.is_true(elapsed < 2)
        assert.is_false(loop.step())
        assert.is_false(loop.step(0))
    end)

    it('returns exactly one value', function()
        assert.equal(1, select('#', loop.step(0)))
        loop.newthread(loop.sleep, 0)
        assert.equal(1, select('#', loop.step(0)))
    end)

    it('is true when a thread had its turn', function()
        loop.newthread(loop.sleep, 0)
        assert.is_true(loop.step(1))
        assert.is_false(loop.step(1))
    end)

    it('is true when it timed out', function()
        local finish = waiting()
        assert.is_true(loop.step(0))
        assert.is_true(loop.step(0.001))
        finish()
    end)

    it('waits as long as the timeout says', function()
        local finish = waiting()
        local elapsed = support.timed(loop.step, 0.05)
        assert.is_true(elapsed >= 0.049)
        assert.is_true(elapsed < 5)
        finish()
    end)

    it('does not wait with timeout 0', function()
        local finish = waiting()
        local elapsed = support.timed(function()
            for _ = 1, 100 do loop.step(0) end
        end)
        assert.is_true(elapsed < 2)
        finish()
    end)

    it('waits no longer than until the next deadline', function()
        local woken = false
        loop.newthread(function()
            loop.sleep(0.01)
            woken = true
        end)
        local elapsed = support.timed(function()
            repeat until not loop.step(8)
        end)
        assert.is_true(woken)
        assert.is_true(elapsed < 4)
    end)

    it('needs no timeout', function()
        local woken = false
        loop.newthread(function()
            loop.sleep(0.01)
            woken = true
        end)
        repeat until not loop.step()
        assert.is_true(woken)
    end)

    it('takes a huge timeout', function()
        for _, timeout in ipairs {1e9, 1e300, math.huge} do
            loop.newthread(loop.sleep, 0.001)
            repeat until not loop.step(timeout)
        end
    end)

    it('does not wait while a thread is ready', function()
        loop.newthread(function() for _ = 1, 3 do loop.sleep(0) end end)
        local elapsed = support.timed(function()
            repeat until not loop.step(5)
        end)
        assert.is_true(elapsed < 2)
    end)

    it('returns although threads are always ready', function()
        local turns, stop = 0, false
        loop.newthread(function()
            while not stop do
                turns = turns + 1
                loop.sleep(0)
            end
        end)
        for _ = 1, 10 do assert.is_true(loop.step(1)) end
        assert.is_true(turns <= 12)
        stop = true
        drain()
    end)

    it('wants a number or nothing', function()
        for _, timeout in ipairs {'x', {}, true, print} do
            assert.matches('bad argument #1 .*number expected',
                           failure(loop.step, timeout))
        end
        assert.matches("'step'", failure(function() loop.step 'x' end))
    end)

    it('raises in a loop thread', function()
        local err = run(function()
            return failure(function() loop.step(0) end)
        end)
        assert.is_true(err:match 'must not be called from a loop thread'
                       ~= nil or err:match 'already running' ~= nil, err)
        assert.matches('step', err)
    end)

    it('raises in a loop thread that has waited', function()
        local err = run(function()
            loop.sleep(0)
            return failure(loop.step, 0)
        end)
        assert.is_truthy(err:match 'must not be called' or
                         err:match 'already running')
    end)

    it('raises in a coroutine nested in a loop thread', function()
        for _, wait in ipairs {false, true} do
            local err = run(function()
                if wait then loop.sleep(0) end
                return coroutine.wrap(function()
                    return failure(loop.step, 0)
                end)()
            end)
            assert.is_truthy(err:match 'must not be called' or
                             err:match 'already running')
        end
    end)

    it('raises in a thread that a thread resumed', function()
        local err
        local thread = loop.newthread(function()
            loop.suspend()
            err = failure(loop.step, 0)
        end)
        run(function() loop.resume(thread) end)
        assert.is_truthy(err:match 'must not be called' or
                         err:match 'already running')
    end)

    it('works after it was refused', function()
        run(function() failure(loop.step, 0) end)
        loop.newthread(loop.sleep, 0)
        assert.is_true(loop.step(1))
        assert.is_false(loop.step(1))
    end)

    it('can be called from a plain coroutine', function()
        local woken = false
        loop.newthread(function()
            pcall(loop.sleep, 0)
            woken = true
        end)
        coroutine.wrap(function()
            while loop.step(1) do coroutine.yield() end
        end)()
        assert.is_true(woken)
    end)

    it('can be called from different coroutines in turn', function()
        local turns = 0
        loop.newthread(function()
            for _ = 1, 10 do
                table.sort({1, 2}, function() loop.sleep(0) end)
                turns = turns + 1
            end
        end)
        for _ = 1, 10 do
            coroutine.wrap(function() loop.step(1) end)()
            support.collect()
            loop.step(1)
        end
        drain()
        assert.equal(10, turns)
    end)
end)

describe('start', function()
    support.hooks(before_each, after_each)

    it('returns at once when nothing waits', function()
        local elapsed = support.timed(loop.start)
        assert.is_true(elapsed < 2)
    end)

    it('runs until nothing waits', function()
        local count = 0
        for i = 1, 10 do
            loop.newthread(function()
                for _ = 1, i do loop.sleep(0.001) end
                count = count + 1
            end)
        end
        loop.start()
        assert.equal(10, count)
        assert.is_false(loop.step(0))
    end)

    it('runs threads that are started meanwhile', function()
        local depth = 0
        local function spawn()
            loop.sleep(0)
            depth = depth + 1
            if depth < 20 then loop.newthread(spawn) end
        end
        loop.newthread(spawn)
        loop.start()
        assert.equal(20, depth)
    end)

    it('takes a timeout for each step', function()
        local woken = 0
        loop.newthread(function()
            for _ = 1, 3 do
                loop.sleep(0.01)
                woken = woken + 1
            end
        end)
        loop.start(0.001)
        assert.equal(3, woken)
    end)

    it('wants a number or nothing', function()
        for _, timeout in ipairs {'x', {}, true} do
            assert.matches('bad argument #1 .*number expected',
                           failure(loop.start, timeout))
        end
    end)

    it('raises in a loop thread', function()
        local err = run(function()
            return failure(function() loop.start() end)
        end)
        assert.matches('start', err)
        assert.is_truthy(err:match 'must not be called' or
                         err:match 'already running')
    end)

    it('raises in a loop thread while start runs', function()
        local err
        loop.newthread(function()
            loop.sleep(0)
            err = failure(loop.start, 0)
        end)
        loop.start()
        assert.is_truthy(err:match 'must not be called' or
                         err:match 'already running')
    end)
end)

describe('stop', function()
    support.hooks(before_each, after_each)

    it('makes start return after the step', function()
        local count, finish = 0, waiting()
        loop.newthread(function()
            while count < 100 do
                loop.sleep(0)
                count = count + 1
                if count == 5 then loop.stop() end
            end
        end)
        loop.start()
        assert.equal(5, count)
        finish()
        drain()
        assert.equal(100, count)
    end)

    it('lets the other ready threads run', function()
        local log = {}
        for i = 1, 3 do
            loop.newthread(function()
                loop.sleep(0)
                log[#log + 1] = i
                if i == 2 then loop.stop() end
            end)
        end
        loop.start()
        assert.same({1, 2, 3}, log)
    end)

    it('leaves the waiting threads for the next start', function()
        local woken = false
        loop.newthread(function()
            loop.sleep(0.01)
            woken = true
        end)
        loop.newthread(function()
            loop.sleep(0)
            loop.stop()
        end)
        loop.start()
        assert.is_false(woken)
        loop.start()
        assert.is_true(woken)
    end)

    it('before start makes it return after one step', function()
        local turns = 0
        loop.newthread(function()
            for _ = 1, 5 do
                loop.sleep(0)
                turns = turns + 1
            end
        end)
        loop.stop()
        loop.start()
        assert.equal(1, turns)
        loop.start()
        assert.equal(5, turns)
    end)

    it('before a start with nothing to do is forgotten, too', function()
        local turns = 0
        loop.stop()
        loop.start()
        loop.newthread(function()
            for _ = 1, 3 do
                loop.sleep(0)
                turns = turns + 1
            end
        end)
        loop.start()
        assert.equal(3, turns)
    end)

    it('is forgotten when an error leaves start', function()
        local turns = 0
        loop.newthread(function()
            loop.sleep(0)
            loop.stop()
            error 'boom'
        end)
        assert.is_false((pcall(loop.start)))
        loop.newthread(function()
            for _ = 1, 3 do
                loop.sleep(0)
                turns = turns + 1
            end
        end)
        loop.start()
        assert.equal(3, turns)
    end)

    it('returns nothing', function()
        assert.equal(0, select('#', loop.stop()))
        loop.start()
    end)
end)

describe('poller', function()
    after_each(process.cleanup)

    it('is the one that was asked for, or a known one', function()
        local known = {epoll = true, kqueue = true, poll = true, select = true}
        assert.is_true(known[loop.poller])
        local wanted = os.getenv 'SOCKETLOOP_POLLER'
        if wanted and wanted ~= '' then
            assert.equal(wanted, loop.poller)
        end
    end)

    it('is named by SOCKETLOOP_POLLER', function()
        for _, name in ipairs {'poll', 'select'} do
            local status, output = process.lua(
                "print(require'socketloop'.poller)",
                'SOCKETLOOP_POLLER=' .. name .. '; export SOCKETLOOP_POLLER')
            assert.equal(0, status, output)
            assert.equal(name .. '\n', output)
        end
    end)

    it('has a default', function()
        local status, output = process.lua(
            "print(require'socketloop'.poller)", 'unset SOCKETLOOP_POLLER')
        assert.equal(0, status, output)
        assert.is_truthy(output == 'epoll\n' or output == 'kqueue\n' or
                         output == 'poll\n')
    end)

    it('with an empty name is the default', function()
        local status, output = process.lua(
            "print(require'socketloop'.poller)",
            'SOCKETLOOP_POLLER=; export SOCKETLOOP_POLLER')
        assert.equal(0, status, output)
        assert.equal(select(2, process.lua("print(require'socketloop'.poller)",
            'unset SOCKETLOOP_POLLER')), output)
    end)

    it('with an unknown name is an error that lists the known', function()
        local status, output = process.lua("require'socketloop'",
            'SOCKETLOOP_POLLER=nonsense; export SOCKETLOOP_POLLER')
        assert.equal(1, status)
        assert.matches('nonsense', output)
        assert.matches('poll', (output:gsub('epoll', '')))
        assert.matches('select', output)
        local default = select(2, process.lua(
            "print(require'socketloop'.poller)", 'unset SOCKETLOOP_POLLER'))
        assert.matches(default:match '%a+', output)
    end)
end)
