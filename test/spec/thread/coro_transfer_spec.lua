-- coro.transfer and ptransfer: threads that hand control to each other.

local coro = require 'coro'
local lists = require 'lists'
local places = require 'places'
local support = require 'support'

local pack, unpack, failure = support.pack, support.unpack, support.failure
local count, push, some = support.count, support.push, support.some
local passes_all, inside = lists.passes_all, places.passing

-- A spec runs in the main program.
local main = coro.running()

describe('coro.transfer', function()
    support.ends_in_main(after_each)

    it('passes its first arguments as those of the function', function()
        passes_all(function(...)
            local got
            coro.transfer(coro.create(function(...)
                got = pack(...)
                coro.transfer(main)
            end), ...)
            return got
        end)
    end)

    it('passes values to the main program', function()
        passes_all(function(...)
            local list = pack(...)
            return pack(coro.transfer(coro.create(function()
                coro.transfer(main, unpack(list, 1, list.n))
            end)))
        end)
    end)

    it('passes values to a suspended thread', function()
        local got
        local thread = coro.create(function()
            while true do got = pack(coro.transfer(main)) end
        end)
        coro.transfer(thread)
        passes_all(function(...)
            coro.transfer(thread, ...)
            return got
        end)
    end)

    it('passes values from thread to thread', function()
        passes_all(function(...)
            local got
            local a, b
            a = coro.create(function(...)
                got = pack(coro.transfer(b, ...))
                coro.transfer(main)
            end)
            b = coro.create(function(...) coro.transfer(a, ...) end)
            coro.transfer(a, ...)
            return got
        end)
    end)

    it('passes values round a ring', function()
        local threads, size = {}, 20
        for i = 1, size do
            threads[i] = coro.create(function(...)
                local list = pack(...)
                while true do
                    list = pack(coro.transfer(threads[i + 1],
                                              unpack(list, 1, list.n)))
                end
            end)
        end
        threads[size + 1] = main
        passes_all(function(...)
            return pack(coro.transfer(threads[1], ...))
        end)
    end)

    it('passes threads', function()
        local thread = coro.create(function(...)
            coro.transfer(..., (coro.running()))
        end)
        assert.equal(thread, coro.transfer(thread, main))
    end)

    it('runs the other at once', function()
        local log = {}
        local thread = coro.create(function()
            log[#log + 1] = 'there'
            coro.transfer(main)
            log[#log + 1] = 'there again'
            coro.transfer(main)
        end)
        coro.transfer(thread)
        log[#log + 1] = 'here'
        coro.transfer(thread)
        assert.same({'there', 'here', 'there again'}, log)
    end)

    it('does not return to who is not transferred to', function()
        local log = {}
        local function step(name)
            log[#log + 1] = name
        end
        local a, b, c
        a = coro.create(function()
            step 'a1'
            coro.transfer(b)
            step 'a2'
            coro.transfer(c)
            step 'never'
        end)
        b = coro.create(function()
            step 'b1'
            coro.transfer(c)
            step 'b2'
            coro.transfer(main)
            step 'never'
        end)
        c = coro.create(function()
            step 'c1'
            coro.transfer(a)
            step 'c2'
            coro.transfer(b)
            step 'never'
        end)
        coro.transfer(a)
        assert.same({'a1', 'b1', 'c1', 'a2', 'c2', 'b2'}, log)
        for _, thread in ipairs {a, b, c} do
            assert.equal('suspended', coro.status(thread))
        end
    end)

    it('goes to a thread that has yielded, which then has no resumer',
    function()
        local got, err
        local thread = coro.create(function()
            got = pack(coro.yield())
            err = failure(coro.yield)
            coro.transfer(main, 'back')
        end)
        coro.resume(thread)
        assert.equal('back', coro.transfer(thread, 1, nil))
        assert.same(pack(1, nil), got)
        assert.matches('yielding from a non%-resumed thread', err)
    end)

    it('to the resumer ends its resume', function()
        local parent
        local results
        local child = coro.create(function()
            coro.transfer(parent, 1, nil, 3, nil)
        end)
        parent = coro.create(function()
            results = pack(coro.resume(child))
            coro.transfer(main)
        end)
        coro.transfer(parent)
        assert.same(pack(true, 1, nil, 3, nil), results)
    end)

    it('to the main program ends its resume', function()
        local thread = coro.create(function()
            coro.transfer(main, 1, nil)
            return 'end'
        end)
        assert.same(pack(true, 1, nil), pack(coro.resume(thread)))
        assert.same(pack(true, 'end'), pack(coro.resume(thread)))
    end)

    it('makes a generator without yield', function()
        local squares = {}
        coro.transfer(coro.create(function()
            local consumer = coro.running()
            local generator = coro.wrap(function()
                for i = 1, 10 do coro.transfer(consumer, i * i) end
            end)
            for square in generator do squares[#squares + 1] = square end
            coro.transfer(main)
        end))
        assert.same({1, 4, 9, 16, 25, 36, 49, 64, 81, 100}, squares)
    end)

    it('to the running thread raises an error', function()
        local text = 'trying to transfer to the running thread'
        assert.matches(text, failure(coro.transfer, main))
        local err
        coro.transfer(coro.create(function()
            err = failure(coro.transfer, (coro.running()))
            coro.transfer(main)
        end))
        assert.matches(text, err)
        coro.wrap(function()
            err = failure(coro.transfer, (coro.running()))
        end)()
        assert.matches(text, err)
    end)

    it('to the running thread raises also in a nested coroutine', function()
        local err
        coro.wrap(function()
            local me = coro.running()
            coroutine.wrap(function() err = failure(coro.transfer, me) end)()
        end)()
        assert.matches('trying to transfer to the running thread', err)
    end)

    it('to a dead thread raises an error in the caller', function()
        local dead = coro.create(function() end)
        coro.resume(dead)
        assert.matches('cannot resume dead coroutine',
                       failure(coro.transfer, dead))
        local err
        coro.transfer(coro.create(function()
            err = failure(coro.transfer, dead, 1, 2)
            coro.transfer(main)
        end))
        assert.matches('cannot resume dead coroutine', err)
    end)

    it('to a thread that has failed raises an error', function()
        local dead = coro.create(error)
        assert.is_false((coro.resume(dead, {})))
        assert.matches('cannot resume dead coroutine',
                       failure(coro.transfer, dead))
    end)

    it('wants a thread', function()
        for _, name in ipairs {'transfer', 'ptransfer', 'resume', 'status'} do
            for _, value in ipairs {1, 'x', {}, true, print} do
                assert.matches('bad argument #1 .*expected',
                               failure(coro[name], value))
            end
            assert.matches('bad argument #1 .*expected', failure(coro[name]))
            assert.matches("'" .. name .. "'", failure(support.load(
                "require 'coro'." .. name .. '(1)')))
        end
    end)

    it('works from a standard coroutine of the main program', function()
        local got = coroutine.wrap(function()
            local thread = coro.create(function(...)
                local value = coro.transfer(main, ...)
                coro.transfer(main, value .. '!')
            end)
            return pack(coro.transfer(thread, 1, nil),
                        (coro.transfer(thread, 'x')))
        end)()
        assert.same({n = 2, 1, 'x!'}, got)
    end)

    it('a million times round three threads takes no memory', function()
        local turns, limit = 0, 0
        local threads = {}
        for i = 1, 3 do
            threads[i] = coro.create(function()
                local following = threads[i % 3 + 1]
                while true do
                    turns = turns + 1
                    coro.transfer(turns % limit == 0 and main or following)
                end
            end)
        end
        -- The resident memory, in pages, where the system tells.
        local function resident()
            local file = io.open '/proc/self/statm'
            if not file then return 0 end
            local pages = file:read '*a':match '^%d+ (%d+)'
            file:close()
            return tonumber(pages)
        end
        limit = some(10000, 100)
        coro.transfer(threads[1])
        support.collect()
        local pages, used = resident(), collectgarbage 'count'
        limit = some(1000000, 100)
        coro.transfer(threads[turns % 3 + 1])
        assert.equal(limit, turns)
        support.collect()
        assert.is_true(collectgarbage 'count' - used < 20)
        assert.is_true(resident() - pages < 500)
    end)

    it('a million times to and fro takes no memory', function()
        local thread = coro.create(function(...)
            local value = ...
            while true do value = coro.transfer(main, value + 1) end
        end)
        local value = coro.transfer(thread, 1)
        support.collect()
        local used = collectgarbage 'count'
        for _ = 1, some(500000, 100) do value = coro.transfer(thread, value) end
        assert.equal(some(500000, 100) + 2, value)
        support.collect()
        assert.is_true(collectgarbage 'count' - used < 20)
    end)

    it('many times between frozen threads takes no memory', function()
        local a, b
        local turns, limit = 0, some(100000, 100)
        local function play(other)
            return function()
                table.sort({1, 2}, function()
                    while turns < limit do
                        turns = turns + 1
                        pcall(coro.transfer, other())
                    end
                    coro.transfer(main)
                end)
            end
        end
        a = coro.create(play(function() return b end))
        b = coro.create(play(function() return a end))
        local used = collectgarbage 'count'
        coro.transfer(a)
        assert.equal(limit, turns)
        support.collect()
        assert.is_true(collectgarbage 'count' - used < 40)
    end)

    it('passes a relay of threads that nobody comes back to', function()
        local rounds, last = some(10000, 100), nil
        local function runner(round)
            if round == rounds then
                last = round
                coro.transfer(main)
            end
            if round % 100 == 0 then collectgarbage() end
            coro.transfer(coro.create(runner), round + 1)
        end
        coro.transfer(coro.create(runner), 1)
        assert.equal(rounds, last)
    end)

    it('serves a thousand threads at once', function()
        local threads, sum = {}, 0
        local many = support.stacks(1000)
        for i = 1, many do
            threads[i] = coro.create(function()
                while true do
                    local value = coro.transfer(main)
                    sum = sum + value
                end
            end)
            coro.transfer(threads[i])
        end
        for _ = 1, 3 do
            for i = 1, many do coro.transfer(threads[i], i) end
        end
        assert.equal(3 * many * (many + 1) / 2, sum)
    end)
end)

describe('A thread can transfer', function()
    support.ends_in_main(after_each)

    for name, around in pairs(inside) do
        it('inside ' .. name, function()
            local log = {}
            local thread
            thread = coro.create(function()
                around(function()
                    log[#log + 1] = 'there'
                    log[#log + 1] = coro.transfer(main, 'back')
                end)
                coro.transfer(main, 'end')
            end)
            assert.equal('back', coro.transfer(thread))
            support.collect()
            assert.equal('suspended', coro.status(thread))
            assert.equal('end', coro.transfer(thread, 'there again'))
            assert.same({'there', 'there again'}, log)
        end)

        it('any values inside ' .. name, function()
            passes_all(function(...)
                local got
                local list = pack(...)
                local thread = coro.create(function()
                    around(function()
                        got = pack(coro.transfer(main,
                                                 unpack(list, 1, list.n)))
                    end)
                    coro.transfer(main)
                end)
                local results = pack(coro.transfer(thread))
                coro.transfer(thread, unpack(results, 1, results.n))
                return got
            end)
        end)

        it('to another thread inside ' .. name, function()
            local a, b
            local log = {}
            local function play(other)
                return function()
                    around(function()
                        for i = 1, 3 do
                            log[#log + 1] = i
                            coro.transfer(other())
                        end
                    end)
                    coro.transfer(main, 'end')
                end
            end
            a = coro.create(play(function() return b end))
            b = coro.create(play(function() return a end))
            assert.equal('end', coro.transfer(a))
            assert.same({1, 1, 2, 2, 3, 3}, log)
        end)

        it('to itself not even inside ' .. name, function()
            local err
            coro.wrap(function()
                local me = coro.running()
                around(function() err = failure(coro.transfer, me) end)
            end)()
            assert.matches('trying to transfer to the running thread', err)
        end)

        it('and come back to the main program inside ' .. name, function()
            local got
            local thread = coro.create(function()
                while true do coro.transfer(main, 1, nil, 3) end
            end)
            around(function() got = pack(coro.transfer(thread)) end)
            assert.same(pack(1, nil, 3), got)
        end)

        it('and fail inside ' .. name, function()
            local value = {}
            local thread = coro.create(function()
                around(function()
                    coro.transfer(main)
                    error(value)
                end)
            end)
            coro.transfer(thread)
            assert.equal(value, failure(coro.transfer, thread))
            assert.equal('dead', coro.status(thread))
        end)

        it('yield, and be resumed inside ' .. name, function()
            local log = {}
            local iterator = coro.wrap(function()
                around(function()
                    for i = 1, 3 do log[#log + 1] = coro.yield(i, nil) end
                end)
                return 'end'
            end)
            assert.same(pack(1, nil), pack(iterator()))
            assert.same(pack(2, nil), pack(iterator 'one'))
            assert.same(pack(3, nil), pack(iterator 'two'))
            assert.equal('end', iterator 'three')
            assert.same({'one', 'two', 'three'}, log)
        end)

        it('run an iterator inside ' .. name, function()
            local got = {}
            around(function()
                for value in coro.wrap(function()
                    for i = 1, 3 do around(function() coro.yield(i) end) end
                end) do
                    got[#got + 1] = value
                end
            end)
            assert.same({1, 2, 3}, got)
        end)

        it('use safewrap inside ' .. name, function()
            local got = {}
            local iterator = coro.safewrap(function(yield)
                around(function()
                    for i = 1, 3 do yield(i) end
                end)
            end)
            around(function()
                for value in iterator do got[#got + 1] = value end
            end)
            assert.same({1, 2, 3}, got)
        end)
    end

    it('in the middle of a sort, as a comparison', function()
        local list = {}
        for i = 1, 50 do list[i] = i * 37 % 50 end
        local oracle = coro.create(function(thread, a, b)
            while true do thread, a, b = coro.transfer(thread, a < b) end
        end)
        local sorter = coro.wrap(function()
            local me = coro.running()
            table.sort(list, function(a, b)
                return coro.transfer(oracle, me, a, b)
            end)
        end)
        sorter()
        for i = 1, 50 do assert.equal(i - 1, list[i]) end
    end)

    it('in two sorts that take turns', function()
        local lists_of, threads = {}, {}
        for i = 1, 2 do
            lists_of[i] = {}
            for k = 1, 30 do lists_of[i][k] = (k * 7 + i) % 31 end
            threads[i] = coro.create(function()
                table.sort(lists_of[i], function(a, b)
                    coro.yield()
                    return a < b
                end)
            end)
        end
        repeat
            local busy = false
            for i = 1, 2 do
                if coro.status(threads[i]) ~= 'dead' then
                    busy = true
                    assert.is_true((coro.resume(threads[i])))
                end
            end
        until not busy
        for i = 1, 2 do
            for k = 2, 30 do
                assert.is_true(lists_of[i][k - 1] <= lists_of[i][k])
            end
        end
    end)

    it('while its standard coroutines yield to each other', function()
        local log = {}
        local thread = coro.create(function()
            local nested = coroutine.wrap(function()
                for i = 1, 3 do
                    coro.transfer(main, 'transferred ' .. i)
                    coroutine.yield('yielded ' .. i)
                end
            end)
            for _ = 1, 3 do push(log, (nested())) end
            coro.transfer(main, 'end')
        end)
        for _ = 1, 4 do push(log, (coro.transfer(thread))) end
        assert.same({
            'transferred 1', 'yielded 1', 'transferred 2', 'yielded 2',
            'transferred 3', 'yielded 3', 'end',
        }, log)
    end)
end)

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
        assert.matches('^[^\n]*coro_transfer_spec%.lua:%d+: boom\n', err)
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

    it('is raised in main, not in who transferred', function()
        local reached = false
        local thread = coro.create(function()
            pcall(coro.transfer, coro.create(function() error 'boom' end))
            reached = true
        end)
        assert.matches('boom', failure(coro.transfer, thread))
        assert.is_false(reached)
        assert.equal('suspended', coro.status(thread))
    end)

    it('leaves who transferred suspended, who can go on', function()
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

    it('returns true and what comes back', function()
        passes_all(function(...)
            local results = pack(coro.ptransfer(coro.create(function(...)
                coro.transfer(main, ...)
            end), ...))
            assert.is_true(results[1])
            return pack(unpack(results, 2, results.n))
        end)
    end)

    it('returns true and what comes back in a thread', function()
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

    it('passes values to who waits in transfer', function()
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
        assert.matches('coro_transfer_spec%.lua:%d+: boom$', results[2])
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
