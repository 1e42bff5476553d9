-- coro.resume and yield, alone and combined with transfer.

local coro = require 'coro'
local lists = require 'value_lists'
local places = require 'places'
local support = require 'support'

local pack, unpack, failure = support.pack, support.unpack, support.failure
local push, some = support.push, support.some
local passes_all, inside = lists.passes_all, places.passing

-- Specs run in the main program's thread.
local main = coro.running()

describe('coro.resume', function()
    support.ends_in_main(after_each)

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
    support.ends_in_main(after_each)

    -- Starts a parent that resumes a child. The child transfers to the parent,
    -- which then calls follows. Returns the child, which calls then_does when
    -- it continues, and the parent.
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

describe('coro.yield', function()
    support.ends_in_main(after_each)

    it('in the main program raises an error', function()
        assert.matches('yielding from the main thread', failure(coro.yield))
        assert.matches('yielding from the main thread',
                       failure(coro.yield, 1, 2))
    end)

    it('in a thread that was not resumed raises an error', function()
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

    it('yields to the resumer, not to a thread that transferred',
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
