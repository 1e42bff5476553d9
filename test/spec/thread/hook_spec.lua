-- Threads that stop in debug hooks and in handlers of jit.attach. LuaJIT has
-- one hook for all threads, so a hook function checks which thread runs.

local support = require 'support'
local process = require 'process'
local stopping = require 'stopping'

local script = stopping.script

describe('A debug hook', function()
    after_each(process.cleanup)

    for mask, count in pairs {c = '0', l = '0', [''] = '10'} do
        local set = ('%q, %s'):format(mask, count)

        it('may wait (' .. set .. ')', function()
            assert.equal('waited, 12 of 12, true', script([[
                start_others()
                loop.newthread(function()
                    hook_once(function() loop.sleep(0.01) end, ]] .. set ..
                    [[)
                    work()
                    debug.sethook()
                    io.write 'waited, '
                end)
                start_others()
                finish()
                io.write(turns, ' of ', started, ', ', tostring(hooks_work()))
            ]]))
        end)

        it('may wait again and again (' .. set .. ')', function()
            assert.equal('waited, 12 of 12, true', script([[
                start_others()
                loop.newthread(function()
                    local me, n, depth = loop.current(), 0, 0
                    debug.sethook(function()
                        if loop.current() ~= me then return end
                        assert(depth == 0, 'a hook within the hook')
                        depth, n = 1, n + 1
                        if n <= 30 then loop.sleep(n % 2 * 0.001) end
                        depth = 0
                    end, ]] .. set .. [[)
                    for _ = 1, 10 do work() end
                    debug.sethook()
                    assert(n > 30)
                    io.write 'waited, '
                end)
                start_others()
                finish()
                io.write(turns, ' of ', started, ', ', tostring(hooks_work()))
            ]]))
        end)

        it('may start threads that wait (' .. set .. ')', function()
            assert.equal('24 of 24, true', script([[
                local done = 0
                debug.sethook(function()
                    local _, is_main = loop.current()
                    if done == 2 or loop.current() and not is_main then
                        return
                    end
                    done = done + 1
                    start_others()
                end, ]] .. set .. [[)
                work()
                debug.sethook()
                start_others()
                loop.newthread(function()
                    hook_once(start_others, ]] .. set .. [[)
                    work()
                    debug.sethook()
                end)
                finish()
                io.write(turns, ' of ', started, ', ', tostring(hooks_work()))
            ]]))
        end)
    end

    it('may wait after it has removed itself', function()
        assert.equal('waited, 12 of 12, true', script [[
            start_others()
            loop.newthread(function()
                debug.sethook(function()
                    debug.sethook()
                    loop.sleep(0.01)
                end, '', 10)
                work()
                io.write 'waited, '
            end)
            start_others()
            finish()
            io.write(turns, ' of ', started, ', ', tostring(hooks_work()))
        ]])
    end)

    it('that waits disturbs no coroutine that is no thread', function()
        assert.equal('waited, true', script [[
            local co
            loop.newthread(function()
                hook_once(function() loop.sleep(0.01) end, '', 10)
                work()
                debug.sethook()
                io.write 'waited, '
            end)
            co = coroutine.create(function()
                for _ = 1, 3 do loop.sleep(0.001) end
                turns = turns + 1
            end)
            assert(coroutine.resume(co))
            finish()
            assert(turns == 1)
            io.write(tostring(hooks_work()))
        ]])
    end)

    it('may suspend its thread', function()
        assert.equal('12 of 12, true', script [[
            local suspended = 0
            local thread = loop.newthread(function()
                local me = loop.current()
                debug.sethook(function()
                    if loop.current() ~= me or suspended == 20 then return end
                    suspended = suspended + 1
                    assert(loop.suspend() == suspended)
                end, '', 10)
                for _ = 1, 10 do work() end
                debug.sethook()
            end)
            start_others()
            while suspended < 20 do
                if suspended == 10 then start_others() end
                loop.resume(thread, suspended)
            end
            loop.resume(thread, suspended)
            finish()
            io.write(turns, ' of ', started, ', ', tostring(hooks_work()))
        ]])
    end)

    it('may yield and transfer', function()
        assert.equal('12 of 12, true', script [[
            local main, other = coro.running()
            other = coro.create(function()
                while true do coro.transfer(main, 'other') end
            end)
            for _, stop in ipairs {
                function(n) return coro.yield(n) end,
                function(n) return coro.transfer(main, n) end,
                function(n) return coro.transfer(other, n) end,
            } do
                local n = 0
                local thread = coro.create(function()
                    local me = coro.running()
                    debug.sethook(function()
                        if coro.running() ~= me or n == 20 then return end
                        n = n + 1
                        stop(n)
                    end, '', 10)
                    for _ = 1, 10 do work() end
                    debug.sethook()
                    coro.transfer(main)
                end)
                start_others()
                if _ == 1 then
                    while n < 20 do assert(coro.resume(thread)) end
                    coro.resume(thread)
                else
                    while n < 20 do coro.transfer(thread) end
                    coro.transfer(thread)
                end
                turns, started = turns - 2, started - 2
            end
            finish()
            io.write(turns, ' of ', started, ', ', tostring(hooks_work()))
        ]])
    end)

    it('may be dropped with its thread', function()
        assert.equal('12 of 12, true', script [[
            start_others()
            for _ = 1, 5 do
                loop.newthread(function()
                    hook_once(loop.suspend, '', 10)
                    work()
                end)
            end
            debug.sethook()
            start_others()
            for _ = 1, 5 do collectgarbage() end
            assert(hooks_work())
            finish()
            io.write(turns, ' of ', started, ', ', tostring(hooks_work()))
        ]])
    end)

    it('may fail after a wait', function()
        assert.equal('false oops, 12 of 12, true', script [[
            start_others()
            loop.newthread(function()
                hook_once(function()
                    loop.sleep(0.01)
                    error('oops', 0)
                end, '', 10)
                local ok, err = pcall(work)
                debug.sethook()
                io.write(tostring(ok), ' ', err, ', ')
            end)
            start_others()
            finish()
            io.write(turns, ' of ', started, ', ', tostring(hooks_work()))
        ]])
    end)

    it('may start a thread that waits and then fails in a C function',
       function()
        assert.equal('oops, 6 of 6, true', script [[
            local socket = require 'socket'
            local try = socket.newtry()
            local fail = socket.protect(function()
                loop.sleep(0.001)
                try(nil, 'oops')
            end)
            local started_one, err
            debug.sethook(function()
                if started_one then return end
                started_one = true
                loop.newthread(function() err = select(2, fail()) end)
            end, '', 10)
            work()
            debug.sethook()
            start_others()
            finish()
            io.write(err, ', ', turns, ' of ', started, ', ',
                     tostring(hooks_work()))
        ]])
    end)

    it('runs a coroutine that a finalizer resumes at the same time', function()
        if not support.luajit then return end
        assert.equal('30 runs, 30 finalizers, nil', script [[
            local runs, finalizers, strange = 0, 0, nil
            local function finalize(f)
                getmetatable(newproxy(true)).__gc = f
            end
            local function resume_one()
                local co = coroutine.create(function() runs = runs + 1 end)
                finalize(function()
                    finalizers = finalizers + 1
                    pcall(loop.resume, co)
                end)
                local ok, err = pcall(loop.resume, co)
                if not ok and not err:find('cannot resume', 1, true) and
                    not err:find('a finalizer has resumed', 1, true)
                then
                    strange = err
                end
            end
            collectgarbage('setpause', 0)
            collectgarbage('setstepmul', 0)    -- each step is a whole cycle
            local called
            debug.sethook(function()
                if called then return end
                called = true
                for _ = 1, 30 do resume_one() end
            end, '', 10)
            work()
            debug.sethook()
            collectgarbage()
            io.write(runs, ' runs, ', finalizers, ' finalizers, ',
                     tostring(strange))
        ]])
    end)

    it('may step the loop', function()
        assert.equal('12 of 12, true', script [[
            start_others()
            local n = 0
            debug.sethook(function()
                local _, is_main = loop.current()
                if n == 50 or loop.current() and not is_main then return end
                n = n + 1
                loop.step(0.001)
            end, '', 10)
            work()
            debug.sethook()
            start_others()
            finish()
            io.write(turns, ' of ', started, ', ', tostring(hooks_work()))
        ]])
    end)
end)

