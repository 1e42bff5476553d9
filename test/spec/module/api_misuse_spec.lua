-- The functions of socketloop.h, called where they are not allowed.

local coro = require 'coro'
local cwait = require 'cwait'
local loop = require 'socketloop'
local process = require 'process'
local support = require 'support'

local api, with_pipe = cwait.api, cwait.with_pipe
local with_pair = cwait.with_pair
local coroloop = loop.coro      -- loaded here, outside of the tests
local run = support.run

describe('In C', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    describe('misuse raises:', function()
        local outside = 'must be called from a loop thread (see newthread)'

        it('to wait in the main program', function()
            with_pair(function(a)
                assert.is_false(api.inthread())
                support.raises('wait ' .. outside, api.wait, a, 'w', 5)
                support.raises('wait ' .. outside, api.wait, a, 'w', 0)
                support.raises('sleep ' .. outside, api.sleep, 0)
            end)
        end)

        it("to wait in a coroutine of the main program's", function()
            with_pair(function(a)
                coroutine.wrap(function()
                    assert.is_false(api.inthread())
                    support.raises('wait ' .. outside, api.wait, a, 'w', 5)
                    support.raises('sleep ' .. outside, api.sleep, 0)
                end)()
            end)
        end)

        it('to wait in onerror', function()
            local err
            loop.onerror = function()
                err = support.failure(api.sleep, 0)
            end
            loop.newthread(function()
                loop.sleep(0)
                error 'boom'
            end)
            support.drain()
            loop.onerror = nil
            assert.matches(outside, err, 1, true)
        end)

        it('to wait for nothing, or for something else', function()
            with_pair(function(a)
                run(function()
                    support.raises('wait: invalid events (0)',
                                   api.wait, a, '', 5)
                    support.raises('wait: invalid events (7)',
                                   api.wait, a, 'rwx', 5)
                end)
            end)
        end)

        it('a time that is not a number', function()
            with_pair(function(a)
                run(function()
                    local nan = 0 / 0
                    support.raises('wait: the time is not a number',
                                   api.wait, a, 'w', nan)
                    support.raises('sleep: the time is not a number',
                                   api.sleep, nan)
                end)
            end)
        end)

        if support.luajit then
            it("to wait in a finalizer of LuaJIT's", function()
                with_pair(function(a)
                    run(function()
                        local sleeping, waiting, ready
                        local proxy = newproxy(true)    -- luacheck: ignore
                        getmetatable(proxy).__gc = function()
                            sleeping = support.failure(api.sleep, 0)
                            waiting = support.failure(api.wait, a, 'r', 5)
                            ready = api.wait(a, 'w', 5)
                        end
                        proxy = nil                     -- luacheck: ignore
                        support.collect()
                        assert.is_string(sleeping)
                        assert.is_string(waiting)
                        assert.equal('w', ready)
                    end)
                end)
            end)
        end
    end)

    describe('the caller is in a thread', function()
        it('of either loop, and in coroutines nested there', function()
            for _, which in ipairs {loop, coroloop} do
                support.run_in(which, function()
                    assert.is_true(api.inthread())
                    coroutine.wrap(function()
                        assert.is_true(api.inthread())
                    end)()
                    which.sleep(0)
                    assert.is_true(api.inthread())
                end)
                assert.is_false(api.inthread())
            end
        end)
    end)

    describe('it is waited in', function()
        it('the loop that runs the thread', function()
            with_pipe(function(r, w)
                local result
                coroloop.newthread(function()
                    api.sleep(0.001)
                    result = api.wait(r, 'r', 5)
                end)
                assert.is_false(loop.step(0))
                api.write(w, 'x')
                support.drain(coroloop)
                assert.equal('r', result)
            end)
        end)

        it('the loop below a coroutine that has none', function()
            with_pipe(function(r, w)
                local result
                coroloop.newthread(function()
                    coro.resume(coro.create(function()
                        result = api.wait(r, 'r', 5)
                    end))
                end)
                assert.is_false(loop.step(0))
                api.write(w, 'x')
                support.drain(coroloop)
                assert.equal('r', result)
            end)
        end)

        it("the plain loop, where no loop runs the thread", function()
            with_pipe(function(r, w)
                local result
                assert(coro.resume(coro.create(function()
                    assert.is_true(api.inthread())
                    api.sleep(0.001)
                    result = api.wait(r, 'r', 5)
                end)))
                assert.is_nil(result)
                api.write(w, 'x')
                support.drain()
                assert.equal('r', result)
            end)
        end)
    end)
end)
