-- Closing coroutines (5.4): by coroutine.close while they wait, and by
-- coro.close, also while they are frozen.

local coro = require 'coro'
local loop = require 'socketloop'
local support = require 'support'

local pack, push = support.pack, support.push

local function collect()
    for _ = 1, 3 do collectgarbage() end
end

describe('Closing a coroutine', function()
    support.hooks(before_each, after_each)

    if not coroutine.close then
        it('is not offered where Lua has no such function', function()
            assert.is_nil(coro.close)
        end)
        return
    end

    -- local name <close> = ..., which older Luas don't parse.
    local closing = support.load [[
        local on_close, f = ...
        local variable <close> = setmetatable({}, {__close = on_close})
        return f()
    ]]

    for name, close in pairs {['coroutine.close'] = coroutine.close,
                              ['coro.close'] = coro.close} do
        describe('with ' .. name .. ' while it waits', function()
            it('ends its sleep', function()
                local t = loop.newthread(function() loop.sleep(600) end)
                assert.is_true(close(t))
                assert.equal('dead', coroutine.status(t))
                support.drain()
            end)

            it('ends the sleep of one that was adopted', function()
                local t = coroutine.create(function() loop.sleep(600) end)
                assert(coroutine.resume(t))
                assert.is_true(close(t))
                support.drain()
            end)

            it('ends many', function()
                local threads = {}
                for i = 1, support.some(2000) do
                    threads[i] = loop.newthread(loop.sleep, 600)
                end
                for _, t in ipairs(threads) do close(t) end
                support.drain()
            end)

            it('ends it also in a step that does not wait', function()
                local t = loop.newthread(function() loop.sleep(600) end)
                close(t)
                local deadline = loop.now() + support.limit
                while loop.step(0) and loop.now() < deadline do end
                assert.is_false(loop.step(0))
            end)

            it('ends a wait on a socket', function()
                support.run(function()
                    local client, server = support.pair {sendbuf = 4096,
                                                         recvbuf = 4096}
                    local reader = loop.newthread(client.receive, client)
                    local writer = loop.newthread(client.send, client,
                                                  ('x'):rep(1e6))
                    close(reader)
                    close(writer)
                    server:send 'line\n'
                    assert.equal('line', (client:receive()))
                    support.close(client, server)
                end)
            end)

            it('ends the wait of a thread that is ready', function()
                local t
                t = loop.newthread(function() loop.sleep(0) end)
                assert.is_true(close(t))
                support.drain()
            end)

            it('wakes its resumer', function()
                local t = coro.create(function() loop.sleep(600) end)
                local got
                loop.newthread(function() got = pack(coro.resume(t)) end)
                close(t)
                support.drain()
                assert.is_false(got[1])
                assert.matches('the coroutine was closed', got[2])
                assert.matches('stack traceback', got[3])
            end)

            it('wakes its resumer while many others wait', function()
                local others, got = {}, nil
                for i = 1, 100 do
                    others[i] = loop.newthread(loop.sleep, 600)
                end
                local t = coro.create(function() loop.sleep(600) end)
                for i = 101, 200 do
                    others[i] = loop.newthread(loop.sleep, 600)
                end
                loop.newthread(function()
                    got = pack(coro.resume(t))
                    for _, other in ipairs(others) do close(other) end
                end)
                close(t)
                support.drain()
                assert.is_false(got[1])
            end)

            it('raises in its caller', function()
                local t
                local wrapped = coro.wrap(function()
                    t = coro.running()
                    loop.sleep(600)
                end)
                local safe, inner = coro.safewrap(function()
                    loop.sleep(600)
                end)
                local errors = {}
                for i, f in ipairs {wrapped, safe} do
                    loop.newthread(function()
                        errors[i] = select(2, pcall(f))
                    end)
                end
                close(t)
                close(inner)
                support.drain()
                assert.matches('the coroutine was closed', errors[1])
                assert.matches('the coroutine was closed', errors[2])
            end)

            it('is nothing to the main program, which does not wait',
               function()
                local t = coro.create(function() loop.sleep(600) end)
                assert.same(pack(true), pack(coro.resume(t)))
                close(t)
                assert.equal(0, support.errors_of_steps().n)
            end)

            it('lets its resumer fail', function()
                local t = coro.create(function() loop.sleep(600) end)
                loop.newthread(function()
                    error(select(2, coro.resume(t)), 0)
                end)
                close(t)
                local errors = support.errors_of_steps()
                assert.equal(1, errors.n)
                assert.matches('the coroutine was closed', errors[1])
            end)

            it('says how its variables were closed', function()
                local function fail() error('in __close', 0) end
                local t = loop.newthread(closing, fail, function()
                    loop.sleep(600)
                end)
                assert.same(pack(false, 'in __close'), pack(close(t)))
                support.drain()
            end)
        end)
    end

    describe('with coro.close', function()
        it('works like that of Lua', function()
            local events = {}
            local function body()
                return closing(function() push(events, 'closed') end,
                               coroutine.yield)
            end
            local fresh = coroutine.create(body)
            assert.same(pack(true), pack(coro.close(fresh)))
            local yielded = coroutine.create(body)
            coroutine.resume(yielded)
            assert.same(pack(true), pack(coro.close(yielded)))
            assert.same(pack(true), pack(coro.close(yielded)))
            assert.same({'closed'}, events)
            assert.is_false((coroutine.resume(fresh)))
            support.raises('bad argument #1', coro.close, 1)
            support.raises('bad argument #1', coro.close)
        end)

        it('refuses threads that run or have resumed others', function()
            support.raises('cannot close a running coroutine',
                           coro.close, coro.running())
            local outer
            outer = coro.create(function()
                support.raises('cannot close a running coroutine',
                               coro.close, outer)
                coro.wrap(function()
                    support.raises('cannot close a normal coroutine',
                                   coro.close, outer)
                end)()
                coroutine.wrap(function() coro.yield() end)()
            end)
            assert(coro.resume(outer))
            assert.equal('suspended', coro.status(outer))
            support.raises('cannot close a normal coroutine',
                           coro.close, outer)
            assert(coro.resume(outer))
            assert.equal('dead', coro.status(outer))
            local sorting = loop.newthread(table.sort, {1, 2}, function()
                loop.sleep(0.001)
                return false
            end)
            support.raises('cannot close a normal coroutine',
                           coro.close, sorting)
            support.drain()
        end)

        -- Ways to freeze a coroutine.
        local main = coro.running()
        local stops = {
            ['coro.transfer'] = function() coro.transfer(main) end,
            ['coro.yield'] = coro.yield,
            ['loop.suspend'] = loop.suspend,
            ['coro.yield in a sort'] = function()
                table.sort({1, 2}, function() coro.yield() end)
            end,
        }

        for name, stop in pairs(stops) do
            it('closes a thread that is frozen in ' .. name, function()
                local events, passed = {}, nil
                local t = coro.create(function()
                    closing(function(_, err)
                        push(events, 'closed')
                        passed = pack(err)
                    end, function()
                        pcall(stop)
                        push(events, 'gone on')
                    end)
                end)
                if name == 'coro.transfer' then
                    coro.transfer(t)
                else
                    assert(coro.resume(t))
                end
                assert.equal('suspended', coro.status(t))
                collect()
                assert.same(pack(true), pack(coro.close(t)))
                assert.equal('dead', coro.status(t))
                assert.equal('dead', coroutine.status(t))
                assert.same({'closed'}, events)
                assert.same(pack(nil), passed)
                assert.is_false((coro.resume(t)))
                assert.is_false((coroutine.resume(t)))
                assert.same(pack(true), pack(coro.close(t)))
                collect()
            end)
        end

        it('gives the error of a frozen thread\'s variable', function()
            local function fail() error('in __close', 0) end
            local t = coro.create(closing)
            assert(coro.resume(t, fail, coro.yield))
            assert.same(pack(false, 'in __close'), pack(coro.close(t)))
            assert.equal('dead', coro.status(t))
        end)

        it('gives a failed thread\'s error and closes its variables',
        function()
            local errors = {}
            loop.onerror = push(errors)
            for _, err in ipairs {'failed', {}} do
                local t = loop.newthread(closing, function() loop.suspend() end,
                    function()
                        loop.sleep(0)
                        error(err, 0)
                    end)
                support.drain()
                assert.same({false, err}, {coro.close(t)})
                assert.equal('dead', coro.status(t))
                assert.same({true}, {coro.close(t)})
            end
            loop.onerror = nil
            assert.same({}, errors)
        end)

        it('gives the last error of a thread that failed twice', function()
            local t = loop.newthread(closing, function() error('outer', 0) end,
                function()
                    closing(function() loop.suspend() end, function()
                        loop.sleep(0)
                        error('inner', 0)
                    end)
                end)
            support.drain()
            assert.same({false, 'outer'}, {coro.close(t)})
        end)

        it('gives the C stack to the next', function()
            for _ = 1, support.some(3000) do
                local t = coro.create(coro.yield)
                assert(coro.resume(t))
                assert(coro.close(t))
            end
        end)

        it('may be called while the same is being closed', function()
            local t
            local function again()
                support.raises('cannot close a running coroutine',
                               coro.close, t)
            end
            t = coro.create(closing)
            assert(coro.resume(t, again, coro.yield))
            assert.same(pack(true), pack(coro.close(t)))
        end)

        it('lets a variable wait in a thread', function()
            local waited
            local t = coro.create(closing)
            assert(coro.resume(t, function()
                loop.sleep(0.001)
                waited = coro.status(t)
            end, coro.yield))
            support.run(function()
                assert.same(pack(true), pack(coro.close(t)))
            end)
            assert.equal('running', waited)
        end)

        it('wakes the thread that waits for a suspended one', function()
            local t = coro.create(function() loop.suspend() end)
            local got
            loop.newthread(function() got = pack(coro.resume(t)) end)
            assert.is_nil(got)
            assert.is_true(coro.close(t))
            assert.is_false(got[1])
            assert.matches('the coroutine was closed', got[2])
        end)

        it('raises the error of the thread that waited', function()
            local t = coro.create(function() loop.suspend() end)
            loop.newthread(function() assert(coro.resume(t)) end)
            support.raises('the coroutine was closed', coro.close, t)
            assert.equal('dead', coro.status(t))
        end)

        it('is coroutine.close after install', function()
            local old = coro.install()
            finally(function() _G.coroutine = old end)    -- luacheck: ignore
            assert.equal(coro.close, coroutine.close)
            local t = coroutine.create(coroutine.yield)
            coroutine.resume(t)
            assert.is_true(coroutine.close(t))
            for name in pairs(old) do
                assert.is_function(coroutine[name])
            end
        end)
    end)
end)
