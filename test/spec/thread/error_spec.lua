-- Errors in threads: raised by step and start by default, or passed to onerror.

local loop = require 'socketloop'
local support = require 'support'

local run, pack = support.run, support.pack
local count, errors_of_steps = support.count, support.errors_of_steps

-- Makes a thread that waits and then fails in a function called culprit.
local function failing(value)
    return loop.newthread(function()
        loop.sleep(0)
        local function culprit() error(value) end
        culprit()
    end)
end

-- Places to wait in, some of which freeze the thread.
local ways = {
    ['in a Lua function'] = function(f) f() end,
    ['in a sort comparator'] = function(f) table.sort({1, 2}, f) end,
    ['in a metamethod'] = function(f)
        return -setmetatable({}, {__unm = f})
    end,
    ['in a nested coroutine'] = function(f) coroutine.wrap(f)() end,
}

describe('an error in a thread', function()
    support.hooks(before_each, after_each)

    it('leaves step with its message', function()
        failing 'boom'
        local errors = errors_of_steps()
        assert.equal(1, errors.n)
        assert.matches('^[^\n]*error_spec%.lua:%d+: boom\n', errors[1])
    end)

    it('leaves step with one traceback, that of the thread', function()
        failing 'boom'
        local errors = errors_of_steps()
        assert.equal(1, count(errors[1], 'stack traceback:'))
        assert.equal(1, count(errors[1], 'boom'))
        assert.matches('culprit', errors[1])
        assert.not_matches('busted', errors[1])
    end)

    it('leaves start, too', function()
        failing 'boom'
        local ok, err = pcall(loop.start)
        assert.is_false(ok)
        assert.matches('boom', err)
        assert.equal(1, count(err, 'stack traceback:'))
    end)

    for name, way in pairs(ways) do
        it('leaves step when it was raised ' .. name, function()
            loop.newthread(function()
                way(function()
                    loop.sleep(0)
                    error 'boom'
                end)
            end)
            local errors = errors_of_steps()
            assert.equal(1, errors.n)
            assert.matches('error_spec%.lua:%d+: boom', errors[1])
            assert.equal(1, count(errors[1], 'stack traceback:'))
        end)

        it('leaves step as it is when it was raised ' .. name, function()
            local value = {}
            loop.newthread(function()
                way(function()
                    loop.sleep(0)
                    error(value)
                end)
            end)
            local errors = errors_of_steps()
            assert.equal(1, errors.n)
            assert.equal(value, errors[1])
        end)
    end

    it('keeps a message without a position as it is', function()
        loop.newthread(function()
            loop.sleep(0)
            error('boom', 0)
        end)
        assert.matches('^boom\nstack traceback:', errors_of_steps()[1])
    end)

    it('keeps values that are no strings', function()
        local object = setmetatable({}, {
            __tostring = function() return 'object' end
        })
        for _, value in ipairs {{}, object, print, true, false} do
            failing(value)
            local errors = errors_of_steps()
            assert.equal(1, errors.n)
            assert.equal(value, errors[1])
        end
    end)

    it('may have no value at all', function()
        failing(nil)
        local errors = errors_of_steps()
        assert.equal(1, errors.n)
        assert.is_true(support.has_no_value(errors[1]))
    end)

    it('raised by Lua itself has a traceback, too', function()
        loop.newthread(function()
            loop.sleep(0)
            local nothing = nil
            return nothing.field
        end)
        local errors = errors_of_steps()
        assert.matches('attempt to index', errors[1])
        assert.equal(1, count(errors[1], 'stack traceback:'))
    end)

    it('from a stack overflow leaves step like any other', function()
        loop.newthread(function()
            loop.sleep(0)
            local function deeper() return 1 + deeper() end
            deeper()
        end)
        local errors = errors_of_steps()
        assert.equal(1, errors.n)
        assert.matches('stack overflow', errors[1])
    end)

    it('leaves the thread dead and garbage', function()
        local list = setmetatable({}, {__mode = 'v'})
        local thread = failing {}
        list[1] = thread
        errors_of_steps()
        assert.equal('dead', coroutine.status(thread))
        thread = nil    -- luacheck: ignore
        support.collect()
        assert.is_nil(list[1])
    end)

    it('does not keep the others from running', function()
        local ran = 0
        for i = 1, 30 do
            loop.newthread(function()
                loop.sleep(0)
                if i % 3 == 0 then error {} end
                ran = ran + 1
                loop.sleep(0.001)
                ran = ran + 1
            end)
        end
        local errors = errors_of_steps()
        assert.equal(10, errors.n)
        assert.equal(40, ran)
    end)

    it('does not keep those ready in the same step waiting', function()
        local ran = false
        loop.newthread(function()
            loop.sleep(0)
            error {}
        end)
        loop.newthread(function()
            loop.sleep(0)
            ran = true
        end)
        pcall(loop.step, 1)
        pcall(loop.step, 1)
        assert.is_true(ran)
        errors_of_steps()
    end)

    it('does not lose I/O that was ready in the same step', function()
        local lines, received = {}, 0
        loop.newthread(function()
            local clients, servers = {}, {}
            for i = 1, 10 do
                clients[i], servers[i] = support.pair()
                loop.newthread(function()
                    lines[i] = servers[i]:receive '*l'
                    received = received + 1
                    if i % 2 == 1 then error {i} end
                end)
            end
            for i = 1, 10 do clients[i]:send('line ' .. i .. '\n') end
            support.eventually(function() return received == 10 end)
            for i = 1, 10 do
                clients[i]:close()
                servers[i]:close()
            end
        end)
        local errors = errors_of_steps()
        assert.equal(5, errors.n)
        for i = 1, 10 do assert.equal('line ' .. i, lines[i]) end
    end)

    it('lets start be called again', function()
        local ran = false
        failing 'boom'
        loop.newthread(function()
            loop.sleep(0.005)
            ran = true
        end)
        assert.is_false((pcall(loop.start)))
        loop.start()
        assert.is_true(ran)
    end)

    it('leaves start once for each thread that fails', function()
        for _ = 1, 3 do failing {} end
        local failed = 0
        while not pcall(loop.start) do failed = failed + 1 end
        assert.equal(3, failed)
    end)

    it('that the thread catches itself does not leave it', function()
        assert.equal('boom', run(function()
            local _, err = pcall(function()
                loop.sleep(0)
                error('boom', 0)
            end)
            loop.sleep(0)
            return err
        end))
    end)

    it('before its first wait is raised in its starter', function()
        local ok, err = pcall(loop.newthread, function() error 'boom' end)
        assert.is_false(ok)
        assert.matches('boom', err)
        assert.equal(1, count(err, 'stack traceback:'))
        assert.is_false(loop.step(0))
    end)

    it('of each of several clients is reported, in order', function()
        local served = 0
        local port, listener = support.serve(function()
            served = served + 1
            error('boom ' .. served .. '!')
        end)
        local clients = {}
        for i = 1, 4 do clients[i] = support.plain.connect(port) end
        local told = {}
        while #told < 4 do
            local ok, err = pcall(loop.step, 5)
            if not ok then told[#told + 1] = err:match 'boom (%d)!' end
        end
        assert.same({'1', '2', '3', '4'}, told)
        listener:close()
        for i = 1, 4 do clients[i]:close() end
    end)

    it('has one traceback also when it passes several threads', function()
        loop.newthread(function()
            loop.sleep(0)
            loop.newthread(function()
                loop.newthread(function() error 'boom' end)
            end)
        end)
        local errors = errors_of_steps()
        assert.equal(1, errors.n)
        assert.matches('boom', errors[1])
        assert.equal(1, count(errors[1], 'boom'))
        assert.equal(1, count(errors[1], 'stack traceback:'))
    end)
end)

describe('onerror', function()
    support.hooks(before_each, after_each)
    after_each(function() loop.onerror = nil end)

    local calls
    before_each(function()
        calls = {}
        loop.onerror = function(...) calls[#calls + 1] = pack(...) end
    end)

    it('is called with the thread, the error and a traceback', function()
        local thread = failing 'boom'
        assert.equal(0, errors_of_steps().n)
        assert.equal(1, #calls)
        assert.equal(3, calls[1].n)
        assert.equal(thread, calls[1][1])
        assert.matches('error_spec%.lua:%d+: boom$', calls[1][2])
        assert.matches('^stack traceback:\n', calls[1][3])
        assert.matches('culprit', calls[1][3])
    end)

    it('gets an error that is not a string as it is', function()
        local value = {}
        failing(value)
        failing(nil)
        errors_of_steps()
        assert.equal(value, calls[1][2])
        assert.is_true(support.has_no_value(calls[2][2]))
        assert.matches('^stack traceback:\n', calls[1][3])
        assert.matches('^stack traceback:\n', calls[2][3])
    end)

    for name, way in pairs(ways) do
        it('is called for an error raised ' .. name, function()
            local thread = loop.newthread(function()
                way(function()
                    loop.sleep(0)
                    error('boom', 0)
                end)
            end)
            assert.equal(0, errors_of_steps().n)
            assert.equal(1, #calls)
            assert.equal(thread, calls[1][1])
            assert.matches('boom$', calls[1][2])
        end)
    end

    it('lets the loop go on', function()
        local woken = false
        failing {}
        loop.newthread(function()
            loop.sleep(0.005)
            woken = true
        end)
        loop.start()
        assert.equal(1, #calls)
        assert.is_true(woken)
    end)

    it('is called once for each thread that fails', function()
        for _ = 1, 100 do failing {} end
        loop.start()
        assert.equal(100, #calls)
    end)

    it('is not called for an error before the first wait', function()
        assert.is_false((pcall(loop.newthread, error)))
        assert.equal(0, #calls)
    end)

    it('is not called for an error that resume raises', function()
        local thread = loop.newthread(function()
            loop.suspend()
            error 'boom'
        end)
        assert.is_false((pcall(loop.resume, thread)))
        assert.equal(0, #calls)
    end)

    it('can be taken away again', function()
        loop.onerror = nil
        failing 'boom'
        assert.equal(1, errors_of_steps().n)
        assert.equal(0, #calls)
    end)

    it('can be changed between a wait and the error', function()
        local called = false
        failing 'boom'
        loop.onerror = function() called = true end
        assert.equal(0, errors_of_steps().n)
        assert.is_true(called)
    end)

    it('may start another thread', function()
        local restarted = false
        loop.onerror = function()
            loop.newthread(function()
                loop.sleep(0)
                restarted = true
            end)
        end
        failing 'boom'
        loop.start()
        assert.is_true(restarted)
    end)

    it('may stop the loop', function()
        local turns = 0
        loop.onerror = function() loop.stop() end
        failing 'boom'
        loop.newthread(function()
            for _ = 1, 5 do
                loop.sleep(0)
                turns = turns + 1
            end
        end)
        loop.start()
        assert.is_true(turns < 5)
        loop.start()
        assert.equal(5, turns)
    end)

    it('may not step the loop', function()
        local ok, err
        loop.onerror = function() ok, err = pcall(loop.step, 0) end
        failing 'boom'
        loop.start()
        assert.is_false(ok)
        assert.matches('step', err)
    end)

    it('may not wait', function()
        local ok, err
        loop.onerror = function()
            ok, err = pcall(function() loop.sleep(0) end)
        end
        failing 'boom'
        loop.start()
        assert.is_false(ok)
        assert.matches('must be called from a loop thread', err)
    end)

    it('with an error of its own lets that leave step', function()
        loop.onerror = function() error('worse', 0) end
        failing 'boom'
        local errors = errors_of_steps()
        assert.equal(1, errors.n)
        assert.matches('worse', errors[1])
    end)

    it('with an error of its own leaves the loop usable', function()
        local value, woken = {}, 0
        loop.onerror = function() error(value) end
        for _ = 1, 5 do
            failing 'boom'
            loop.newthread(function()
                loop.sleep(0)
                woken = woken + 1
            end)
        end
        local errors = errors_of_steps()
        assert.equal(5, errors.n)
        for i = 1, 5 do assert.equal(value, errors[i]) end
        assert.equal(5, woken)
    end)

    it('does not keep the failed thread alive', function()
        loop.onerror = function() end
        local list = setmetatable({}, {__mode = 'v'})
        list[1] = failing {}
        loop.start()
        support.collect()
        assert.is_nil(list[1])
    end)
end)
