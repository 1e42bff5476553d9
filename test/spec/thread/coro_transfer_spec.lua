-- coro.transfer: threads that pass control to each other.

local coro = require 'coro'
local lists = require 'value_lists'
local support = require 'support'

local pack, unpack, failure = support.pack, support.unpack, support.failure
local some = support.some
local passes_all = lists.passes_all

-- Specs run in the main program's thread.
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

    it('does not return until control is transferred back', function()
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
        -- Returns the resident memory in pages, or 0 without a /proc.
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

    it('passes through many threads that are left for good', function()
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
