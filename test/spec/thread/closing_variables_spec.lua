-- To-be-closed variables in threads that fail (5.4 and later).

local loop = require 'socketloop'
local coro = require 'coro'
local support = require 'support'

local run = support.run

if support.lua_version < 5.4 then
    describe('variables to be closed', function()
        it('are of Lua 5.4 and later', function() end)
    end)
    return
end

-- Calls body(...) with a to-be-closed variable; close(error) is its __close.
local closing = assert(support.load [[
    local close, body = ...
    local variable <close> = setmetatable({}, {
        __close = function(_, err) return close(err) end
    })
    return body()
]])

local function boom() error('boom', 0) end

-- Ways to run f in a thread that fails. Each returns f's error.
local runners = {
    newthread = function(f)
        return support.failure(loop.newthread, f):match '^[^\n]*'
    end,
    ['newthread, after a wait'] = function(f)
        loop.newthread(function()
            loop.sleep(0)
            f()
        end)
        return support.errors_of_steps()[1]:match '^[^\n]*'
    end,
    resume = function(f)
        local thread = loop.newthread(function()
            loop.suspend()
            f()
        end)
        return support.failure(loop.resume, thread):match '^[^\n]*'
    end,
    ['coro.wrap'] = function(f)
        return support.failure(coro.wrap(f)):match '^[^\n]*'
    end,
    ['coro.resume'] = function(f)
        return (select(2, coro.resume(coro.create(f))))
    end,
    ['coro.ptransfer'] = function(f)
        return (select(2, coro.ptransfer(coro.create(f))))
    end,
    ['coro.safewrap'] = function(f)
        return support.failure(coro.safewrap(f)):match '^[^\n]*'
    end,
}

for name, fail in pairs(runners) do
    describe('a variable to be closed, after ' .. name, function()
        support.hooks(before_each, after_each)
        support.ends_in_main(after_each)

        it('gets the error', function()
            local got
            assert.equal('boom', fail(function()
                closing(function(err) got = err end, boom)
            end))
            assert.equal('boom', got)
        end)

        it('replaces it by its own', function()
            local got
            assert.equal('last', fail(function()
                closing(function(err)
                    got = err
                    error('last', 0)
                end, function()
                    closing(function() error('second', 0) end, boom)
                end)
            end))
            assert.equal('second', got)
        end)

        it('is closed when another one has raised', function()
            local closed = false
            assert.equal('second', fail(function()
                closing(function() closed = true end, function()
                    closing(function() error('second', 0) end, boom)
                end)
            end))
            assert.is_true(closed)
        end)

        it('knows its thread', function()
            local inside, outside, nested
            fail(function()
                outside = coro.running()
                closing(function()
                    inside = coro.running()
                    nested = coroutine.running()
                end, boom)
            end)
            assert.equal(outside, inside)
            assert.equal(outside, nested)
        end)

        it('leaves the thread dead', function()
            local thread
            fail(function()
                thread = coro.running()
                closing(function() end, boom)
            end)
            assert.equal('dead', coroutine.status(thread))
            assert.equal('dead', coro.status(thread))
            assert.is_true(coroutine.close(thread))
        end)
    end)
end

describe('a thread that closes its variables', function()
    support.hooks(before_each, after_each)
    support.ends_in_main(after_each)
    after_each(function() loop.onerror = nil end)

    local reports

    before_each(function()
        reports = {}
        loop.onerror = function(...)
            reports[#reports + 1] = support.pack(...)
        end
    end)

    it('may wait', function()
        local steps = {}
        local thread = loop.newthread(function()
            closing(function() support.push(steps, 'second') end, function()
                closing(function()
                    loop.sleep(0.001)
                    loop.sleep(0)
                    support.push(steps, 'first')
                end, boom)
            end)
        end)
        assert.same({}, steps)
        assert.equal('suspended', coro.status(thread))
        loop.start()
        assert.same({'first', 'second'}, steps)
        assert.equal(1, #reports)
        assert.equal(thread, reports[1][1])
        assert.equal('boom', reports[1][2])
    end)

    it('has the traceback of the first error', function()
        loop.newthread(function()
            closing(function() loop.sleep(0) end, function()
                loop.sleep(0)
                local function culprit() boom() end
                culprit()
            end)
        end)
        loop.start()
        assert.matches('^stack traceback:\n', reports[1][3])
        assert.matches('culprit', reports[1][3])
    end)

    it('may fail after a wait', function()
        loop.newthread(function()
            closing(function()
                loop.sleep(0)
                error('last', 0)
            end, boom)
        end)
        loop.start()
        assert.equal(1, #reports)
        assert.equal('last', reports[1][2])
    end)

    it('may suspend and be resumed', function()
        local resumed
        local thread = loop.newthread(function()
            closing(function() resumed = loop.suspend() end, boom)
        end)
        assert.equal('boom', support.failure(loop.resume, thread, 5)
                                    :match '^[^\n]*')
        assert.equal(5, resumed)
    end)

    it('is garbage when it suspends for ever', function()
        local list = setmetatable({}, {__mode = 'k'})
        list[loop.newthread(function()
            closing(function() loop.suspend() end, function()
                error {coro.running()}
            end)
        end)] = true
        assert.equal(0, support.alive(list))
        assert.equal(0, #reports)
    end)

    it('may start threads that close theirs', function()
        local depth = 0
        local function fail()
            closing(function()
                depth = depth + 1
                loop.sleep(0)
                if depth < 5 then loop.newthread(fail) end
                loop.sleep(0)
            end, boom)
        end
        loop.newthread(fail)
        loop.start()
        assert.equal(5, depth)
        assert.equal(5, #reports)
    end)

    it('may transfer control', function()
        local main = coro.running()
        local thread = coro.create(function()
            closing(function() coro.transfer(main, 'inside') end, boom)
        end)
        assert.equal('inside', coro.transfer(thread))
        local ok, err = coro.ptransfer(thread)
        assert.is_false(ok)
        assert.equal('boom', err)
    end)

    it('makes its resumer wait, too', function()
        local got
        loop.newthread(function()
            local thread = coro.create(function()
                closing(function() loop.sleep(0) end, boom)
            end)
            got = support.pack(coro.resume(thread))
        end)
        assert.is_nil(got)
        loop.start()
        assert.is_false(got[1])
        assert.equal('boom', got[2])
    end)

    it('may overflow its stack before', function()
        local function deeper() return 1 + deeper() end
        local closed = false
        loop.newthread(function()
            loop.sleep(0)
            closing(function()
                loop.sleep(0)
                closed = true
            end, deeper)
        end)
        loop.start()
        assert.is_true(closed)
        assert.matches('stack overflow', reports[1][2])
    end)

    it('says goodbye to its client', function()
        local port, listener = support.serve(function(client)
            closing(function()
                client:send(('x'):rep(1e6))
                client:receive()
                client:send 'goodbye'
            end, function()
                client:receive()
                boom()
            end)
        end)
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            client:send 'x\n'
            assert.equal(1e6, #client:receive(1e6))
            client:send 'y\n'
            assert.equal('goodbye', client:receive '*a')
            client:close()
            listener:close()
        end)
        assert.equal(1, #reports)
        assert.equal('boom', reports[1][2])
    end)
end)
