-- The coro loop, and the functions that behave alike in it and the default
-- loop: newthread, suspend, resume and coro.running.

local loop = require 'socketloop'
local coro = require 'coro'
local lists = require 'value_lists'
local loops = require 'both_loops'
local support = require 'support'

local pack, unpack, failure = support.pack, support.unpack, support.failure
local count, push, numbers = support.count, support.push, lists.numbers
local drain = support.drain
local alive, run = support.alive, support.run_in
local serve, inside = loops.serve, loops.inside

-- Specs run in the main program's thread.
local main = coro.running()

describe('The coro loop', function()
    loops.hooks(before_each, after_each)

    it('is a module of its own', function()
        assert.equal(loop.coro, require 'socketloop.coro')
        assert.equal(loop.coro, loop.coro)
        assert.not_equal(loop, loop.coro)
    end)

    it('has all the functions of the plain loop', function()
        for name, value in pairs(loop) do
            if type(value) == 'function' then
                assert.equal('function', type(loop.coro[name]), name)
            end
        end
        for _, name in ipairs {
            'wrap', 'tcp', 'connect', 'newthread', 'current', 'suspend',
            'resume', 'newserver', 'start', 'stop', 'step', 'sleep', 'now',
        } do
            assert.equal('function', type(loop.coro[name]), name)
        end
    end)

    it('has the same poller', function()
        assert.equal(loop.poller, loop.coro.poller)
    end)

    it('has the same clock', function()
        local first = loop.now()
        local second = loop.coro.now()
        assert.is_true(first <= second and second <= loop.now())
    end)

    it('has nothing to do with the threads of the plain loop', function()
        local woken = false
        loop.newthread(function()
            loop.sleep(0)
            woken = true
        end)
        assert.is_false(loop.coro.step(0))
        assert.is_false(woken)
        drain(loop)
        assert.is_true(woken)
    end)

    it('has nothing to do with the stop of the plain loop', function()
        local turns = 0
        loop.stop()
        loop.coro.newthread(function()
            for _ = 1, 3 do
                loop.coro.sleep(0)
                turns = turns + 1
            end
        end)
        loop.coro.start()
        assert.equal(3, turns)
        loop.start()
    end)

    it('has an onerror of its own', function()
        local plain_calls, coro_calls = 0, 0
        loop.onerror = function() plain_calls = plain_calls + 1 end
        loop.coro.onerror = function() coro_calls = coro_calls + 1 end
        for _, which in pairs(loops.all) do
            which.newthread(function()
                which.sleep(0)
                error 'boom'
            end)
        end
        drain(loop.coro)
        assert.equal(0, plain_calls)
        assert.equal(1, coro_calls)
        drain(loop)
        assert.equal(1, plain_calls)
        assert.equal(1, coro_calls)
    end)

    it('makes coro threads', function()
        local current, running, ismain, is_main_of_loop
        local thread = loop.coro.newthread(function()
            current, is_main_of_loop = loop.coro.current()
            running, ismain = coro.running()
            loop.coro.suspend()
        end)
        assert.equal('thread', type(thread))
        assert.equal(thread, current)
        assert.equal(thread, running)
        assert.is_false(ismain)
        assert.is_falsy(is_main_of_loop)
        assert.equal('suspended', coro.status(thread))
        loop.coro.resume(thread)
        assert.equal('dead', coro.status(thread))
    end)

    it('serves a page full of lines', function()
        local port, listener = serve(loop.coro, function(client)
            repeat
                local line = client:receive()
                if line then client:send(line:upper() .. '\n') end
            until not line
            client:close()
        end)
        local answers = {}
        for i = 1, 20 do
            loop.coro.newthread(function()
                local client = assert(loop.coro.connect('127.0.0.1', port))
                for k = 1, 5 do
                    client:send(('line %d %d\n'):format(i, k))
                    push(answers, (assert(client:receive())))
                end
                client:close()
                if #answers == 100 then listener:close() end
            end)
        end
        loop.coro.start()
        assert.equal(100, #answers)
        assert.matches('^LINE %d+ %d+$', answers[100])
    end)

    it('can be stopped', function()
        local turns = 0
        loop.coro.newthread(function()
            for _ = 1, 5 do
                turns = turns + 1
                if turns == 2 then loop.coro.stop() end
                loop.coro.sleep(0)
            end
        end)
        loop.coro.start()
        assert.is_true(turns < 5)
        loop.coro.start()
        assert.equal(5, turns)
    end)

    it('closes its sockets when they are garbage', function()
        local before = support.fd_count()
        local function open()
            local s = loop.coro.tcp('127.0.0.1', 0)
            assert(s:listen())
            loop.coro.newthread(function()
                loop.coro.suspend()
                s:accept()
            end)
        end
        for _ = 1, 5 do open() end
        support.collect()
        support.collect()
        assert.is_true(support.fd_count() <= before + 1)
    end)
end)

for name, which in pairs(loops.all) do
    describe('In ' .. name .. ' newthread', function()
        loops.hooks(before_each, after_each)

        it('runs the handler at once with all the arguments', function()
            local got
            which.newthread(function(...) got = pack(...) end, 1, nil, 'x',
                            nil)
            assert.same(pack(1, nil, 'x', nil), got)
            which.newthread(function(...) got = pack(...) end)
            assert.same(pack(), got)
            which.newthread(function(...) got = pack(...) end, numbers(250))
            assert.same(pack(numbers(250)), got)
        end)

        it('returns the thread also when it has ended', function()
            local results = pack(which.newthread(function()
                return 1, 2
            end))
            assert.equal(1, results.n)
            assert.equal('dead', coro.status(results[1]))
        end)

        it('returns when the thread first waits or suspends', function()
            local log = {}
            local thread = which.newthread(function()
                log[#log + 1] = 'started'
                which.sleep(0)
                log[#log + 1] = 'woken'
                which.suspend()
                log[#log + 1] = 'resumed'
            end)
            log[#log + 1] = 'returned'
            drain(which)
            which.resume(thread)
            assert.same({'started', 'returned', 'woken', 'resumed'}, log)
        end)

        it('runs a thread started by a thread at once', function()
            local log = {}
            run(which, function()
                which.newthread(function()
                    log[#log + 1] = 'inner'
                    which.sleep(0)
                    log[#log + 1] = 'inner woken'
                end)
                log[#log + 1] = 'outer'
                which.sleep(0)
                which.sleep(0)
            end)
            assert.same({'inner', 'outer', 'inner woken'}, log)
        end)

        it('starts threads from an iterator', function()
            local woken = 0
            run(which, function()
                for _ in coro.wrap(function()
                    for _ = 1, 3 do
                        which.newthread(function()
                            which.sleep(0)
                            woken = woken + 1
                        end)
                        coro.yield(1)
                    end
                end) do which.sleep(0) end
            end)
            drain(which)
            assert.equal(3, woken)
        end)

        it('raises an error before the first wait', function()
            local function culprit() error 'boom' end
            local err = failure(which.newthread, function() culprit() end)
            assert.matches('_spec%.lua:%d+: boom\n', err)
            assert.matches('culprit', err)
            assert.equal(1, count(err, 'stack traceback:'))
            local value = {}
            assert.equal(value, failure(which.newthread, error, value))
            assert.is_true(support.has_no_value(
                failure(which.newthread, error, nil)))
            assert.is_false(which.step(0))
        end)

        it('raises it in the thread that started the other', function()
            local err = run(which, function()
                local err = failure(which.newthread, function()
                    error 'boom'
                end)
                which.sleep(0)
                return err
            end)
            assert.matches('boom', err)
        end)
    end)

    describe('In ' .. name .. ' suspend and resume', function()
        loops.hooks(before_each, after_each)

        local packs = {
            pack(), pack(nil), pack('x'), pack(nil, 1, nil, false, nil),
            pack(numbers(100)), pack(numbers(250)),
        }

        for where, around in pairs(inside) do
            it('pass any values inside ' .. where, function()
                local got, inner
                which.newthread(function()
                    for _ = 1, #packs do
                        around(function()
                            inner = which.current()
                            got = pack(which.suspend())
                        end)
                    end
                end)
                for _, list in ipairs(packs) do
                    support.collect()
                    which.resume(inner, unpack(list, 1, list.n))
                    assert.same(list, got)
                end
            end)
        end

        it('resume returns no value', function()
            local thread = which.newthread(function()
                which.suspend(1, 2)
                return 3
            end)
            assert.same(pack(), pack(which.resume(thread)))
        end)

        it('resume returns when the thread suspends, waits or ends',
        function()
            local log = {}
            local thread = which.newthread(function()
                which.suspend()
                log[#log + 1] = 'one'
                which.suspend()
                log[#log + 1] = 'two'
                which.sleep(0)
                log[#log + 1] = 'woken'
                which.suspend()
                log[#log + 1] = 'three'
            end)
            for i = 1, 2 do
                which.resume(thread)
                log[#log + 1] = 'resumed ' .. i
            end
            drain(which)
            which.resume(thread)
            log[#log + 1] = 'resumed 3'
            assert.same({
                'one', 'resumed 1', 'two', 'resumed 2', 'woken', 'three',
                'resumed 3',
            }, log)
        end)

        it('resume makes its caller the place to come back to', function()
            local log = {}
            local other
            run(which, function()
                other = which.newthread(function()
                    for i = 1, 3 do
                        which.suspend()
                        log[#log + 1] = 'other ' .. i
                        if i == 2 then which.sleep(0) end
                    end
                end)
                for i = 1, 2 do
                    which.resume(other)
                    log[#log + 1] = 'back ' .. i
                end
                for _ = 1, 3 do which.sleep(0) end
                which.resume(other)
                log[#log + 1] = 'back 3'
            end)
            assert.same({
                'other 1', 'back 1', 'other 2', 'back 2', 'other 3',
                'back 3',
            }, log)
            assert.equal('dead', coro.status(other))
        end)

        it('resume raises the error of the thread', function()
            local value = {}
            local thread = which.newthread(function()
                which.suspend()
                error(value)
            end)
            assert.equal(value, failure(which.resume, thread))
            assert.equal('dead', coro.status(thread))
            thread = which.newthread(function()
                which.suspend()
                error 'boom'
            end)
            local err = run(which, function()
                return failure(which.resume, thread)
            end)
            assert.matches('boom\nstack traceback:', err)
        end)

        it('resume refuses threads that it cannot resume', function()
            local thread = which.newthread(function() end)
            assert.matches('cannot resume dead', failure(which.resume, thread))
            thread = which.newthread(function() which.sleep(0) end)
            assert.matches('waits', failure(which.resume, thread))
            drain(which)
            assert.matches('running', run(which, function()
                return failure(which.resume, (which.current()))
            end))
        end)

        it('a suspended thread alone does not keep the loop alive',
        function()
            local thread = which.newthread(which.suspend)
            assert.is_false(which.step(5))
            which.start()
            which.resume(thread)
            assert.equal('dead', coro.status(thread))
        end)

        it('a suspended thread without references is collected', function()
            local list = setmetatable({}, {__mode = 'k'})
            local function make(around)
                list[which.newthread(function()
                    around(function() which.suspend() end)
                end)] = true
            end
            for _, around in pairs(inside) do
                for _ = 1, 3 do make(around) end
            end
            assert.equal(0, alive(list))
        end)
    end)

    describe('In ' .. name .. ' coro.running', function()
        loops.hooks(before_each, after_each)

        it('is the thread, before and after a wait', function()
            for where, around in pairs(inside) do
                local before, after
                which.newthread(function()
                    around(function()
                        before = pack(coro.running())
                        which.sleep(0)
                        after = pack(coro.running())
                    end)
                end)
                drain(which)
                assert.equal('thread', type(before[1]), where)
                assert.is_false(before[2], where)
                assert.same(before, after, where)
            end
        end)

        it('is the thread of newthread', function()
            local running
            local thread = which.newthread(function()
                which.sleep(0)
                coroutine.wrap(function() running = coro.running() end)()
            end)
            drain(which)
            assert.equal(thread, running)
        end)

        it('is main in onerror and after a step', function()
            local thread, ismain
            which.onerror = function() thread, ismain = coro.running() end
            which.newthread(function()
                which.sleep(0)
                error 'boom'
            end)
            drain(which)
            assert.equal(main, thread)
            assert.is_true(ismain)
            assert.equal(main, (coro.running()))
        end)
    end)
end
