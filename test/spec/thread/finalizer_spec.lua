-- Finalizers. All Luas but 5.1 turn the collector off in them: a thread cannot
-- be suspended in one, and on LuaJIT cannot wait in one; operations that need
-- not wait work, and the collector is on afterwards.

local support = require 'support'
local process = require 'process'
local stopping = require 'stopping'

if _VERSION == 'Lua 5.1' and not support.luajit then return end

describe('A finalizer', function()
    after_each(process.cleanup)

    local function finalizer(code)
        return stopping.script([[
            local function finalize(f)
                local proxy = newproxy and newproxy(true)
                if proxy then
                    getmetatable(proxy).__gc = f
                else
                    setmetatable({}, {__gc = f})
                end
                proxy = nil
                collectgarbage()
            end
            local function collects()
                local before = collectgarbage 'count'
                for _ = 1, 1e5 do local _ = {} end
                return collectgarbage 'count' - before < 3000
            end
            local listener = loop.tcp('127.0.0.1', 0)
            assert(listener:listen())
            local ip, port = listener:getsockname()
            local function connect()
                return assert(loop.connect(ip, port))
            end
            local function pair()
                return connect(), assert(listener:accept())
            end
        ]] .. code)
    end

    it('sends and receives, however much its thread has done', function()
        assert.equal('done', finalizer [[
            loop.newthread(function()
                local a, b = pair()
                for n = 60, 70 do
                    loop.sleep(0)
                    for _ = 1, n do assert(a:send 'x') end
                    assert(b:receive(n))
                    local log = {}
                    finalize(function()
                        for _ = 1, 100 do
                            log[#log + 1] = select(2, pcall(a.send, a, 'y'))
                            log[#log + 1] = select(2, pcall(b.receive, b, 1))
                        end
                    end)
                    assert(#log == 200)
                    for i = 1, 200, 2 do
                        assert(log[i] == 1 and log[i + 1] == 'y', log[i + 1])
                    end
                end
                io.write 'done'
            end)
            finish()
        ]])
    end)

    it('receives at once, beyond the budget of a turn', function()
        assert.equal('1000000', finalizer [[
            loop.newthread(function()
                local a, b = pair()
                a:setoption('send-buffer-size', 2^22)
                b:setoption('recv-buffer-size', 2^22)
                loop.newthread(function() a:send(('x'):rep(1e6)) a:close() end)
                b:settimeout(0)
                finalize(function()
                    local got = ''
                    while #got < 1e6 do
                        local data, err, partial = b:receive(1e6, got)
                        got = data or partial
                        if err == 'closed' then break end
                    end
                    io.write(#got)
                end)
            end)
            finish()
        ]])
    end)

    it('accepts, and does whatever needs no wait', function()
        assert.equal('done', finalizer [[
            loop.newthread(function()
                local udp = loop.udp('127.0.0.1', 0)
                local name, number = udp:getsockname()
                for _ = 1, 64 do udp:sendto('x', name, number) end
                local waiting = connect()
                local log = {}
                finalize(function()
                    log.send = {pcall(udp.sendto, udp, 'y', name, number)}
                    log.receive = {pcall(udp.receivefrom, udp)}
                    log.accept = {pcall(listener.accept, listener)}
                end)
                for what, results in pairs(log) do
                    assert(results[1] and results[2], what)
                end
                assert(log.send and waiting)
                io.write 'done'
            end)
            finish()
        ]])
    end)

    it('gets an error when it waits', function()
        if not support.luajit then return end
        assert.equal('done', finalizer [[
            loop.newthread(function()
                local a = pair()
                local log = {}
                finalize(function()
                    for _, f in ipairs {
                        function() a:receive() end,
                        function() loop.sleep(0.001) end,
                        function() listener:accept() end,
                        function() loop.resolve 'localhost' end,
                    } do
                        log[#log + 1] = select(2, pcall(f))
                    end
                end)
                assert(#log == 4)
                for _, err in ipairs(log) do
                    assert(err:find('no thread wait in a finalizer', 1, true),
                           err)
                end
                loop.sleep(0.001)
                local _, err = a:settimeout(0.001), a:receive()
                io.write 'done'
            end)
            start_others()
            finish()
            assert(turns == started and collects())
        ]])
    end)

    for name, code in pairs {
        ['suspend'] = 'loop.suspend()',
        ['suspend in a coroutine'] = 'coroutine.wrap(loop.suspend)()',
        ['suspend in a coroutine, before which it ended'] = [[
            return (function() return coroutine.wrap(loop.suspend)() end)()
        ]],
        ['suspend in a sort'] = 'table.sort({1, 2}, loop.suspend)',
        ['suspend after a collection'] = [[
            collectgarbage()
            loop.suspend()
        ]],
        ['suspend after a coroutine has failed'] = [[
            pcall(coroutine.wrap(function() error 'oops' end))
            loop.suspend()
        ]],
        ['yield'] = 'coro.yield()',
        ['transfer'] = 'coro.transfer(other, loop.current())',
        ['resume a thread that waits'] = [[
            coro.wrap(function() loop.sleep(0.001) end)()
        ]],
    } do
        it('cannot ' .. name, function()
            assert.equal('false true 6 of 6', finalizer([[
                local other = coro.create(function(thread)
                    while true do thread = coro.transfer(thread) end
                end)
                local ok, err
                coro.resume(coro.create(function()
                    loop.newthread(function()
                        finalize(function()
                            ok, err = pcall(function() ]] .. code .. [[ end)
                        end)
                    end)
                end))
                start_others()
                finish()
                assert(err:find('finalizer', 1, true) or
                       err:find('non-resumed', 1, true), err)
                io.write(tostring(ok), ' ', tostring(collects()), ' ', turns,
                         ' of ', started)
            ]]))
        end)
    end

    it('of a coroutine cannot suspend in another one', function()
        assert.equal('false true 6 of 6', finalizer [[
            local ok, err
            loop.newthread(function()
                coroutine.wrap(function()
                    finalize(function()
                        ok, err = pcall(coroutine.wrap(loop.suspend))
                    end)
                end)()
            end)
            start_others()
            finish()
            assert(err:find('finalizer', 1, true), err)
            io.write(tostring(ok), ' ', tostring(collects()), ' ', turns,
                     ' of ', started)
        ]])
    end)

    for name, wait in pairs {
        ['waits'] = 'loop.sleep(seconds)',
        ['waits in a coroutine'] = [[
            coroutine.wrap(function() loop.sleep(seconds) end)()
        ]],
        ['starts a thread whose own one waits'] = [[
            loop.newthread(function()
                finalize(function() loop.sleep(seconds) end)
            end)
        ]],
    } do
        it('leaves the collector on, whichever ends first: one that ' .. name,
           function()
            if support.luajit then return end
            assert.equal('true 2 true', finalizer([[
                local ended = 0
                local function begin(seconds)
                    loop.newthread(function()
                        finalize(function()
                            ]] .. wait .. [[
                            ended = ended + 1
                        end)
                    end)
                end
                begin(0.01)
                begin(0.02)
                io.write(tostring(_VERSION == 'Lua 5.4' or collects()), ' ')
                finish()
                loop.newthread(collectgarbage)    -- 5.4 begins the second one
                finish()
                io.write(ended, ' ', tostring(collects()))
            ]]))
        end)
    end

    -- LuaJIT has one flag for hooks and finalizers of all threads.
    for name, code in pairs {
        ['whose thread starts another one'] = [[
            loop.newthread(function()
                finalize(function()
                    loop.newthread(function() finalize(wait) end)
                end)
            end)
        ]],
        ['that resumes a thread in its hook'] = [[
            loop.newthread(function()
                finalize(function()
                    loop.resume(hooked)
                    wait()
                end)
            end)
        ]],
        ['whose thread transfers control to one in its hook'] = [[
            loop.newthread(function()
                finalize(function()
                    pcall(coro.wrap(function() coro.transfer(hooked) end))
                    wait()
                end)
            end)
        ]],
        ['that steps a loop, in which a thread in its hook goes on'] = [[
            loop.newthread(function()
                hook_once(function() loop.sleep(0) end, '', 10)
                work()
                debug.sethook()
            end)
            finalize(function()
                loop.step(0)
                loop.newthread(function() finalize(wait) end)
            end)
        ]],
    } do
        it('cannot wait on LuaJIT: one ' .. name, function()
            if not support.luajit then return end
            assert.equal('false true true', finalizer([[
                local hooked = loop.newthread(function()
                    hook_once(loop.suspend, '', 10)
                    work()
                    debug.sethook()
                    loop.suspend()
                end)
                local ok, err
                local function wait() ok, err = pcall(loop.sleep, 0.001) end
                ]] .. code .. [[
                finish()
                assert(err:find('no thread wait in a finalizer', 1, true), err)
                io.write(tostring(ok), ' ', tostring(hooks_work()), ' ',
                         tostring(collects()))
            ]]))
        end)
    end

    it('of the main program may resume a coroutine that runs threads',
       function()
        if support.luajit then return end
        assert.equal('true true', finalizer [[
            local ok, err
            finalize(function()
                coroutine.wrap(function()
                    loop.newthread(function()
                        coroutine.wrap(function()
                            ok, err = pcall(loop.sleep, 0.001)
                        end)()
                    end)
                end)()
            end)
            finish()
            io.write(tostring(ok), ' ', tostring(collects()))
        ]])
    end)

    for name, code in pairs {
        ['an error'] = "error 'oops'",
        ['an error in a thread'] = [[
            loop.newthread(function() error 'oops' end)
        ]],
        ['a refused suspend'] = 'loop.suspend()',
    } do
        it('leaves the collector on after ' .. name, function()
            assert.matches('true 6 of 6$', finalizer([[
                local ok = pcall(loop.newthread, function()
                    finalize(function() ]] .. code .. [[ end)
                end)
                start_others()
                finish()
                io.write(tostring(ok), ' ', tostring(collects()), ' ', turns,
                         ' of ', started)
            ]]))
        end)
    end

    it('is not confused with a stopped collector', function()
        assert.equal('true 6 of 6', finalizer [[
            collectgarbage 'stop'
            local log = {}
            local thread = loop.newthread(function()
                table.sort({1, 2}, function()
                    log[#log + 1] = pcall(loop.suspend)
                end)
            end)
            loop.resume(thread)
            collectgarbage 'restart'
            start_others()
            finish()
            io.write(tostring(log[1]), ' ', turns, ' of ', started)
        ]])
    end)

    it('may start threads that wait or are dropped', function()
        assert.equal('12 of 12 true', finalizer [[
            loop.newthread(function()
                finalize(function()
                    loop.newthread(loop.suspend)
                    for _ = 1, 2 do
                        started = started + 1
                        loop.newthread(function()
                            loop.sleep(0.001)
                            turns = turns + 1
                        end)
                    end
                    for value in coro.wrap(function()
                        table.sort({1, 2}, function() coro.yield(1) end)
                    end) do
                        assert(value == 1)
                    end
                end)
            end)
            start_others()
            finalize(function()
                for _ = 1, 4 do
                    started = started + 1
                    loop.newthread(function()
                        loop.sleep(0.001)
                        turns = turns + 1
                    end)
                end
            end)
            finish()
            for _ = 1, 3 do collectgarbage() end
            io.write(turns, ' of ', started, ' ', tostring(collects()))
        ]])
    end)
end)
