-- Threads that are no longer referred to, and programs that misuse threads.

local loop = require 'socketloop'
local places = require 'places'
local support = require 'support'

local run, drain, alive = support.run, support.drain, support.alive

-- Places around suspend() in which a suspended thread is frozen on some Lua.
local inside = places.few {
    ['a coroutine of its own'] = places.passing['a standard coroutine'],
}

describe('a program that misuses the threads', function()
    support.hooks(before_each, after_each)

    -- Asserts that the loop still works, whatever has become of the thread.
    local function works()
        assert.equal('fine', run(function()
            loop.sleep(0)
            return 'fine'
        end))
    end

    it('may resume a sleeping thread with coroutine.resume', function()
        local thread = loop.newthread(function() loop.sleep(0.002) end)
        pcall(coroutine.resume, thread)
        works()
        drain()
    end)

    it('may resume it when it goes on to wait again', function()
        local thread = loop.newthread(function()
            for _ = 1, 3 do loop.sleep(0.002) end
        end)
        pcall(coroutine.resume, thread)
        pcall(coroutine.resume, thread)
        works()
        drain()
    end)

    it('may resume a suspended thread with coroutine.resume', function()
        local thread = loop.newthread(function()
            loop.suspend()
            loop.sleep(0)
        end)
        pcall(coroutine.resume, thread)
        works()
        drain()
    end)

    it('may resume a thread frozen in a C function', function()
        local ended = false
        local thread = loop.newthread(function()
            table.sort({1, 2}, function() loop.sleep(0.002) return false end)
            ended = true
        end)
        assert.is_false((coroutine.resume(thread)))
        works()
        drain()
        assert.is_true(ended)
    end)

    it('may resume a nested coroutine that waits', function()
        local nested, ended
        loop.newthread(function()
            nested = coroutine.create(function() loop.sleep(0.002) end)
            ended = coroutine.resume(nested)
        end)
        assert.is_false((coroutine.resume(nested)))
        works()
        drain()
        assert.is_true(ended)
    end)

    if coroutine.close then
        it('may close a thread that waits', function()
            local thread = loop.newthread(function() loop.sleep(0.002) end)
            pcall(coroutine.close, thread)
            works()
            drain()
        end)

        it('may close a thread that waits for I/O', function()
            local listener = loop.tcp('127.0.0.1', 0)
            listener:listen()
            local thread = loop.newthread(function() listener:accept() end)
            pcall(coroutine.close, thread)
            works()
            listener:close()
            drain()
        end)

        it('may try to close a frozen thread', function()
            local ended = false
            local thread = loop.newthread(function()
                table.sort({1, 2}, function()
                    loop.sleep(0.002)
                    return false
                end)
                ended = true
            end)
            assert.is_false((pcall(coroutine.close, thread)))
            works()
            drain()
            assert.is_true(ended)
        end)
    end

    it('may look at the traceback of a waiting thread', function()
        for name, around in pairs(inside) do
            local thread = loop.newthread(function()
                local function sleeper() loop.sleep(0) end
                around(sleeper)
            end)
            local text = debug.traceback(thread)
            assert.matches('stack traceback', text, nil, nil, name)
            drain()
        end
    end)

    it('may hand resume a coroutine of its own', function()
        pcall(loop.resume, coroutine.create(function() end))
        pcall(loop.resume, coroutine.create(function() loop.suspend() end))
        pcall(loop.resume, (coroutine.running()))
        works()
    end)
end)

describe('garbage', function()
    support.hooks(before_each, after_each)

    -- Makes count threads in a function of its own, so that no stack slot
    -- refers to them. The list is weak.
    local function make(count, handler)
        local list = setmetatable({}, {__mode = 'v'})
        for i = 1, count do list[i] = loop.newthread(handler) end
        return list
    end

    it('is a thread that has ended', function()
        assert.equal(0, alive(make(10, function() end)))
    end)

    it('is a thread that has ended after a wait', function()
        local list = make(10, function() loop.sleep(0) end)
        drain()
        assert.equal(0, alive(list))
    end)

    it('is a thread that has failed after a wait', function()
        local list = make(1, function()
            loop.sleep(0)
            error 'boom'
        end)
        repeat local ok, waiting = pcall(loop.step, 1)
        until ok and not waiting
        assert.equal(0, alive(list))
    end)

    for name, around in pairs(inside) do
        it('is a thread suspended inside ' .. name, function()
            assert.equal(0, alive(make(20, function()
                around(function() loop.suspend() end)
            end)))
        end)

        it('is a thread suspended again inside ' .. name, function()
            local list = make(20, function()
                around(function()
                    loop.sleep(0)
                    loop.suspend()
                end)
            end)
            drain()
            assert.equal(0, alive(list))
        end)
    end

    it('is a thread suspended in coroutine.yield', function()
        assert.equal(0, alive(make(20, coroutine.yield)))
    end)

    it('is not a suspended thread that is referred to', function()
        local list = make(1, function()
            table.sort({1, 2}, function() loop.suspend() return false end)
        end)
        local thread = list[1]
        assert.equal(1, alive(list))
        loop.resume(thread)
        assert.equal('dead', coroutine.status(thread))
    end)

    it('is not a waiting thread', function()
        for _, around in pairs(inside) do
            local list = make(10, function()
                around(function() loop.sleep(0) end)
            end)
            assert.equal(10, alive(list))
            drain()
        end
    end)

    it('gives its C stacks back', function()
        local rounds = os.getenv 'SOCKETLOOP_TEST_GC' and 2 or 20
        for _ = 1, rounds do
            local list = make(300, function()
                table.sort({1, 2}, function() loop.suspend() end)
            end)
            assert.equal(0, alive(list))
        end
    end)

    it('takes along the sockets of a suspended thread', function()
        local listener = loop.tcp('127.0.0.1', 0)
        listener:listen()
        local _, port = listener:getsockname()
        local accepted
        local list = make(1, function()
            local client = loop.connect('127.0.0.1', port)
            accepted = listener:accept()
            pcall(function() loop.suspend(client) end)
        end)
        for _ = 1, 100 do
            if accepted then break end
            loop.step(1)
        end
        assert.equal(0, alive(list))
        assert.same({nil, 'closed', ''}, {run(function()
            return accepted:receive '*l'
        end)})
        accepted:close()
        listener:close()
    end)
end)
