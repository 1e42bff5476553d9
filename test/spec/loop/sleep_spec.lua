-- sleep and now.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local run = support.run
local failure, some, drain = support.failure, support.some, support.drain

describe('sleep', function()
    support.hooks(before_each, after_each)

    it('returns nothing', function()
        assert.equal(0, run(function() return (select('#', loop.sleep(0))) end))
        assert.equal(0, run(function()
            return (select('#', loop.sleep(0.001)))
        end))
    end)

    it('lasts at least as long as asked', function()
        for _, seconds in ipairs {0.001, 0.0105, 0.03} do
            local elapsed = support.timed(run, loop.sleep, seconds)
            assert.is_true(elapsed >= seconds - 0.0005, elapsed)
            assert.is_true(elapsed < 5)
        end
    end)

    it('lasts as long by the loop\'s clock', function()
        local elapsed = run(function()
            local start = loop.now()
            loop.sleep(0.02)
            return loop.now() - start
        end)
        assert.is_true(elapsed >= 0.0199, elapsed)
    end)

    it('does not spin before the deadline', function()
        local steps = 0
        loop.newthread(function()
            for _ = 1, 5 do loop.sleep(0.0107) end
        end)
        repeat
            local waits = loop.step()
            steps = steps + 1
        until not waits
        assert.is_true(steps <= 13, steps)
    end)

    it('wakes in the order of the deadlines', function()
        local log = {}
        for _, ms in ipairs {60, 20, 100, 40, 80, 0} do
            loop.newthread(function()
                loop.sleep(ms / 1000)
                log[#log + 1] = ms
            end)
        end
        drain()
        assert.same({0, 20, 40, 60, 80, 100}, log)
    end)

    it('wakes threads with equal deadlines in the order they slept', function()
        local log, expected = {}, {}
        for i = 1, 500 do
            loop.newthread(function()
                loop.sleep(0.02)
                log[#log + 1] = i
            end)
            expected[i] = i
        end
        drain()
        assert.same(expected, log)
    end)

    it('of 0 yields to the other threads, in turn', function()
        local log = {}
        for i = 1, 3 do
            loop.newthread(function()
                for _ = 1, 3 do
                    loop.sleep(0)
                    log[#log + 1] = i
                end
            end)
        end
        drain()
        assert.equal('1 2 3 1 2 3 1 2 3', table.concat(log, ' '))
    end)

    it('of 0 lets deadlines pass and I/O happen', function()
        local got, woken
        support.with_pair(function(client, server)
            loop.newthread(function() got = server:receive '*l' end)
            loop.newthread(function()
                loop.sleep(0.001)
                woken = true
            end)
            client:send 'hello\n'
            local deadline = socket.gettime() + support.limit
            repeat loop.sleep(0)
            until got and woken or socket.gettime() > deadline
        end)
        assert.equal('hello', got)
        assert.is_true(woken)
    end)

    it('takes a numeric string, as all of Lua does', function()
        run(loop.sleep, '0.001')
    end)

    it('wants a number', function()
        run(function()
            for _, seconds in ipairs {'x', {}, true} do
                assert.matches('bad argument #1 .*number expected',
                               failure(loop.sleep, seconds))
            end
            assert.matches('bad argument #1', failure(loop.sleep))
        end)
    end)

    it('of less than nothing does not hang', function()
        run(function() pcall(loop.sleep, -1) end)
        run(function() pcall(loop.sleep, -math.huge) end)
        run(function() pcall(loop.sleep, 0 / 0) end)
    end)

    it('of two thousand threads is no burden', function()
        local woken, count = 0, support.stacks(some(2000))
        for i = 1, count do
            loop.newthread(function()
                loop.sleep((i * 7919 % 50) / 1000)
                woken = woken + 1
            end)
        end
        drain()
        assert.equal(count, woken)
    end)
end)

describe('now', function()
    support.hooks(before_each, after_each)

    it('is a number that never goes back', function()
        local last = loop.now()
        assert.equal('number', type(last))
        for _ = 1, some(1000) do
            local now = loop.now()
            assert.is_true(now >= last)
            last = now
        end
    end)

    it('moves on', function()
        local start = loop.now()
        run(loop.sleep, 0.01)
        local elapsed = loop.now() - start
        assert.is_true(elapsed > 0.005)
        assert.is_true(elapsed < 5)
    end)
end)
