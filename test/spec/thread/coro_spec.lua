-- The coro module: all functions except those that switch threads.

local coro = require 'coro'
local places = require 'places'
local support = require 'support'

local pack, failure, inside = support.pack, support.failure, places.passing

-- Specs run in the main program's thread.
local main = coro.running()

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
    support.ends_in_main(after_each)

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

describe('coro.running', function()
    support.ends_in_main(after_each)

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
    support.ends_in_main(after_each)

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
    support.ends_in_main(after_each)

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

    it('is true at any place in a resumed thread', function()
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
    support.ends_in_main(after_each)

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
        -- The innermost thread transfers, so control returns to that thread.
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