if not support.luajit then return end

describe('A handler of jit.attach', function()
    after_each(process.cleanup)

    -- Tests the code in a handler of each event, run once and run at each
    -- event.
    local function in_handlers(code)
        for _, event in ipairs {'bc', 'trace', 'record', 'texit'} do
            for _, often in ipairs {1, 50} do
                assert.equal('12 of 12 true', script(([[
                    jit.on()
                    local n = 0
                    local function handler()
                        n = n + 1
                        if n == %d then jit.attach(handler) end
                        if n > %d then return end
                        %s
                    end
                    local function compute()
                        for _ = 1, 100 do work() end
                        for i = 1, 100 do loadstring('return ' .. i)() end
                    end
                    start_others()
                    jit.attach(handler, %q)
                    compute()
                    loop.newthread(function()
                        for _ = 1, 5 do compute() loop.sleep(0.001) end
                    end)
                    start_others()
                    finish()
                    assert(n > 0)
                    jit.attach(handler)
                    jit.off()
                    jit.flush()
                    io.write(turns, ' of ', started, ' ',
                             tostring(hooks_work()))
                ]]):format(often, often, code, event)))
            end
        end
    end

    it('cannot wait', function()
        in_handlers [[
            local ok, err = pcall(loop.sleep, 0.001)
            assert(not ok and err:find('LuaJIT', 1, true) or
                   err:find('loop thread', 1, true), err)
        ]]
    end)

    it('cannot suspend', function()
        in_handlers 'assert(not pcall(loop.suspend))'
    end)

    it('may start threads that wait', function()
        in_handlers [[
            local thread = loop.newthread(function() loop.sleep(0.001) end)
            assert(coroutine.status(thread) ~= 'dead')
        ]]
    end)

    it('loses no thread that waits where it cannot yield', function()
        in_handlers [[
            pcall(loop.newthread, function()
                table.sort({1, 2}, function() loop.sleep(0.001) end)
            end)
            pcall(loop.step, 0)
        ]]
    end)
end)
