-- Threads of the plain loop and the coro loop that switch by coro's
-- functions.

local coro = require 'coro'
local loops = require 'both_loops'
local support = require 'support'

local pack, unpack, failure = support.pack, support.unpack, support.failure
local count, push, some = support.count, support.push, support.some
local drain, errors_of_steps = support.drain, support.errors_of_steps
local run, mixed = support.run_in, loops.mixed
local inside = loops.inside

-- Specs run in the main program's thread.
local main = coro.running()

for name, which in pairs(loops.all) do
    describe('In ' .. name .. ' coro.resume', function()
        loops.hooks(before_each, after_each)

        it('waits for a thread that waits', function()
            local results = run(which, function()
                local thread = coro.create(function(...)
                    which.sleep(0)
                    local list = pack(coro.yield(...))
                    which.sleep(0)
                    return unpack(list, 1, list.n)
                end)
                return {
                    pack(coro.resume(thread, 1, nil)),
                    pack(coro.resume(thread, nil, 2, nil)),
                    coro.status(thread),
                }
            end)
            assert.same({
                pack(true, 1, nil), pack(true, nil, 2, nil), 'dead',
            }, results)
        end)

        it('nests, each thread with waits of its own', function()
            local log = run(which, function()
                local log = {}
                local function nest(depth)
                    which.sleep(0)
                    log[#log + 1] = depth
                    if depth < 10 then
                        assert(coro.resume(coro.create(nest), depth + 1))
                    end
                    which.sleep(0)
                    log[#log + 1] = -depth
                end
                nest(1)
                return log
            end)
            local expected = {}
            for i = 1, 10 do
                expected[i], expected[21 - i] = i, -i
            end
            assert.same(expected, log)
        end)

        it('nests with every kind of nesting between', function()
            local depth = 0
            for _, around in pairs(inside) do
                for _, other in pairs(inside) do
                    which.newthread(function()
                        around(function()
                            other(function()
                                which.sleep(0)
                                depth = depth + 1
                            end)
                            which.sleep(0)
                            depth = depth + 1
                        end)
                    end)
                end
            end
            drain(which)
            local kinds = 0
            for _ in pairs(inside) do kinds = kinds + 1 end
            assert.equal(2 * kinds * kinds, depth)
        end)

        it('returns the error of a thread that has waited', function()
            local function innermost_function()
                which.sleep(0)
                error 'boom'
            end
            local function outer_function()
                return coro.resume(coro.create(function()
                    innermost_function()
                end))
            end
            local results = pack(run(which, function()
                local results = pack(outer_function())
                which.sleep(0)
                return unpack(results, 1, results.n)
            end))
            assert.equal(3, results.n)
            assert.is_false(results[1])
            assert.matches('boom$', results[2])
            assert.matches('^stack traceback:\n', results[3])
            assert.matches('innermost_function.*outer_function', results[3])
            assert.equal(1, count(results[3], 'stack traceback:'))
        end)

        it('resumes two generators by turns', function()
            local log = run(which, function()
                local log, threads = {}, {}
                for i = 1, 2 do
                    threads[i] = coro.create(function()
                        for k = 1, 3 do
                            which.sleep(0)
                            coro.yield(i * 10 + k)
                        end
                    end)
                end
                for _ = 1, 3 do
                    for i = 1, 2 do
                        log[#log + 1] = select(2, coro.resume(threads[i]))
                    end
                end
                return log
            end)
            assert.same({11, 21, 12, 22, 13, 23}, log)
        end)

        it('of the main program returns at the first wait', function()
            local log = {}
            local thread = coro.create(function()
                log[#log + 1] = 'started'
                which.sleep(0)
                log[#log + 1] = 'woken'
            end)
            local results = pack(coro.resume(thread))
            log[#log + 1] = 'returned'
            assert.same(pack(true), results)
            assert.equal('suspended', coro.status(thread))
            support.collect()
            drain(which)
            assert.same({'started', 'returned', 'woken'}, log)
            assert.equal('dead', coro.status(thread))
        end)

        it('of the main program returns at the first I/O', function()
            for where, around in pairs(inside) do
                local client, peer = mixed(which)
                local got
                local results = pack(coro.resume(coro.create(function()
                    around(function() got = client:receive() end)
                    client:close()
                end)))
                assert.same(pack(true), results, where)
                support.collect()
                peer:send 'hello\n'
                drain(which)
                assert.equal('hello', got, where)
                peer:close()
            end
        end)

        it('of the main program may resume it after the wait', function()
            local ended
            local thread = coro.create(function()
                which.sleep(0)
                ended = coro.transfer(main)
            end)
            coro.resume(thread)
            drain(which)
            assert.equal('suspended', coro.status(thread))
            assert.same(pack(true), pack(coro.resume(thread, 'ended')))
            assert.equal('ended', ended)
        end)

        it('of the main program is over at the first wait', function()
            local reached
            local thread = coro.create(function()
                which.sleep(0)
                pcall(coro.yield, 'for nobody')
                reached = true
            end)
            assert.same(pack(true), pack(coro.resume(thread)))
            drain(which)
            if not reached then coro.resume(thread) end
            assert.is_true(reached)
            assert.equal('dead', coro.status(thread))
        end)

        it('of the main program gets the values before the wait', function()
            local iterator = coro.wrap(function()
                coro.yield(1)
                which.sleep(0)
            end)
            assert.equal(1, iterator())
            assert.same(pack(), pack(iterator()))
            drain(which)
            assert.matches('cannot resume dead', failure(iterator))
        end)

        it('of the main program: an error after the wait leaves step',
        function()
            coro.resume(coro.create(function()
                which.sleep(0)
                error 'boom'
            end))
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('boom', errors[1])
        end)
    end)

    describe('In ' .. name .. ' coro.transfer', function()
        loops.hooks(before_each, after_each)

        it('of the main program returns at the first wait', function()
            local woken
            local thread = coro.create(function()
                which.sleep(0)
                woken = coro.transfer(main)
            end)
            assert.same(pack(), pack(coro.transfer(thread)))
            assert.is_nil(woken)
            assert.equal('suspended', coro.status(thread))
            drain(which)
            assert.is_nil(woken)
            assert.is_true((coro.resume(thread, 'woken')))
            assert.equal('woken', woken)
            assert.equal('dead', coro.status(thread))
        end)

        it('of the main program: the thread must end by transferring',
        function()
            coro.transfer(coro.create(function() which.sleep(0) end))
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('coroutine ended without transferring control',
                           errors[1])
        end)

        it('works among threads of the loop', function()
            local log = {}
            local first, second
            first = which.newthread(function()
                push(log, pack(which.suspend()))
                which.sleep(0)
                coro.transfer(second, 'back', nil)
                log[#log + 1] = 'never'
            end)
            second = which.newthread(function()
                which.sleep(0)
                push(log, pack(coro.transfer(first, 'there', nil)))
                which.sleep(0)
                log[#log + 1] = 'end'
            end)
            drain(which)
            assert.same({pack('there', nil), pack('back', nil), 'end'}, log)
            assert.equal('dead', coro.status(second))
            assert.equal('suspended', coro.status(first))
        end)

        it('to a thread that waits raises an error in the caller', function()
            local client, peer = mixed(which)
            local thread = which.newthread(function()
                client:receive()
                client:close()
            end)
            assert.matches('waits', run(which, function()
                local err = failure(coro.transfer, thread)
                which.sleep(0)
                return err
            end))
            assert.matches('waits', failure(coro.transfer, thread))
            peer:close()
            drain(which)
            assert.equal('dead', coro.status(thread))
        end)

        it('to a thread that has ended raises an error', function()
            local thread = which.newthread(function() end)
            assert.matches('cannot resume dead coroutine',
                           run(which, function()
                return failure(coro.transfer, thread)
            end))
        end)

        it('lets a thread made by coro.create do I/O', function()
            local client, peer = mixed(which)
            local log = {}
            local helper = coro.create(function(thread)
                while true do
                    local line = client:receive()
                    thread = coro.transfer(thread, line)
                end
            end)
            which.newthread(function()
                local me = coro.running()
                repeat
                    local line = coro.transfer(helper, me)
                    log[#log + 1] = line or 'end'
                until not line
                client:close()
            end)
            peer:send 'one\ntwo\n'
            which.step(0.1)
            peer:send 'three\n'
            peer:close()
            drain(which)
            assert.same({'one', 'two', 'three', 'end'}, log)
        end)

        it('works at any place, with waits between', function()
            local turns = 0
            for where, around in pairs(inside) do
                local thread, helper
                helper = coro.create(function()
                    while true do
                        around(function()
                            which.sleep(0)
                            turns = turns + 1
                        end)
                        coro.transfer(thread)
                    end
                end)
                which.newthread(function()
                    around(function()
                        thread = coro.running()
                        for _ = 1, 3 do
                            coro.transfer(helper)
                            which.sleep(0)
                        end
                    end)
                    turns = turns + 10
                end)
                drain(which)
                assert.equal(13, turns, where)
                turns = 0
            end
        end)

        it('to the loop suspends the thread', function()
            local got
            local thread = which.newthread(function()
                which.sleep(0)
                got = pack(coro.transfer(main))
                which.sleep(0)
                got.woken = true
            end)
            drain(which)
            assert.is_nil(got)
            assert.equal('suspended', coro.status(thread))
            which.resume(thread, 1, nil)
            drain(which)
            assert.same({n = 2, 1, woken = true}, got)
        end)

        it('of an error: it leaves step', function()
            local reached = false
            local thread = which.newthread(function()
                which.sleep(0)
                pcall(coro.transfer, coro.create(function()
                    local function culprit() error 'boom' end
                    culprit()
                end))
                reached = true
            end)
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('coroloop_transfer_spec%.lua:%d+: boom\n', errors[1])
            assert.matches('culprit', errors[1])
            assert.equal(1, count(errors[1], 'stack traceback:'))
            assert.is_false(reached)
            assert.equal('suspended', coro.status(thread))
        end)

        it('of an error: onerror gets it', function()
            local calls = {}
            which.onerror = function(...) calls[#calls + 1] = pack(...) end
            local value = {}
            local failed
            which.newthread(function()
                which.sleep(0)
                failed = coro.create(function()
                    which.sleep(0)
                    error(value)
                end)
                coro.transfer(failed)
            end)
            drain(which)
            assert.equal(1, #calls)
            assert.equal(failed, calls[1][1])
            assert.equal(value, calls[1][2])
            assert.matches('^stack traceback:', calls[1][3])
        end)

        it('to a thread that just ends: an error leaves step', function()
            which.newthread(function()
                which.sleep(0)
                coro.transfer(coro.create(function() end))
            end)
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('coroutine ended without transferring control',
                           errors[1])
        end)

        it('many times with waits takes no memory', function()
            local function round(turns)
                local a, b
                local function play(other)
                    return function()
                        for i = 1, turns do
                            if i % 10 == 0 then which.sleep(0) end
                            coro.transfer(other())
                        end
                        which.suspend()
                    end
                end
                a = coro.create(play(function() return b end))
                b = coro.create(play(function() return a end))
                which.newthread(function()
                    coro.transfer(a)
                end)
                drain(which)
                support.collect()
                return collectgarbage 'count'
            end
            round(100)
            local before = round(100)
            assert.is_true(round(some(10000, 100)) - before < 50)
        end)
    end)

    describe('In ' .. name .. ' coro.yield', function()
        loops.hooks(before_each, after_each)

        it('raises in a thread that was not resumed', function()
            local first, second, yieldable
            which.newthread(function()
                yieldable = coro.isyieldable()
                first = failure(coro.yield)
                which.sleep(0)
                second = failure(coro.yield, 1)
            end)
            drain(which)
            assert.is_false(yieldable)
            assert.matches('yielding from a non%-resumed thread', first)
            assert.matches('yielding from a non%-resumed thread', second)
        end)

        it('is possible in an iterator before and after a wait', function()
            local before, after
            run(which, function()
                coro.wrap(function()
                    before = coro.isyieldable()
                    which.sleep(0)
                    after = coro.isyieldable()
                end)()
            end)
            assert.is_true(before)
            assert.is_true(after)
        end)
    end)
end
