-- coro.wrap and safewrap: iterators.

local coro = require 'coro'
local lists = require 'value_lists'
local support = require 'support'

local pack, failure, count = support.pack, support.failure, support.count
local passes_all = lists.passes_all

-- Specs run in the main program's thread.
local main = coro.running()

describe('coro.wrap', function()
    support.ends_in_main(after_each)

    it('returns a function', function()
        assert.equal('function', type(coro.wrap(function() end)))
        assert.equal(1, pack(coro.wrap(print)).n)
    end)

    it('passes its first arguments as those of the function', function()
        passes_all(function(...)
            local got
            coro.wrap(function(...) got = pack(...) end)(...)
            return got
        end)
    end)

    it('returns what the function returns', function()
        passes_all(function(...)
            return pack(coro.wrap(function(...) return ... end)(...))
        end)
    end)

    it('returns what the thread yields', function()
        passes_all(function(...) return pack(coro.wrap(coro.yield)(...)) end)
    end)

    it('passes its arguments to yield', function()
        local got
        local wrapper = coro.wrap(function()
            while true do got = pack(coro.yield()) end
        end)
        wrapper()
        passes_all(function(...)
            wrapper(...)
            return got
        end)
    end)

    it('makes iterators', function()
        local list = {}
        for key, value in coro.wrap(function()
            for i = 1, 3 do coro.yield(i, i * i) end
        end) do
            list[key] = value
        end
        assert.same({1, 4, 9}, list)
    end)

    it('makes iterators that nest', function()
        local function tree(depth)
            if depth == 0 then return {} end
            return {tree(depth - 1), depth, tree(depth - 1)}
        end
        local function walk(node)
            return coro.wrap(function()
                if not node[2] then return end
                for value in walk(node[1]) do coro.yield(value) end
                coro.yield(node[2])
                for value in walk(node[3]) do coro.yield(value) end
            end)
        end
        local list = {}
        for value in walk(tree(4)) do list[#list + 1] = value end
        assert.same({1, 2, 1, 3, 1, 2, 1, 4, 1, 2, 1, 3, 1, 2, 1}, list)
    end)

    it('makes permutations', function()
        local function permute(list, n)
            if n == 0 then coro.yield(table.concat(list)) end
            for i = 1, n do
                list[n], list[i] = list[i], list[n]
                permute(list, n - 1)
                list[n], list[i] = list[i], list[n]
            end
        end
        local seen, total = {}, 0
        for each in coro.wrap(function() permute({1, 2, 3, 4}, 4) end) do
            assert.is_nil(seen[each])
            seen[each] = true
            total = total + 1
        end
        assert.equal(24, total)
    end)

    it('makes a pipe of producer, filter and consumer', function()
        local function producer()
            return coro.wrap(function()
                for i = 1, 10 do coro.yield(i) end
            end)
        end
        local function filter(source)
            return coro.wrap(function()
                for value in source do
                    if value % 2 == 0 then coro.yield(value) end
                end
            end)
        end
        local list = {}
        for value in filter(producer()) do list[#list + 1] = value end
        assert.same({2, 4, 6, 8, 10}, list)
    end)

    it('is called by different threads', function()
        local iterator = coro.wrap(function()
            for i = 1, 3 do coro.yield(i) end
        end)
        local got = {}
        for _ = 1, 3 do
            local thread = coro.create(function()
                got[#got + 1] = iterator()
            end)
            assert.is_true((coro.resume(thread)))
        end
        assert.same({1, 2, 3}, got)
    end)

    it('reads from another thread by transfer', function()
        local next_value = 0
        local source = coro.create(function(thread)
            while true do
                next_value = next_value + 1
                thread = coro.transfer(thread, next_value)
            end
        end)
        local function read()
            return coro.transfer(source, (coro.running()))
        end
        local pairs_of = coro.wrap(function(...)
            assert.same(pack('an', nil, 'argument'), pack(...))
            local iterator = coro.wrap(function()
                for i = 1, 3 do coro.yield(i, read(), read()) end
            end)
            local list = {}
            for i, a, b in iterator do list[i] = a .. ' ' .. b end
            return list
        end)
        assert.same({'1 2', '3 4', '5 6'}, pairs_of('an', nil, 'argument'))
    end)

    it('raises the error of the thread with its traceback', function()
        local function culprit() error 'boom' end
        local err = failure(coro.wrap(function() culprit() end))
        assert.matches('^[^\n]*coro_wrap_spec%.lua:%d+: boom\n' ..
                       'stack traceback:\n', err)
        assert.matches('culprit', err)
        assert.equal(1, count(err, 'stack traceback:'))
    end)

    it('raises an error that is no string as it is', function()
        for _, value in ipairs {{}, true, false, print, main} do
            assert.equal(value, failure(coro.wrap(error), value))
        end
        assert.is_true(support.has_no_value(failure(coro.wrap(error), nil)))
    end)

    it('has one traceback also when it passes several wraps', function()
        local function nest(depth)
            if depth == 0 then error 'boom' end
            coro.wrap(nest)(depth - 1)
        end
        local err = failure(nest, 5)
        assert.equal(1, count(err, 'boom'))
        assert.equal(1, count(err, 'stack traceback:'))
    end)

    it('refuses to run a dead thread', function()
        local wrapper = coro.wrap(function() end)
        wrapper()
        for _ = 1, 2 do
            assert.matches('cannot resume dead coroutine', failure(wrapper))
        end
    end)

    it('refuses to run a thread that has failed', function()
        local wrapper = coro.wrap(error)
        failure(wrapper)
        assert.matches('cannot resume dead coroutine', failure(wrapper))
    end)

    it('refuses to run the running thread', function()
        local wrapper
        wrapper = coro.wrap(function() return failure(wrapper) end)
        assert.matches('trying to resume the running thread', wrapper())
    end)
end)

describe('coro.safewrap', function()
    support.ends_in_main(after_each)

    it('returns a function and a thread', function()
        local results = pack(coro.safewrap(function() end))
        assert.equal(2, results.n)
        assert.equal('function', type(results[1]))
        assert.equal('thread', type(results[2]))
    end)

    it('returns the thread in which the function runs', function()
        local running
        local wrapper, thread = coro.safewrap(function()
            running = coro.running()
        end)
        wrapper()
        assert.equal(thread, running)
    end)

    it('passes a yield and the first arguments', function()
        passes_all(function(...)
            local got
            coro.safewrap(function(yield, ...)
                assert.equal('function', type(yield))
                got = pack(...)
            end)(...)
            return got
        end)
    end)

    it('returns what the function returns', function()
        passes_all(function(...)
            return pack(coro.safewrap(function(_, ...) return ... end)(...))
        end)
    end)

    it('returns what the function yields', function()
        passes_all(function(...)
            return pack(coro.safewrap(function(yield, ...)
                yield(...)
            end)(...))
        end)
    end)

    it('passes its arguments to the yield', function()
        local got
        local wrapper = coro.safewrap(function(yield)
            while true do got = pack(yield()) end
        end)
        wrapper()
        passes_all(function(...)
            wrapper(...)
            return got
        end)
    end)

    it('makes iterators', function()
        local list = {}
        for value in coro.safewrap(function(yield)
            for i = 1, 5 do yield(i) end
        end) do
            list[#list + 1] = value
        end
        assert.same({1, 2, 3, 4, 5}, list)
    end)

    it('yields from a thread nested in it', function()
        local wrapper = coro.safewrap(function(yield)
            local sum = 0
            local inner = coro.wrap(function()
                sum = yield 'first'
                coro.yield()
                sum = sum + yield 'second'
            end)
            inner()
            inner()
            return sum
        end)
        assert.equal('first', wrapper())
        assert.equal('second', wrapper(10))
        assert.equal(11, wrapper(1))
    end)

    it('yields from threads nested several levels deep', function()
        local function nest(yield, depth)
            yield(depth)
            if depth < 10 then coro.wrap(nest)(yield, depth + 1) end
        end
        local list = {}
        for depth in coro.safewrap(function(yield) nest(yield, 1) end) do
            list[#list + 1] = depth
        end
        assert.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, list)
    end)

    it('yields from a standard coroutine nested in it', function()
        local wrapper = coro.safewrap(function(yield)
            local nested = coroutine.wrap(function()
                local got = yield(1)
                coroutine.yield(got .. ' inside')
            end)
            return nested()
        end)
        assert.equal(1, wrapper())
        assert.equal('x inside', wrapper 'x')
    end)

    it('yields from one safewrap inside another', function()
        local outer = coro.safewrap(function(yield_outer)
            local inner = coro.safewrap(function(yield_inner)
                assert.equal('to inner', yield_outer 'outer 1')
                assert.equal('again', yield_inner 'inner 1')
                return 'inner end'
            end)
            assert.equal('inner 1', inner())
            assert.equal('inner end', inner 'again')
            return 'outer end'
        end)
        assert.equal('outer 1', outer())
        assert.equal('outer end', outer 'to inner')
    end)

    it('yields to its caller also after transfers', function()
        local wrapper, thread
        wrapper, thread = coro.safewrap(function(yield)
            local value = coro.transfer(main, 'transferred')
            yield('yielded ' .. value)
            return 'end'
        end)
        local log = {}
        local caller = coro.create(function()
            log[#log + 1] = wrapper()
            log[#log + 1] = wrapper()
            coro.transfer(main, 'caller')
        end)
        assert.equal('transferred', coro.transfer(caller))
        assert.equal('caller', coro.transfer(thread, 'x'))
        assert.same({'yielded x', 'end'}, log)
    end)

    it('yields to its current caller, not to its maker', function()
        local wrapper
        coro.wrap(function()
            wrapper = coro.safewrap(function(yield)
                for i = 1, 4 do yield(i) end
            end)
            assert.equal(1, wrapper())
        end)()
        assert.equal(2, wrapper())
        coro.transfer(coro.create(function()
            assert.equal(3, wrapper())
            coro.transfer(main)
        end))
        assert.equal(4, wrapper())
    end)

    it('turns a callback into an iterator', function()
        local function each_word(text, callback)
            text:gsub('%a+', callback)
        end
        local words = {}
        for word in coro.safewrap(function(yield)
            each_word('turn me inside out', function(word) yield(word) end)
        end) do
            words[#words + 1] = word
        end
        assert.same({'turn', 'me', 'inside', 'out'}, words)
    end)

    it('turns callbacks of a library with coroutines inside out', function()
        local function library(callback)
            local parser = coroutine.wrap(function()
                while true do callback(coroutine.yield()) end
            end)
            parser()
            for i = 1, 3 do parser('event ' .. i) end
        end
        local events = {}
        for event in coro.safewrap(library) do
            events[#events + 1] = event
        end
        assert.same({'event 1', 'event 2', 'event 3'}, events)
    end)

    it('is dead when the function has returned', function()
        local wrapper, thread = coro.safewrap(function() return 1 end)
        assert.equal('suspended', coro.status(thread))
        assert.equal(1, wrapper())
        assert.equal('dead', coro.status(thread))
        for _ = 1, 2 do
            assert.matches('cannot resume dead coroutine', failure(wrapper))
        end
    end)

    it('raises an error in its caller', function()
        local wrapper = coro.safewrap(function(yield)
            yield()
            error 'boom'
        end)
        local err
        coro.transfer(coro.create(function()
            wrapper()
            err = failure(wrapper)
            coro.transfer(main)
        end))
        assert.matches('coro_wrap_spec%.lua:%d+: boom', err)
    end)

    it('raises an error that is no string as it is', function()
        local value = {}
        assert.equal(value, failure((coro.safewrap(function()
            error(value)
        end))))
    end)

    it('raises an error of a thread nested in it', function()
        local value = {}
        local wrapper = coro.safewrap(function(yield)
            coro.wrap(function()
                yield 'inside'
                error(value)
            end)()
        end)
        assert.equal('inside', wrapper())
        assert.equal(value, failure(wrapper))
    end)

    it('is dead when the function has failed', function()
        local wrapper, thread = coro.safewrap(function() error 'boom' end)
        failure(wrapper)
        assert.equal('dead', coro.status(thread))
        assert.matches('cannot resume dead coroutine', failure(wrapper))
    end)

    it('refuses to be called by its own function', function()
        local wrapper
        local ok
        wrapper = coro.safewrap(function() ok = pcall(wrapper) end)
        wrapper()
        assert.is_false(ok)
    end)

    it('survives a yield that is called when it is not its turn', function()
        local keep
        local wrapper = coro.safewrap(function(yield)
            keep = yield
            yield(1)
        end)
        wrapper()
        pcall(keep, 2)
        pcall(wrapper)
        pcall(wrapper)
        pcall(keep, 3)
        assert.equal('fine', coro.wrap(function() return 'fine' end)())
    end)

    it('survives a nested thread that lives on', function()
        local inner
        local wrapper = coro.safewrap(function(yield)
            inner = coro.create(function()
                yield(1)
                coro.yield(2)
            end)
            coro.resume(inner)
            return 'end'
        end)
        assert.equal(1, wrapper())
        assert.equal('end', wrapper())
        assert.is_true((coro.resume(inner)))
        assert.equal('dead', coro.status(inner))
        assert.matches('cannot resume dead coroutine', failure(wrapper))
    end)
end)
