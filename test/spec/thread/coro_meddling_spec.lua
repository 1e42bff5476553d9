-- Threads of coro to which the functions of coroutine are applied.

local coro = require 'coro'
local places = require 'places'
local support = require 'support'

local inside = places.passing

-- Specs run in the main program's thread.
local main = coro.running()

describe('A program that misuses the threads', function()
    support.ends_in_main(after_each)

    -- Asserts that the module still works, whatever has become of the thread.
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

    -- Threads in all the states that a program can get hold of.
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
