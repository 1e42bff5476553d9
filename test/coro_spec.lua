-- The coro module: coroutines that transfer control to each other.

local coro = require 'coro'
local process = require 'process'
local support = require 'support'

local pack, unpack = support.pack, support.unpack
local failure, count, push = support.failure, support.count, support.push
local numbers, some = support.numbers, support.some

-- A spec runs in the main program.
local main = coro.running()

-- After each test it is the main program's turn.
local function hooks(after)
    after(function()
        local thread, ismain = coro.running()
        assert.equal(main, thread)
        assert.is_true(ismain)
    end)
end

-- Lists of values that every switch must pass.
local lists = {
    ['no value'] = pack(),
    ['one value'] = pack 'x',
    ['one nil'] = pack(nil),
    ['a false'] = pack(false),
    ['nils among others'] = pack(nil, 1, nil, {}, false, nil, nil),
    ['nils only'] = pack(nil, nil, nil),
    ['a hundred values'] = pack(numbers(100)),
    ['250 values'] = pack(numbers(250)),
}

-- Calls send(...) with each of the lists; it must return a pack of the same.
local function passes_all(send)
    for name, list in pairs(lists) do
        local got = send(unpack(list, 1, list.n))
        assert.equal('table', type(got), name)
        assert.equal(list.n, got.n, name)
        for i = 1, list.n do
            if not rawequal(list[i], got[i]) then
                error(name .. ': got ' .. tostring(got[i]), 2)
            end
        end
    end
end

-- An object with the metamethod, which calls f and returns result.
local function with(event, f, result)
    return setmetatable({}, {[event] = function()
        f()
        return result
    end})
end

-- Places from which control may be transferred: each calls f once, and lets
-- an error of f pass.
local unique = 0
local inside = {
    ['a Lua function'] = function(f) f() end,
    ['pcall'] = function(f)
        local ok, err = pcall(f)
        if not ok then error(err, 0) end
    end,
    ['xpcall'] = function(f)
        local ok, err = xpcall(f, function(e) return e end)
        if not ok then error(err, 0) end
    end,
    ['an index metamethod'] = function(f) return with('__index', f).x end,
    ['a newindex metamethod'] = function(f) with('__newindex', f).x = 1 end,
    ['a call metamethod'] = function(f) with('__call', f)() end,
    ['an arithmetic metamethod'] = function(f) return with('__add', f) + 1 end,
    ['a concat metamethod'] = support.concat_is_safe and function(f)
        return with('__concat', f) .. ''
    end or nil,
    ['a comparison metamethod'] = function(f)
        local less = function() f() return true end
        local meta = {__lt = less}
        return setmetatable({}, meta) < setmetatable({}, meta)
    end,
    ['a tostring metamethod'] = function(f)
        return tostring(with('__tostring', f, ''))
    end,
    ['an iterator'] = function(f)
        local function once(_, last)
            if last then return nil end
            f()
            return true
        end
        for _ in once do unique = unique + 1 end
    end,
    ['a sort comparator'] = function(f)
        table.sort({1, 2}, function() f() return false end)
    end,
    ['a gsub callback'] = function(f)
        string.gsub('x', 'x', function() f() end)
    end,
    ['require'] = function(f)
        unique = unique + 1
        local name = 'coro_spec.' .. unique
        package.preload[name] = function()
            package.preload[name] = nil
            f()
        end
        require(name)
    end,
    ['the reader of a chunk'] = function(f)
        local called = false
        local chunk, err = load(function()
            if not called then
                called = true
                f()
            end
        end)
        if not chunk then error(err, 0) end
    end,
    ['a standard coroutine'] = function(f) coroutine.wrap(f)() end,
    ['two standard coroutines'] = function(f)
        coroutine.wrap(function() coroutine.wrap(f)() end)()
    end,
    ['a sort in a coroutine in pcall'] = function(f)
        local ok, err = pcall(coroutine.wrap(function()
            table.sort({1, 2}, function() f() return false end)
        end))
        if not ok then error(err, 0) end
    end,
}

if support.lua_version >= 5.2 then
    inside['a len metamethod'] = function(f) return #with('__len', f) end
    inside['a pairs metamethod'] = function(f)
        local object = setmetatable({}, {__pairs = function()
            f()
            return next, {}
        end})
        assert(pairs(object))
    end
end

if support.lua_version >= 5.4 then
    inside['a close metamethod'] = support.load [[
        local f = ...
        local object <close> = setmetatable({}, {__close = function()
            f()
        end})
    ]]
end

-------------------------------------------------------------------------------

describe('The coro module', function()
    it('has all its functions', function()
        for _, name in ipairs {
            'create', 'transfer', 'ptransfer', 'resume', 'yield', 'wrap',
            'safewrap', 'status', 'running', 'isyieldable', 'install',
        } do
            assert.equal('function', type(coro[name]), name)
        end
    end)

    it('is the same each time', function()
        assert.equal(coro, require 'coro')
    end)

    it('leaves the standard coroutines alone', function()
        assert.not_equal(coro, coroutine)
        assert.not_equal(coro.yield, coroutine.yield)
    end)
end)

describe('coro.create', function()
    hooks(after_each)

    it('returns a thread', function()
        local thread = coro.create(function() end)
        assert.equal('thread', type(thread))
        assert.equal(1, pack(coro.create(print)).n)
    end)

    it('returns a new thread each time', function()
        local function f() end
        assert.not_equal(coro.create(f), coro.create(f))
    end)

    it('does not run the function', function()
        local ran = false
        coro.create(function() ran = true end)
        assert.is_false(ran)
    end)

    it('takes a C function', function()
        assert.same(pack(true, 'xxx'),
            pack(coro.resume(coro.create(string.rep), 'x', 3)))
    end)

    it('takes a C function that calls back', function()
        local thread = coro.create(pcall)
        local results = pack(coro.resume(thread, function(...)
            return coro.yield(...)
        end, 1, nil))
        assert.same(pack(true, 1, nil), results)
        assert.same(pack(true, true, 2), pack(coro.resume(thread, 2)))
    end)

    it('wants a function', function()
        for _, name in ipairs {'create', 'wrap', 'safewrap'} do
            for _, value in ipairs {1, 'x', {}, true, coro.create(print)} do
                assert.matches('bad argument #1 .*function expected',
                               failure(coro[name], value))
            end
            assert.matches('bad argument #1 .*function expected',
                           failure(coro[name]))
            assert.matches("'" .. name .. "'", failure(support.load(
                "require 'coro'." .. name .. '(1)')))
        end
    end)
end)

