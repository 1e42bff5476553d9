-- coro.transfer inside C functions, metamethods and nested coroutines.

local coro = require 'coro'
local lists = require 'value_lists'
local places = require 'places'
local support = require 'support'

local pack, unpack, failure = support.pack, support.unpack, support.failure
local push = support.push
local passes_all, inside = lists.passes_all, places.passing

-- Specs run in the main program's thread.
local main = coro.running()

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
