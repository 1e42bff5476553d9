-- Waits of another C module, which knows only socketloop.h. See also
-- api_misuse_spec and api_end_spec.

local cwait = require 'cwait'
local loop = require 'socketloop'
local places = require 'places'
local process = require 'process'
local support = require 'support'

local api, script, with_pipe = cwait.api, cwait.script, cwait.with_pipe
local with_pair, fill, empty = cwait.with_pair, cwait.fill, cwait.empty
local begin, results_of = cwait.begin, cwait.results_of
local run, some = support.run, support.some

describe('In C', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    describe('the loop is found', function()
        it('once socketloop is loaded', function()
            assert.equal('false\ntrue\n', script [[
                print(api.found())
                require 'socketloop'
                print(api.found())
            ]])
        end)

        it('when only the loop of coro was loaded', function()
            assert.equal('true\n', script [[
                require 'socketloop.coro'
                print(api.found())
            ]])
        end)

        it('not where coro is used alone', function()
            assert.equal('false\n', script [[
                require 'coro'
                print(api.found())
            ]])
        end)

        it('when it is newer than the header, not when it is older', function()
            assert.is_true(api.found(1))
            assert.is_true(api.found(2))
            assert.is_false(api.found(0))
        end)

        it('again when socketloop was loaded again', function()
            assert.equal('rw\n', script [[
                require 'socketloop'
                package.loaded.socketloop = nil
                local loop = require 'socketloop'
                collectgarbage()
                loop.newthread(function()
                    print(api.wait(api.pair(), 'w', 5) and
                          api.wait(api.pair(), 'w', 5) and 'rw')
                end)
                loop.start()
            ]])
        end)
    end)

    describe('a thread waits', function()
        it('until there is something to read', function()
            with_pipe(function(r, w)
                run(function()
                    local waiting = begin(api.wait, r, 'r', 5)
                    api.write(w, 'x')
                    assert.equal('r', results_of(waiting))
                    assert.equal('x', api.read(r))
                end)
            end)
        end)

        it('until there is room to write', function()
            with_pipe(function(r, w)
                run(function()
                    fill(w)
                    local waiting = begin(api.wait, w, 'w', 5)
                    empty(r)
                    assert.equal('w', results_of(waiting))
                end)
            end)
        end)

        it('for the first of two conditions', function()
            with_pair(function(a, b)
                run(function()
                    fill(a)
                    local waiting = begin(api.wait, a, 'rw', 5)
                    api.write(b, 'x')
                    assert.equal('r', results_of(waiting))
                    api.read(a)
                    waiting = begin(api.wait, a, 'rw', 5)
                    empty(b)
                    assert.equal('w', results_of(waiting))
                end)
            end)
        end)

        it('for the requested condition, whatever else is ready', function()
            with_pair(function(a, b)
                run(function()
                    local waiting = begin(api.wait, a, 'r', 5)
                    loop.sleep(0)
                    loop.sleep(0.005)
                    assert.equal(-1, waiting.n)
                    api.write(b, 'x')
                    assert.equal('r', results_of(waiting))
                    fill(a)
                    assert.equal('timeout', api.wait(a, 'w', 0.005))
                end)
            end)
        end)

        it('not if it is ready', function()
            with_pair(function(a, b)
                run(function()
                    assert.equal('w', api.wait(a, 'w', -1))
                    assert.equal('w', api.wait(a, 'rw', -1))
                    api.write(b, 'x')
                    assert.equal('rw', api.wait(a, 'rw', -1))
                    assert.equal('r', api.wait(a, 'r', -1))
                end)
            end)
        end)

        it('as long as it takes', function()
            with_pipe(function(r, w)
                run(function()
                    for _, limit in ipairs {-1, -0.001, math.huge, 1e9} do
                        local waiting = begin(api.wait, r, 'r', limit)
                        loop.sleep(0.002)
                        assert.equal(-1, waiting.n)
                        api.write(w, 'x')
                        assert.equal('r', results_of(waiting))
                        api.read(r)
                    end
                end)
            end)
        end)

        it('until its time is over', function()
            with_pipe(function(r)
                run(function()
                    local seconds, result =
                        support.timed(api.wait, r, 'r', 0.02)
                    assert.equal('timeout', result)
                    assert.is_true(seconds >= 0.019)
                end)
            end)
        end)

        it('no longer, though other threads read the data', function()
            support.with_mixed(function(s, peer)
                local waiting = begin(api.wait, s:getfd(), 'r', 0.03)
                loop.newthread(function() while s:receive(1) do end end)
                assert(support.eventually(function()
                    peer:send 'x'
                    return waiting.n >= 0
                end))
            end)
        end)

        it('until the end of the stream', function()
            run(function()
                local a, b = api.pair()
                local waiting = begin(api.wait, a, 'r', 5)
                api.close(b)
                assert.equal('r', results_of(waiting))
                assert.equal('', api.read(a))
                api.close(a)
            end)
        end)

        it('until the reading end is closed', function()
            run(function()
                local r, w = api.pipe()
                fill(w)
                local waiting = begin(api.wait, w, 'w', 5)
                api.close(r)
                assert.equal('w', results_of(waiting))
                api.close(w)
            end)
        end)

        it('not for a file', function()
            run(function()
                local name = os.tmpname()
                local fd = api.open(name)
                assert.equal('rw', api.wait(fd, 'rw', 5))
                api.close(fd)
                os.remove(name)
            end)
        end)

        it('for one descriptor after the other', function()
            with_pipe(function(r1, w1)
                with_pipe(function(r2, w2)
                    run(function()
                        local waiting = begin(api.waitall, r1, r2, r1)
                        api.write(w2, 'x')
                        loop.sleep(0)
                        assert.equal(-1, waiting.n)
                        api.write(w1, 'x')
                        assert.equal(3, results_of(waiting))
                    end)
                end)
            end)
        end)

        it('without being woken by other conditions', function()
            with_pair(function(a, b)
                run(function()
                    fill(a)
                    api.write(b, 'x')
                    local waiting = begin(api.wait, a, 'w', 5)
                    assert.is_true(support.steps(0.02) < 20)
                    empty(b)
                    assert.equal('w', results_of(waiting))
                end)
            end)
        end)

        it('again and again', function()
            with_pipe(function(r, w)
                run(function()
                    local count = 0
                    loop.newthread(function()
                        while count < some(500) do
                            api.write(w, 'x')
                            loop.sleep(0)
                        end
                    end)
                    while count < some(500) do
                        if api.wait(r, 'r', 5) ~= 'r' then break end
                        if api.read(r) then count = count + 1 end
                    end
                    assert.equal(some(500), count)
                end)
            end)
        end)

        it('with a timeout of 0 for one turn of the others', function()
            with_pipe(function(r, w)
                run(function()
                    local turns = 0
                    loop.newthread(function()
                        for _ = 1, 10 do
                            turns = turns + 1
                            loop.sleep(0)
                        end
                        api.write(w, 'x')
                    end)
                    for _ = 1, 9 do
                        assert.equal('timeout', api.wait(r, 'r', 0))
                    end
                    assert.equal(10, turns)
                    assert.equal('r', api.wait(r, 'r', 0))
                end)
            end)
        end)

        it('yields when a condition holds at once', function()
            with_pair(function(a)
                run(function()
                    local turn = false
                    loop.newthread(function()
                        loop.sleep(0)
                        turn = true
                    end)
                    local count = 0
                    while not turn and count < 1000 do
                        count = count + 1
                        api.wait(a, 'w', 5)
                    end
                    assert.is_true(count < 1000)
                end)
            end)
        end)

        it('without a slot of the stack, which is unchanged', function()
            with_pipe(function(r, w)
                run(function()
                    local waiting = begin(api.waitfull, r)
                    api.write(w, 'x')
                    assert.equal('r', results_of(waiting))
                    assert.equal('r', api.waitfull(r))
                end)
            end)
        end)

        it('and its C stack is unchanged', function()
            with_pipe(function(r1, w1)
                with_pipe(function(r2, w2)
                    run(function()
                        local first = begin(api.waitaround, r1, function()
                            api.read(r1)
                            api.write(w2, 'x')
                        end)
                        local second = begin(api.waitaround, r2, function()
                            api.read(r2)
                            api.write(w1, 'x')
                            loop.sleep(0.002)
                            api.write(w2, 'x')
                        end)
                        api.write(w1, 'x')
                        assert.is_true(results_of(first))
                        assert.is_true(results_of(second))
                    end)
                end)
            end)
        end)
    end)

    describe('a thread sleeps', function()
        it('so long', function()
            run(function()
                local seconds = support.timed(api.sleep, 0.02)
                assert.is_true(seconds >= 0.019)
            end)
        end)

        it('while others run', function()
            run(function()
                local turns, goes_on = 0, true
                loop.newthread(function()
                    while goes_on do
                        turns = turns + 1
                        loop.sleep(0.001)
                    end
                end)
                api.sleep(0.02)
                goes_on = false
                assert.is_true(turns > 1)
            end)
            support.drain()
        end)

        it('for one turn of the others', function()
            run(function()
                local order = {}
                loop.newthread(function()
                    loop.sleep(0)
                    support.push(order, 'other')
                end)
                for _, seconds in ipairs {0, -1, -math.huge} do
                    api.sleep(seconds)
                    support.push(order, seconds)
                end
                assert.same({'other', 0, -1, -math.huge}, order)
            end)
        end)
    end)

    describe('a thread waits in', function()
        for name, around in pairs(places.giving) do
            it(name, function()
                with_pipe(function(r, w)
                    run(function()
                        local waiting = begin(around, function()
                            api.sleep(0)
                            return api.wait(r, 'r', 5)
                        end)
                        loop.sleep(0)
                        api.write(w, 'x')
                        local expected = 'r'
                        if places.truth[name] then expected = true end
                        assert.equal(expected, results_of(waiting))
                    end)
                end)
            end)
        end

        for name, around in pairs(places.passing) do
            it(name .. ', and an error after it passes', function()
                with_pipe(function(r, w)
                    run(function()
                        local waiting = begin(pcall, around, function()
                            api.waitandraise(r, 'boom')
                        end)
                        api.write(w, 'x')
                        local ok, err = results_of(waiting)
                        assert.is_false(ok)
                        assert.matches('boom', err)
                    end)
                end)
            end)
        end
    end)

    it('an error after a wait leaves the step', function()
        with_pipe(function(r, w)
            loop.newthread(api.waitandraise, r, 'boom')
            api.write(w, 'x')
            support.raises('boom', support.drain)
        end)
    end)

    describe('many threads wait', function()
        it('for one descriptor', function()
            with_pipe(function(r, w)
                local woken, many = 0, some(3000)
                for _ = 1, many do
                    loop.newthread(function()
                        assert.equal('r', api.wait(r, 'r', 20))
                        woken = woken + 1
                    end)
                end
                assert.equal(0, woken)
                support.collect()
                api.write(w, 'x')
                support.drain()
                assert.equal(many, woken)
            end)
        end)

        it('for descriptors of their own', function()
            local pipes, woken, many = {}, {}, some(150, 5)
            for i = 1, many do
                local r, w = api.pipe()
                pipes[i] = {r, w}
                loop.newthread(function()
                    assert.equal('r', api.wait(r, 'r', 20))
                    support.push(woken, i)
                end)
            end
            support.collect()
            for i = many, 1, -1 do
                api.write(pipes[i][2], 'x')
                loop.step(5)
            end
            support.drain()
            assert.equal(many, #woken)
            assert.same({many, 1}, {woken[1], woken[many]})
            for i = 1, many do api.close(support.unpack(pipes[i])) end
        end)

        it('for time', function()
            local woken, many = 0, some(3000)
            for i = 1, many do
                loop.newthread(function()
                    api.sleep(i % 7 / 1000)
                    woken = woken + 1
                end)
            end
            support.collect()
            support.drain()
            assert.equal(many, woken)
        end)

        it('to read and to write, each for his own', function()
            with_pair(function(a, b)
                run(function()
                    fill(a)
                    local reading = begin(api.wait, a, 'r', 5)
                    local writing = begin(api.wait, a, 'w', 5)
                    api.write(b, 'x')
                    assert.equal('r', results_of(reading))
                    assert.equal(-1, writing.n)
                    empty(b)
                    assert.equal('w', results_of(writing))
                end)
            end)
        end)

        it('and one leaves while the others stay', function()
            with_pipe(function(r, w)
                run(function()
                    local first = begin(api.wait, r, 'r', 5)
                    local second = begin(api.wait, r, 'r', 0.2)
                    local third = begin(api.wait, r, 'r', 5)
                    assert.equal('timeout', results_of(second))
                    api.write(w, 'x')
                    assert.equal('r', results_of(first))
                    assert.equal('r', results_of(third))
                end)
            end)
        end)
    end)
end)