describe('coro.transfer', function()
    hooks(after_each)

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
        for i = 1, 1000 do
            threads[i] = coro.create(function()
                while true do
                    local value = coro.transfer(main)
                    sum = sum + value
                end
            end)
            coro.transfer(threads[i])
        end
        for _ = 1, 3 do
            for i = 1, 1000 do coro.transfer(threads[i], i) end
        end
        assert.equal(3 * 500500, sum)
    end)
end)

describe('A thread can transfer', function()
    hooks(after_each)

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
    hooks(after_each)

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

describe('coro.ptransfer', function()
    hooks(after_each)

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
        assert.matches('coro_spec%.lua:%d+: boom$', results[2])
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
        assert.is_nil(err)
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

describe('coro.resume', function()
    hooks(after_each)

    it('passes its first arguments as those of the function', function()
        passes_all(function(...)
            local got
            coro.resume(coro.create(function(...) got = pack(...) end), ...)
            return got
        end)
    end)

    it('returns true and what the function returns', function()
        passes_all(function(...)
            local results = pack(coro.resume(coro.create(function(...)
                return ...
            end), ...))
            assert.is_true(results[1])
            return pack(unpack(results, 2, results.n))
        end)
    end)

    it('returns true and what the thread yields', function()
        passes_all(function(...)
            local results = pack(coro.resume(coro.create(coro.yield), ...))
            assert.is_true(results[1])
            return pack(unpack(results, 2, results.n))
        end)
    end)

    it('passes its arguments to yield', function()
        passes_all(function(...)
            local got
            local thread = coro.create(function()
                got = pack(coro.yield())
            end)
            coro.resume(thread)
            coro.resume(thread, ...)
            return got
        end)
    end)

    it('passes its arguments to transfer', function()
        passes_all(function(...)
            local got
            local thread = coro.create(function()
                got = pack(coro.transfer(main))
            end)
            coro.transfer(thread)
            coro.resume(thread, ...)
            return got
        end)
    end)

    for name, around in pairs(inside) do
        it('passes any values into and out of ' .. name, function()
            local thread = coro.create(function(...)
                local list = pack(...)
                for _ = 1, 100 do
                    around(function()
                        list = pack(coro.yield(unpack(list, 1, list.n)))
                    end)
                end
            end)
            passes_all(function(...)
                local results = pack(coro.resume(thread, ...))
                assert.is_true(results[1])
                return pack(unpack(results, 2, results.n))
            end)
        end)
    end

    it('returns true alone when there are no values', function()
        local thread = coro.create(function() coro.yield() end)
        assert.same(pack(true), pack(coro.resume(thread)))
        assert.same(pack(true), pack(coro.resume(thread)))
    end)

    it('returns when the thread returns, wherever it has been', function()
        local a, b
        a = coro.create(function()
            coro.transfer(b)
            return 'from a'
        end)
        b = coro.create(function() coro.transfer(a) end)
        assert.same(pack(true, 'from a'), pack(coro.resume(a)))
        assert.equal('dead', coro.status(a))
        assert.equal('suspended', coro.status(b))
    end)

    it('returns to each of nested resumers', function()
        local log = {}
        local function nest(depth)
            log[#log + 1] = 'in ' .. depth
            if depth < 4 then
                assert.is_true((coro.resume(coro.create(nest), depth + 1)))
            end
            log[#log + 1] = 'out ' .. depth
        end
        nest(1)
        assert.same({
            'in 1', 'in 2', 'in 3', 'in 4',
            'out 4', 'out 3', 'out 2', 'out 1',
        }, log)
    end)

    it('nests 150 deep', function()
        local function nest(depth)
            if depth == 150 then return depth end
            local ok, value = coro.resume(coro.create(nest), depth + 1)
            assert(ok, value)
            return value
        end
        assert.equal(150, nest(1))
    end)

    it('nests 80 deep and comes back one by one', function()
        local function nest(depth)
            coro.yield(depth)
            if depth == 80 then return end
            local inner = coro.wrap(function() nest(depth + 1) end)
            for value in inner do coro.yield(value) end
        end
        local sum = 0
        for value in coro.wrap(function() nest(1) end) do
            sum = sum + value
        end
        assert.equal(80 * 81 / 2, sum)
    end)

    it('nests ever deeper until an error says why not', function()
        local deepest = some(10000, 100)
        local function nest(depth)
            if depth == deepest then return depth end
            local ok, value = coro.resume(coro.create(nest), depth + 1)
            if not ok then error(value, 0) end
            return value
        end
        local ok, value = pcall(nest, 1)
        if ok then assert.equal(deepest, value)
        else assert.equal('string', type(value)) end
    end)

    it('may make another thread the resumer', function()
        local thread = coro.create(function()
            coro.yield(1)
            coro.yield(2)
        end)
        local other = coro.create(function() return coro.resume(thread) end)
        assert.same(pack(true, 1), pack(coro.resume(thread)))
        assert.same(pack(true, true, 2), pack(coro.resume(other)))
        assert.same(pack(true), pack(coro.resume(thread)))
    end)

    it('refuses a dead thread', function()
        local thread = coro.create(function() end)
        coro.resume(thread)
        for _ = 1, 2 do
            local ok, err = coro.resume(thread, 1, 2)
            assert.is_false(ok)
            assert.equal('cannot resume dead coroutine', err)
        end
    end)

    it('refuses a thread that has failed', function()
        local thread = coro.create(error)
        coro.resume(thread, 'boom')
        local ok, err = coro.resume(thread)
        assert.is_false(ok)
        assert.equal('cannot resume dead coroutine', err)
    end)

    it('of the running thread raises an error', function()
        local err
        coro.wrap(function()
            err = failure(coro.resume, (coro.running()))
        end)()
        assert.matches('trying to resume the running thread', err)
    end)

    it('of the running thread raises also in a nested coroutine', function()
        local err
        coro.wrap(function()
            local me = coro.running()
            coroutine.wrap(function() err = failure(coro.resume, me) end)()
        end)()
        assert.matches('trying to resume the running thread', err)
    end)

    it('of the main program raises an error in a thread', function()
        local err
        coro.wrap(function() err = failure(coro.resume, main, 1) end)()
        assert.matches('trying to resume the main thread', err)
    end)

    it('of the main program raises an error in it', function()
        assert.matches('trying to resume the %a+ thread',
                       failure(coro.resume, main))
    end)

    it('survives one that resumes its resumer', function()
        local outer
        outer = coro.create(function()
            coro.resume(coro.create(function()
                pcall(coro.resume, outer)
            end))
        end)
        pcall(coro.resume, outer)
        assert.same(pack(true, 1),
                    pack(coro.resume(coro.create(function() return 1 end))))
    end)
end)

describe('A resume that a transfer to the resumer has ended', function()
    hooks(after_each)

    -- Starts a parent that resumes a child, which transfers to the parent,
    -- which then does what follows says. Returns the child, which goes on
    -- with what then_does says, and the parent.
    local function orphan(follows, then_does)
        local parent, child
        parent = coro.create(function()
            assert.same(pack(true, 'ended'), pack(coro.resume(child)))
            return follows()
        end)
        child = coro.create(function()
            coro.transfer(parent, 'ended')
            return then_does()
        end)
        coro.resume(parent)
        return child, parent
    end

    local follows = {
        ['has transferred'] = function() coro.transfer(main) end,
        ['has yielded'] = function() coro.yield() end,
        ['has ended'] = function() end,
        ['has failed'] = function() error {} end,
        ['resumes another'] = function()
            coro.resume(coro.create(function() coro.transfer(main) end))
        end,
    }

    for name, what in pairs(follows) do
        it('takes no yield when the resumer ' .. name, function()
            local err, yieldable
            local child, parent = orphan(what, function()
                yieldable = coro.isyieldable()
                err = failure(coro.yield, 'for nobody')
                coro.transfer(main, 'end')
            end)
            local status = coro.status(parent)
            assert.equal('end', coro.transfer(child))
            assert.is_false(yieldable)
            assert.matches('yielding from a non%-resumed thread', err)
            assert.equal(status, coro.status(parent))
        end)

        it('takes no end when the resumer ' .. name, function()
            local child, parent = orphan(what, function() return 1 end)
            local status = coro.status(parent)
            assert.matches('coroutine ended without transferring control',
                           failure(coro.transfer, child))
            assert.equal(status, coro.status(parent))
        end)

        it('takes no error when the resumer ' .. name, function()
            local value = {}
            local child, parent = orphan(what, function() error(value) end)
            local status = coro.status(parent)
            assert.equal(value, failure(coro.transfer, child))
            assert.equal(status, coro.status(parent))
        end)

        it('may be followed by another when the resumer ' .. name, function()
            local child = orphan(what, function()
                coro.yield 'yielded'
                return 'end'
            end)
            assert.same(pack(true, 'yielded'), pack(coro.resume(child)))
            assert.same(pack(true, 'end'), pack(coro.resume(child)))
        end)
    end

    it('lets two threads resume each other in turn', function()
        local parent, child
        local log = {}
        parent = coro.create(function()
            coro.resume(child)
            coro.transfer(child)
            error('boom', 0)
        end)
        child = coro.create(function()
            coro.transfer(main)
            push(log, pack(coro.resume(parent)))
            coro.transfer(main)
        end)
        coro.transfer(parent)
        coro.transfer(parent)
        assert.equal(1, #log)
        assert.is_false(log[1][1])
        assert.equal('boom', log[1][2])
        assert.matches('^stack traceback:', log[1][3])
    end)
end)

describe('An error in a resumed thread', function()
    hooks(after_each)

    it('is returned with a traceback', function()
        local function culprit() error 'boom' end
        local results = pack(coro.resume(coro.create(function()
            culprit()
        end)))
        assert.equal(3, results.n)
        assert.is_false(results[1])
        assert.matches('coro_spec%.lua:%d+: boom$', results[2])
        assert.matches('^stack traceback:\n', results[3])
        assert.matches('culprit', results[3])
    end)

    it('is returned as it is when it is no string', function()
        for _, value in ipairs {{}, true, false, print, main} do
            local ok, err, traceback = coro.resume(coro.create(error), value)
            assert.is_false(ok)
            assert.equal(value, err)
            assert.matches('^stack traceback:', traceback)
        end
        local results = pack(coro.resume(coro.create(error), nil))
        assert.equal(3, results.n)
        assert.is_false(results[1])
        assert.is_nil(results[2])
    end)

    it('is returned after it has yielded', function()
        local thread = coro.create(function()
            coro.yield()
            error('boom', 0)
        end)
        assert.is_true((coro.resume(thread)))
        local ok, err = coro.resume(thread)
        assert.is_false(ok)
        assert.equal('boom', err)
        assert.equal('dead', coro.status(thread))
    end)

    for name, around in pairs(inside) do
        it('is returned when it was raised inside ' .. name, function()
            local value = {}
            local thread = coro.create(function()
                around(function()
                    coro.yield()
                    error(value)
                end)
            end)
            assert.is_true((coro.resume(thread)))
            local ok, err, traceback = coro.resume(thread)
            assert.is_false(ok)
            assert.equal(value, err)
            assert.matches('^stack traceback:', traceback)
            assert.equal('dead', coro.status(thread))
        end)
    end

    it('raised by Lua itself is returned', function()
        local ok, err, traceback = coro.resume(coro.create(function()
            local nothing = nil
            return nothing.field
        end))
        assert.is_false(ok)
        assert.matches('attempt to index', err)
        assert.matches('^stack traceback:', traceback)
    end)

    it('from a stack overflow is returned', function()
        local ok, err = coro.resume(coro.create(function()
            local function deeper() return 1 + deeper() end
            deeper()
        end))
        assert.is_false(ok)
        assert.matches('stack overflow', err)
    end)

    it('goes to the resumer only, which can go on', function()
        local log = {}
        local outer = coro.create(function()
            local ok, err = coro.resume(coro.create(function()
                error('boom', 0)
            end))
            log[#log + 1] = tostring(ok) .. ' ' .. err
            coro.yield()
            log[#log + 1] = 'end'
        end)
        assert.is_true((coro.resume(outer)))
        assert.is_true((coro.resume(outer)))
        assert.same({'false boom', 'end'}, log)
    end)

    it('has the traceback of all its resumers', function()
        local traceback
        local function innermost_function() error 'boom' end
        local function middle_function()
            local _
            _, _, traceback = coro.resume(coro.create(function()
                innermost_function()
            end))
        end
        local function outer_function()
            assert.is_true((coro.resume(coro.create(function()
                middle_function()
            end))))
        end
        assert.is_true((coro.resume(coro.create(function()
            outer_function()
        end))))
        assert.matches('innermost_function.*middle_function.*outer_function',
                       traceback)
    end)

    it('is raised by wrap with the traceback of the chain', function()
        local function innermost_function() error 'boom' end
        local function outer_function()
            coro.wrap(function() innermost_function() end)()
        end
        local err = failure(coro.wrap(function() outer_function() end))
        assert.matches('^[^\n]*coro_spec%.lua:%d+: boom\nstack traceback:\n',
                       err)
        assert.matches('innermost_function.*outer_function', err)
        assert.equal(1, count(err, 'boom'))
        assert.equal(1, count(err, 'stack traceback:'))
    end)

    it('that passes wrap and resume has one traceback', function()
        local ok, err, traceback = coro.resume(coro.create(function()
            coro.wrap(function() error('boom', 0) end)()
        end))
        assert.is_false(ok)
        assert.matches('^boom', err)
        assert.equal(1, count(err .. '\n' .. traceback, 'boom'))
        assert.is_true(count(err, 'stack traceback:') <= 1)
        assert.equal(1, count(traceback, 'stack traceback:'))
    end)

    it('is returned to the resumer also after transfers', function()
        local ok, err
        local thread = coro.create(function()
            coro.transfer(main, 'suspended')
            error('boom', 0)
        end)
        local outer = coro.create(function()
            ok, err = coro.resume(thread)
            coro.transfer(main, 'outer')
        end)
        assert.equal('suspended', coro.transfer(outer))
        assert.equal('outer', coro.transfer(thread))
        assert.is_false(ok)
        assert.equal('boom', err)
    end)

    it('can be caught in the thread across transfers', function()
        local ok, err
        local thread = coro.create(function()
            ok, err = pcall(function()
                coro.yield()
                error('boom', 0)
            end)
            return 'fine'
        end)
        coro.resume(thread)
        assert.same(pack(true, 'fine'), pack(coro.resume(thread)))
        assert.is_false(ok)
        assert.equal('boom', err)
    end)
end)

describe('An error in a thread entered by transfer', function()
    hooks(after_each)

    it('is raised in the main program', function()
        local function culprit() error 'boom' end
        local err = failure(coro.transfer, coro.create(function()
            culprit()
        end))
        assert.matches('^[^\n]*coro_spec%.lua:%d+: boom\n', err)
        assert.matches('culprit', err)
        assert.equal(1, count(err, 'boom'))
        assert.equal(1, count(err, 'stack traceback:'))
    end)

    it('is raised as it is when it is no string', function()
        for _, value in ipairs {{}, true, false, print, main} do
            assert.equal(value, failure(coro.transfer, coro.create(error),
                                        value))
        end
        assert.is_nil(failure(coro.transfer, coro.create(error), nil))
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

describe('coro.yield', function()
    hooks(after_each)

    it('in the main program raises an error', function()
        assert.matches('yielding from the main thread', failure(coro.yield))
        assert.matches('yielding from the main thread',
                       failure(coro.yield, 1, 2))
    end)

    it('in a thread nobody resumed raises an error', function()
        local err
        coro.transfer(coro.create(function()
            err = failure(coro.yield, 1)
            coro.transfer(main)
        end))
        assert.matches('yielding from a non%-resumed thread', err)
    end)

    it('in a thread that a resumed one transferred to raises', function()
        local err
        local thread = coro.create(function()
            local me = coro.running()
            coro.transfer(coro.create(function()
                err = failure(coro.yield)
                coro.transfer(me)
            end))
        end)
        assert.is_true((coro.resume(thread)))
        assert.matches('yielding from a non%-resumed thread', err)
    end)

    it('yields to the resumer, whoever transferred to the thread',
    function()
        local thread = coro.create(function()
            local value = coro.transfer(main, 'suspended')
            coro.yield('yielded ' .. value)
        end)
        local log = {}
        local outer = coro.create(function()
            log[#log + 1] = select(2, coro.resume(thread))
            coro.transfer(main, 'outer')
        end)
        assert.equal('suspended', coro.transfer(outer))
        assert.equal('outer', coro.transfer(thread, 'x'))
        assert.same({'yielded x'}, log)
    end)

    it('yields the thread, not a standard coroutine in it', function()
        local iterator = coro.wrap(function()
            local nested = coroutine.wrap(function()
                coro.yield 'coro'
                coroutine.yield 'coroutine'
            end)
            nested()
            return nested() or 'ended'
        end)
        assert.equal('coro', iterator())
        assert.equal('ended', iterator())
    end)
end)

describe('coro.wrap', function()
    hooks(after_each)

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
        assert.matches('^[^\n]*coro_spec%.lua:%d+: boom\nstack traceback:\n',
                       err)
        assert.matches('culprit', err)
        assert.equal(1, count(err, 'stack traceback:'))
    end)

    it('raises an error that is no string as it is', function()
        for _, value in ipairs {{}, true, false, print, main} do
            assert.equal(value, failure(coro.wrap(error), value))
        end
        assert.is_nil(failure(coro.wrap(error), nil))
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
    hooks(after_each)

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

    it('yields to who calls it now, not to who made it', function()
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
        assert.matches('coro_spec%.lua:%d+: boom', err)
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

describe('coro.running', function()
    hooks(after_each)

    it('is the main thread and true in the main program', function()
        local results = pack(coro.running())
        assert.equal(2, results.n)
        assert.equal('thread', type(results[1]))
        assert.is_true(results[2])
    end)

    it('is the thread and false in a thread', function()
        local results
        local thread = coro.create(function()
            results = pack(coro.running())
            coro.transfer(main)
        end)
        coro.transfer(thread)
        assert.same(pack(thread, false), results)
        thread = coro.create(function() results = pack(coro.running()) end)
        coro.resume(thread)
        assert.same(pack(thread, false), results)
    end)

    it('is the thread of a wrapped function', function()
        local outer, inner, ismain
        coro.wrap(function()
            outer = coro.running()
            coro.wrap(function() inner, ismain = coro.running() end)()
            assert.equal(outer, (coro.running()))
        end)()
        assert.equal('thread', type(inner))
        assert.is_false(ismain)
        assert.not_equal(outer, inner)
        assert.not_equal(main, outer)
    end)

    for name, around in pairs(inside) do
        it('is the thread inside ' .. name, function()
            local thread, before, after, ismain
            thread = coro.create(function()
                around(function()
                    before = coro.running()
                    coro.yield()
                    after, ismain = coro.running()
                end)
            end)
            coro.resume(thread)
            assert.equal(main, (coro.running()))
            coro.resume(thread)
            assert.equal(thread, before)
            assert.equal(thread, after)
            assert.is_false(ismain)
        end)
    end

    it('is right after each transfer', function()
        local a, b
        local seen = {}
        local function note() seen[#seen + 1] = coro.running() end
        a = coro.create(function()
            note()
            coro.transfer(b)
            note()
            coro.transfer(main)
        end)
        b = coro.create(function()
            note()
            coro.transfer(a)
        end)
        coro.transfer(a)
        note()
        assert.equal(4, #seen)
        assert.equal(a, seen[1])
        assert.equal(b, seen[2])
        assert.equal(a, seen[3])
        assert.equal(main, seen[4])
    end)

    it('is right after an error', function()
        local outer
        local seen
        outer = coro.create(function()
            coro.resume(coro.create(error), {})
            pcall(coro.wrap(error), {})
            seen = coro.running()
        end)
        coro.resume(outer)
        assert.equal(outer, seen)
        pcall(coro.transfer, coro.create(error), {})
        assert.equal(main, (coro.running()))
    end)
end)

describe('coro.status', function()
    hooks(after_each)

    it('is running for the running thread', function()
        assert.equal('running', coro.status(main))
        assert.equal('running', coro.wrap(function()
            return coro.status((coro.running()))
        end)())
    end)

    it('is running for the thread of a nested coroutine', function()
        assert.equal('running', coro.wrap(function()
            local me = coro.running()
            return coroutine.wrap(function() return coro.status(me) end)()
        end)())
    end)

    it('is suspended for a new thread', function()
        assert.equal('suspended', coro.status(coro.create(function() end)))
    end)

    it('is suspended for a thread that has transferred', function()
        local thread = coro.create(function() coro.transfer(main) end)
        coro.transfer(thread)
        assert.equal('suspended', coro.status(thread))
    end)

    it('is suspended for a thread that has yielded', function()
        local thread = coro.create(function() coro.yield() end)
        coro.resume(thread)
        assert.equal('suspended', coro.status(thread))
    end)

    for name, around in pairs(inside) do
        it('is suspended for a thread frozen inside ' .. name, function()
            local thread = coro.create(function()
                around(function() coro.transfer(main) end)
                around(function() coro.yield() end)
            end)
            coro.transfer(thread)
            assert.equal('suspended', coro.status(thread))
            coro.resume(thread)
            assert.equal('suspended', coro.status(thread))
            coro.resume(thread)
            assert.equal('dead', coro.status(thread))
        end)
    end

    it('is dead for a thread that has ended', function()
        local thread = coro.create(function() end)
        coro.resume(thread)
        assert.equal('dead', coro.status(thread))
    end)

    it('is dead for a thread that has failed', function()
        local thread = coro.create(error)
        coro.resume(thread)
        assert.equal('dead', coro.status(thread))
    end)

    it('is normal for a thread that has resumed the running one', function()
        local outer
        local statuses = {}
        outer = coro.create(function()
            coro.resume(coro.create(function()
                statuses[1] = coro.status(outer)
                coro.wrap(function()
                    statuses[2] = coro.status(outer)
                end)()
            end))
            statuses[3] = coro.status(outer)
        end)
        coro.resume(outer)
        assert.same({'normal', 'normal', 'running'}, statuses)
    end)

    it('returns one value', function()
        assert.equal(1, pack(coro.status(main)).n)
    end)
end)

describe('coro.isyieldable', function()
    hooks(after_each)

    it('is false in the main program', function()
        assert.same(pack(false), pack(coro.isyieldable()))
    end)

    it('is true in a resumed thread', function()
        local thread = coro.create(function()
            coro.yield(coro.isyieldable())
            return coro.isyieldable()
        end)
        assert.same(pack(true, true), pack(coro.resume(thread)))
        assert.same(pack(true, true), pack(coro.resume(thread)))
        assert.is_true(coro.wrap(coro.isyieldable)())
    end)

    it('is true inside whatever in a resumed thread', function()
        for name, around in pairs(inside) do
            local yieldable
            coro.wrap(function()
                around(function() yieldable = coro.isyieldable() end)
            end)()
            assert.is_true(yieldable, name)
        end
    end)

    it('is false in a thread entered by transfer', function()
        local yieldable
        coro.transfer(coro.create(function()
            yieldable = coro.isyieldable()
            coro.transfer(main)
        end))
        assert.is_false(yieldable)
    end)

    it('is false in a thread that a resumed one transferred to', function()
        local yieldable
        coro.wrap(function()
            local me = coro.running()
            coro.transfer(coro.create(function()
                yieldable = coro.isyieldable()
                coro.transfer(me)
            end))
        end)()
        assert.is_false(yieldable)
    end)
end)

describe('coro.install', function()
    hooks(after_each)

    local standard = coroutine
    after_each(function() _G.coroutine = standard end)   -- luacheck: ignore

    it('replaces coroutine and returns the old one', function()
        local results = pack(coro.install())
        local installed = _G.coroutine
        _G.coroutine = standard     -- luacheck: ignore
        assert.equal(1, results.n)
        assert.equal(standard, results[1])
        assert.equal(coro, installed)
    end)

    it('leaves the functions of the old one as they were', function()
        local old = coro.install()
        local got = {}
        for value in old.wrap(function()
            for i = 1, 3 do old.yield(i) end
        end) do
            got[#got + 1] = value
        end
        assert.same({1, 2, 3}, got)
    end)

    it('makes programs for coroutine run on coro', function()
        coro.install()
        local run = support.load [[
            local log = {}
            local function generator(n)
                return coroutine.wrap(function()
                    for i = 1, n do coroutine.yield(i) end
                end)
            end
            for value in generator(3) do log[#log + 1] = value end
            local co = coroutine.create(function(...)
                table.insert(log, (coroutine.yield(...)))
                error {}
            end)
            log[#log + 1] = coroutine.status(co)
            table.insert(log, (select(2, coroutine.resume(co, 'yielded'))))
            table.insert(log, tostring(coroutine.resume(co, 'resumed')))
            log[#log + 1] = coroutine.status(co)
            return log
        ]]
        assert.same({
            1, 2, 3, 'suspended', 'yielded', 'resumed', 'false', 'dead',
        }, run())
    end)

    it('lets a transfer pass through coroutine.wrap', function()
        coro.install()
        -- The innermost thread transfers, so it is the one to go back to.
        local reader
        local thread = coro.create(function()
            local list = {}
            for value in coroutine.wrap(function()
                reader = coroutine.running()
                for _ = 1, 3 do coroutine.yield((coro.transfer(main))) end
            end) do
                list[#list + 1] = value
            end
            coro.transfer(main, list)
        end)
        coro.transfer(thread)
        for i = 1, 2 do coro.transfer(reader, i) end
        assert.same({1, 2, 3}, coro.transfer(reader, 3))
    end)
end)

-------------------------------------------------------------------------------

describe('Garbage', function()
    hooks(after_each)

    -- Calls make() in a function of its own, so that no stack slot refers to
    -- its threads any more; the list it is given is weak.
    local function make(times, maker)
        local list = setmetatable({}, {__mode = 'k'})
        for _ = 1, times do maker(function(value)
            list[value] = true
            return value
        end) end
        -- What a dead slot of the stack may still refer to.
        maker(function(value) return value end)
        return list
    end

    local function alive(list)
        -- Compiled code of LuaJIT refers to what it was made for.
        if support.luajit then require 'jit'.flush() end
        for _ = 1, 4 do collectgarbage() end
        local total = 0
        for _ in pairs(list) do total = total + 1 end
        return total
    end

    it('is a thread that never ran', function()
        assert.equal(0, alive(make(10, function(keep)
            keep(coro.create(function() end))
        end)))
    end)

    it('is a wrapped function that never ran', function()
        assert.equal(0, alive(make(10, function(keep)
            local wrapper, thread = coro.safewrap(function() end)
            keep(wrapper)
            keep(thread)
            keep(coro.wrap(function() end))
        end)))
    end)

    it('is a thread that has ended', function()
        assert.equal(0, alive(make(10, function(keep)
            coro.resume(keep(coro.create(function() end)))
        end)))
    end)

    it('is a thread that ended without transferring', function()
        assert.equal(0, alive(make(10, function(keep)
            failure(coro.transfer, keep(coro.create(function() end)))
        end)))
    end)

    it('is a thread that has failed', function()
        assert.equal(0, alive(make(10, function(keep)
            coro.resume(keep(coro.create(error)), {})
            pcall(coro.transfer, keep(coro.create(error)), {})
        end)))
    end)

    it('is a thread whose transfer led to an error in main', function()
        assert.equal(0, alive(make(10, function(keep)
            local thread = keep(coro.create(function()
                coro.transfer(keep(coro.create(error)), {})
            end))
            pcall(coro.transfer, thread)
        end)))
    end)

    for name, around in pairs(inside) do
        it('is a thread that has transferred inside ' .. name, function()
            assert.equal(0, alive(make(10, function(keep)
                coro.transfer(keep(coro.create(function()
                    around(function() coro.transfer(main) end)
                end)))
            end)))
        end)

        it('is a thread that has yielded inside ' .. name, function()
            assert.equal(0, alive(make(10, function(keep)
                coro.resume(keep(coro.create(function()
                    around(function() coro.yield() end)
                end)))
            end)))
        end)

        it('is a thread frozen twice inside ' .. name, function()
            assert.equal(0, alive(make(10, function(keep)
                local thread = keep(coro.create(function()
                    around(function()
                        coro.yield()
                        coro.transfer(main)
                    end)
                end))
                coro.resume(thread)
                coro.resume(thread)
            end)))
        end)

        it('is a chain of resumed threads inside ' .. name, function()
            assert.equal(0, alive(make(10, function(keep)
                local function nest(depth)
                    around(function()
                        if depth == 3 then coro.transfer(main) end
                        coro.resume(keep(coro.create(nest)), depth + 1)
                    end)
                end
                coro.resume(keep(coro.create(nest)), 1)
            end)))
        end)

        it('is what a thread inside ' .. name .. ' refers to', function()
            assert.equal(0, alive(make(10, function(keep)
                local thread = keep(coro.create(function(argument)
                    local object = keep {}
                    around(function()
                        local other = keep {argument}
                        coro.transfer(main, other)
                    end)
                    return object
                end))
                coro.transfer(thread, keep {})
            end)))
        end)

        it('is not the resumer of a thread inside ' .. name, function()
            local inner, ended
            local list = setmetatable({}, {__mode = 'k'})
            local function start()
                local outer = coro.create(function()
                    around(function()
                        local ok, value = coro.resume(inner)
                        ended = pack(ok, value)
                    end)
                    coro.transfer(main, 'outer')
                end)
                list[outer] = true
                inner = coro.create(function()
                    around(function() coro.transfer(main) end)
                    return 'inner'
                end)
                coro.transfer(outer)
            end
            start()
            assert.equal(1, alive(list))
            assert.equal('outer', coro.transfer(inner))
            assert.same(pack(true, 'inner'), ended)
            inner = nil
            assert.equal(0, alive(list))
        end)
    end

    it('is an iterator that was not run to its end', function()
        assert.equal(0, alive(make(10, function(keep)
            for value in keep(coro.wrap(function()
                keep((coro.running()))
                for i = 1, 3 do coro.yield(i) end
            end)) do
                if value == 2 then break end
            end
        end)))
    end)

    it('is a safewrap that was not run to its end', function()
        assert.equal(0, alive(make(10, function(keep)
            local wrapper, thread = coro.safewrap(function(yield)
                coro.wrap(function()
                    keep((coro.running()))
                    yield(1)
                end)()
            end)
            keep(wrapper)
            keep(thread)
            wrapper()
        end)))
    end)

    it('is a thread that refers to itself', function()
        assert.equal(0, alive(make(10, function(keep)
            local thread
            thread = keep(coro.create(function()
                local me = coro.running()
                coro.transfer(main)
                return me, thread
            end))
            coro.transfer(thread)
        end)))
    end)

    it('is a ring of threads that refer to each other', function()
        assert.equal(0, alive(make(10, function(keep)
            local threads = {}
            for i = 1, 3 do
                threads[i] = keep(coro.create(function()
                    table.sort({1, 2}, function()
                        coro.transfer(threads[i + 1] or main)
                    end)
                end))
            end
            coro.transfer(threads[1])
        end)))
    end)

    it('is a relay of threads', function()
        assert.equal(0, alive(make(3, function(keep)
            local function runner(round)
                if round == 20 then coro.transfer(main) end
                coro.transfer(keep(coro.create(runner)), round + 1)
            end
            coro.transfer(keep(coro.create(runner)), 1)
        end)))
    end)

    it('is a thread of which only a nested coroutine is known', function()
        local nested
        local list = make(1, function(keep)
            coro.transfer(keep(coro.create(function()
                nested = coroutine.create(function() coro.transfer(main) end)
                coroutine.resume(nested)
            end)))
        end)
        alive(list)
        assert.is_false((coroutine.resume(nested)))
        assert.equal('string', type(debug.traceback(nested)))
        nested = nil
        assert.equal(0, alive(list))
    end)

    it('is a resumer whose resume has ended', function()
        local list = setmetatable({}, {__mode = 'k'})
        local child
        local function start()
            local parent = coro.create(function() coro.resume(child) end)
            list[parent] = true
            child = coro.create(function()
                table.sort({1, 2}, function()
                    if parent then coro.transfer(parent) end
                    parent = nil
                    return false
                end)
            end)
            coro.resume(parent)
        end
        start()
        assert.is_true((coro.resume(child)))
        assert.equal('dead', coro.status(child))
        assert.equal(0, alive(list))
    end)

    it('is not taken for a thread that has its place', function()
        for round = 1, some(1000, 100) / 40 do
            for _ = 1, 20 do
                coro.transfer(coro.create(function()
                    table.sort({1, 2}, function() coro.transfer(main) end)
                end))
            end
            if round % 2 == 0 then collectgarbage()
            else collectgarbage('step', 100) end
            for _ = 1, 20 do
                local thread = coro.create(error)
                coro.resume(thread, {})
                assert.equal('dead', coro.status(thread))
                local ok, err = coro.resume(thread)
                assert.is_false(ok)
                assert.equal('cannot resume dead coroutine', err)
            end
        end
    end)

    it('is not a suspended thread somebody refers to', function()
        for name, around in pairs(inside) do
            local thread = coro.create(function()
                around(function() coro.transfer(main) end)
                coro.transfer(main, 'end')
            end)
            coro.transfer(thread)
            support.collect()
            assert.equal('end', coro.transfer(thread), name)
        end
    end)

    it('is not who is running while others are suspended', function()
        local got
        local thread = coro.create(function()
            local inner = coro.wrap(function()
                support.collect()
                coro.yield(1)
                support.collect()
                coro.yield(2)
            end)
            got = {inner(), inner()}
        end)
        coro.resume(thread)
        assert.same({1, 2}, got)
    end)

    it('is collected while a thread runs', function()
        local list
        coro.wrap(function()
            local me = coro.running()
            list = make(10, function(keep)
                coro.transfer(keep(coro.create(function()
                    table.sort({1, 2}, function() coro.transfer(me) end)
                end)))
            end)
            assert.equal(0, alive(list))
        end)()
    end)

    it('gives its C stacks back', function()
        for _ = 1, some(2000, 100) / 100 do
            local list = make(300, function(keep)
                coro.transfer(keep(coro.create(function()
                    table.sort({1, 2}, function() coro.transfer(main) end)
                end)))
            end)
            assert.equal(0, alive(list))
        end
    end)

    for _, name in ipairs {'a Lua function', 'a sort comparator', 'pcall'} do
        local around = inside[name]

        it('has finalizers that use iterators inside ' .. name, function()
            local done = 0
            local function finalizer()
                for value in coro.wrap(function()
                    around(function() coro.yield(1) end)
                    around(function() coro.yield(2) end)
                end) do
                    done = done + value
                end
            end
            for _ = 1, 3 do
                if support.lua_version >= 5.2 then
                    setmetatable({}, {__gc = finalizer})
                else
                    getmetatable(newproxy(true)).__gc = finalizer
                end
            end
            support.collect()
            support.collect()
            assert.equal(9, done)
        end)

        it('has finalizers that transfer inside ' .. name, function()
            local got = {}
            local thread = coro.create(function(thread)
                while true do
                    around(function() thread = coro.transfer(thread, 'x') end)
                end
            end)
            local function finalizer()
                around(function()
                    got[#got + 1] = coro.transfer(thread, (coro.running()))
                end)
            end
            coro.wrap(function()
                for _ = 1, 3 do
                    if support.lua_version >= 5.2 then
                        setmetatable({}, {__gc = finalizer})
                    else
                        getmetatable(newproxy(true)).__gc = finalizer
                    end
                end
                support.collect()
                support.collect()
            end)()
            assert.same({'x', 'x', 'x'}, got)
        end)
    end
end)

describe('A program that meddles with the threads', function()
    hooks(after_each)

    -- Whatever becomes of the thread, the module must work on.
    local function works()
        local list = {}
        for value in coro.wrap(function()
            table.sort({1, 2}, function() coro.yield(1) return false end)
            coro.yield(2)
        end) do
            list[#list + 1] = value
        end
        assert.same({1, 2}, list)
        assert.equal('back', coro.transfer(coro.create(function()
            coro.transfer(main, 'back')
        end)))
    end

    -- Threads in all the states that a program can lay hands on.
    local function threads()
        local list = {['a new thread'] = coro.create(function() end)}
        for name, around in pairs(inside) do
            local function handler()
                around(function() coro.yield() end)
                around(function() coro.transfer(main) end)
                return 'end'
            end
            local thread = coro.create(handler)
            coro.resume(thread)
            list['a thread that yielded in ' .. name] = thread
            thread = coro.create(handler)
            coro.resume(thread)
            coro.resume(thread)
            list['a thread that transferred in ' .. name] = thread
            thread = coro.create(function()
                around(function() coro.transfer(main) end)
                coro.transfer(main)
            end)
            coro.transfer(thread)
            list['a transferred thread in ' .. name] = thread
        end
        return list
    end

    it('may resume them with coroutine.resume', function()
        for _, thread in pairs(threads()) do
            pcall(coroutine.resume, thread)
            pcall(coroutine.resume, thread, 1)
            works()
        end
    end)

    it('may resume them so and then transfer to them', function()
        for _, thread in pairs(threads()) do
            pcall(coroutine.resume, thread)
            pcall(coro.transfer, thread)
            pcall(coro.resume, thread)
            works()
        end
    end)

    it('may ask for their status and traceback', function()
        for name, thread in pairs(threads()) do
            assert.equal('string', type(coroutine.status(thread)), name)
            assert.matches('stack traceback', debug.traceback(thread))
        end
        works()
    end)

    if coroutine.close then
        it('may close them', function()
            for _, thread in pairs(threads()) do
                pcall(coroutine.close, thread)
                works()
                pcall(coro.resume, thread)
                pcall(coro.transfer, thread)
                works()
            end
        end)
    end

    it('may yield with coroutine.yield', function()
        for name, around in pairs(inside) do
            local thread = coro.create(function()
                around(function() coroutine.yield(1) end)
                return 2
            end)
            for _ = 1, 3 do pcall(coro.resume, thread) end
            works()
            thread = coro.create(function()
                around(function() coroutine.yield(1) end)
                coro.transfer(main)
            end)
            for _ = 1, 3 do pcall(coro.transfer, thread) end
            assert.equal('string', type(coro.status(thread)), name)
            works()
        end
    end)

    it('may hand over coroutines of its own', function()
        for _, name in ipairs {'transfer', 'ptransfer', 'resume', 'status'} do
            local f = coro[name]
            local co = coroutine.create(function() return 1 end)
            pcall(f, co)
            works()
            co = coroutine.create(function()
                coroutine.yield()
                coro.transfer(main)
            end)
            coroutine.resume(co)
            pcall(f, co)
            works()
            pcall(f, co)
            works()
            co = coroutine.create(function()
                pcall(f, co)
                coroutine.wrap(function() pcall(f, co) end)()
            end)
            coroutine.resume(co)
            pcall(f, co)
            works()
        end
    end)

    it('may transfer to coroutines nested in threads', function()
        for _, name in ipairs {'transfer', 'ptransfer', 'resume', 'status'} do
            local f = coro[name]
            local nested
            local thread = coro.create(function()
                nested = coroutine.create(function() coro.yield() end)
                coroutine.resume(nested)
            end)
            coro.resume(thread)
            pcall(f, nested)
            works()
            assert.is_true((coro.resume(thread)))
        end
    end)

    it('may transfer in a message handler', function()
        local thread = coro.create(function()
            xpcall(error, function() coro.transfer(main, 'handler') end)
            coro.transfer(main, 'end')
        end)
        assert.equal('handler', coro.transfer(thread))
        assert.equal('end', coro.transfer(thread))
        works()
    end)
end)

-------------------------------------------------------------------------------

describe('A script', function()
    teardown(process.cleanup)

    -- Runs a script, which must succeed, and returns what it prints.
    local function output(code, before)
        local status, text = process.lua(code, before)
        assert.equal(0, status, text)
        return text
    end

    -- What a script can do with coro wherever it has loaded it; prints ok.
    local use = [[
        local function use(coro)
            local sum = 0
            for value in coro.wrap(function()
                table.sort({1, 2}, function() coro.yield(1) return false end)
                pcall(coro.yield, 10)
                for k in coro.wrap(function() coro.yield(100) end) do
                    coro.yield(k)
                end
            end) do
                sum = sum + value
            end
            assert(sum == 111)
            local here = coro.running()
            assert(type(here) == 'thread')
            local thread = coro.create(function(...)
                coro.transfer(here, coro.transfer(here, ...))
            end)
            assert(coro.transfer(thread, 1) == 1)
            assert(coro.transfer(thread, 2) == 2)
            io.write 'ok '
        end
    ]]

    it('needs no LuaSocket', function()
        assert.equal('ok ', output(use .. [[
            for _, name in ipairs {'socket', 'socket.core'} do
                package.preload[name] = function() error 'not here' end
            end
            use(require 'coro')
        ]]))
    end)

    it('may load coro in a coroutine', function()
        assert.equal('ok ', output(use .. [[
            local coro = coroutine.wrap(function() return require 'coro' end)()
            local thread, ismain = coro.running()
            assert(type(thread) == 'thread' and ismain == true)
            use(coro)
        ]]))
    end)

    it('may load coro in a coroutine and use it there', function()
        assert.equal('ok ok ', output(use .. [[
            coroutine.wrap(function() use(require 'coro') end)()
            use(require 'coro')
        ]]))
    end)

    it('may load coro in a coroutine that is then garbage', function()
        assert.equal('ok ok ', output(use .. [[
            coroutine.wrap(function() require 'coro' end)()
            collectgarbage()
            collectgarbage()
            use(require 'coro')
            coroutine.wrap(function() use(require 'coro') end)()
        ]]))
    end)

    it('may load coro in a coroutine and use it in another', function()
        assert.equal('ok ok ok ', output(use .. [[
            local co = coroutine.create(function()
                require 'coro'
                coroutine.yield()
                use(require 'coro')
            end)
            coroutine.resume(co)
            coroutine.wrap(function() use(require 'coro') end)()
            assert(coroutine.resume(co))
            use(require 'coro')
        ]]))
    end)

    it('may load coro before socketloop', function()
        assert.equal('ok ', output(use .. [[
            local coro = require 'coro'
            local loop = require 'socketloop'
            use(coro)
            local running
            local thread = loop.coro.newthread(function()
                running = coro.running()
            end)
            assert(thread == running)
        ]]))
    end)

    it('may load coro after socketloop', function()
        assert.equal('ok ', output(use .. [[
            local loop = require 'socketloop'
            local thread = loop.coro.newthread(function(...)
                loop.coro.suspend(...)
            end)
            local coro = require 'coro'
            assert(coro.status(thread) == 'suspended')
            use(coro)
        ]]))
    end)

    it('may load coro in a loop thread', function()
        for _, name in ipairs {'socketloop', 'socketloop.coro'} do
            assert.equal('ok ok ok ', output(use .. [[
                local loop = require ']] .. name .. [['
                loop.newthread(function()
                    use(require 'coro')
                    loop.sleep(0)
                    use(require 'coro')
                end)
                loop.start()
                use(require 'coro')
            ]]))
        end
    end)

    it('may load coro alone, then socketloop in one of its threads',
    function()
        assert.equal('ok slept ', output(use .. [[
            local coro = require 'coro'
            coro.wrap(function()
                local loop = require 'socketloop'
                loop.newthread(function()
                    loop.sleep(0)
                    io.write 'slept '
                end)
                use(coro)
            end)()
            require 'socketloop'.start()
        ]]))
    end)

    it('may load it twice, as two names do', function()
        assert.equal('ok ok ', output(use .. [[
            local coro = require 'coro'
            package.loaded.coro = nil
            local again = require 'coro'
            local main = coro.running()
            assert(main == again.running())
            coro.transfer(coro.create(function()
                local value
                for v in again.wrap(function() coro.yield(7) end) do
                    value = v
                end
                assert(value == 7)
                assert(coro.running() == again.running())
                again.transfer(main)
            end))
            use(coro)
            use(again)
        ]]))
    end)

    -- Threads of all kinds, which are there when the script ends.
    local leave = [[
        local coro = require 'coro'
        local main = coro.running()
        kept = {}
        for i = 1, 40 do
            local function handler()
                if i % 4 == 0 then coro.transfer(main)
                elseif i % 4 == 1 then
                    table.sort({1, 2}, function() coro.transfer(main) end)
                elseif i % 4 == 2 then
                    coro.wrap(function()
                        pcall(function() coro.transfer(main) end)
                    end)()
                else
                    coroutine.wrap(function() coro.transfer(main) end)()
                end
            end
            local thread = coro.create(handler)
            if i % 2 == 0 then kept[i] = thread end
            coro.transfer(thread)
        end
    ]]

    it('may end with threads suspended', function()
        assert.equal('end', output(leave .. "io.write 'end'"))
    end)

    it('may fail with threads suspended', function()
        local status, text = process.lua(leave .. "error 'on purpose'")
        assert.equal(1, status, text)
        assert.matches('on purpose', text)
    end)

    it('may exit from a thread', function()
        for _, exit in ipairs {'os.exit(7)', 'os.exit(7, true)'} do
            local status, text = process.lua(leave .. [[
                coro.transfer(coro.create(function()
                    table.sort({1, 2}, function() ]] .. exit .. [[ end)
                end))
            ]])
            assert.equal(7, status, text)
        end
    end)

    it('may be ended by an error in a thread', function()
        local status, text = process.lua(leave .. [[
            coro.transfer(coro.create(function() error 'on purpose' end))
        ]])
        assert.equal(1, status, text)
        assert.matches('on purpose', text)
    end)

    it('may have finalizers that transfer when it ends', function()
        local status, text = process.lua(leave .. [[
            local function finalizer()
                pcall(function()
                    for _ in coro.wrap(function() coro.yield(1) end) do end
                end)
                for _, thread in pairs(kept) do
                    pcall(coro.transfer, thread)
                end
            end
            if newproxy then
                kept.proxy = newproxy(true)
                getmetatable(kept.proxy).__gc = finalizer
            else
                setmetatable(kept, {__gc = finalizer})
            end
            io.write 'end'
        ]])
        assert.equal(0, status, text)
        assert.equal('end', text)
    end)
end)
