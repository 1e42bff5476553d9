-- Threads of coro that are no longer referred to.

local coro = require 'coro'
local places = require 'places'
local support = require 'support'

local pack, failure, some = support.pack, support.failure, support.some
local alive, inside = support.alive, places.passing

-- Specs run in the main program's thread.
local main = coro.running()

describe('Garbage', function()
    support.ends_in_main(after_each)

    -- Calls make() in a function of its own, so that no stack slot refers to
    -- its threads. The list passed to it is weak.
    local function make(times, maker)
        local list = setmetatable({}, {__mode = 'k'})
        for _ = 1, times do maker(function(value)
            list[value] = true
            return value
        end) end
        -- Overwrites a dead stack slot, which may still refer to a thread.
        maker(function(value) return value end)
        return list
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

    it('is not a suspended thread that is referred to', function()
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

    it('is not a running thread while others are suspended', function()
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

        -- All but 5.1 refuse the transfer, since the collector is off in a
        -- finalizer.
        it('has finalizers that transfer inside ' .. name, function()
            if _VERSION ~= 'Lua 5.1' or support.luajit then return end
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
                    getmetatable(newproxy(true)).__gc = finalizer
                end
                support.collect()
                support.collect()
            end)()
            assert.same({'x', 'x', 'x'}, got)
        end)
    end
end)
