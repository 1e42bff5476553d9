-- A thread still returned to its resumer although the resumer had already
-- continued, because the thread was waiting, was running another thread, or an
-- unrelated error had woken the resumer. The values then became the results of
-- whichever call the resumer was in.

local coro = require 'coro'
local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack

local text = 'coroutine ended without transferring control'

for name, which in pairs {['the plain loop'] = loop,
                          ['the coro loop'] = loop.coro} do
    describe('In ' .. name .. ' an abandoned resume', function()
        local errors

        support.hooks(before_each, after_each)
        before_each(function()
            errors = {}
            which.onerror = function(thread, err)
                errors[#errors + 1] = {thread, err}
            end
        end)
        after_each(function() which.onerror = nil end)

        -- Starts a thread that resumes the child, and then suspends.
        local function start(child)
            local results = {}
            local parent = which.newthread(function()
                results[1] = pack(coro.resume(child))
                results[2] = pack(which.suspend())
            end)
            return parent, results
        end

        local function drain()
            for _ = 1, 100 do
                if not which.step(1) then return end
            end
            error 'the loop does not come to rest'
        end

        local function lost(child)
            assert.equal(1, #errors)
            assert.equal(child, errors[1][1])
            assert.matches(text, errors[1][2])
        end

        it('ignores the end of a thread that waited', function()
            local child = coro.create(function()
                which.sleep(0)
                return 'late'
            end)
            local parent, results = start(child)
            which.newthread(coro.transfer, parent, 'ended')
            assert.same({pack(true, 'ended')}, results)
            drain()
            lost(child)
            assert.equal(1, #results)
            which.resume(parent, 'resumed')
            assert.same(pack 'resumed', results[2])
        end)

        it('ignores the end of a thread that waited in a sort', function()
            local child = coro.create(function()
                table.sort({1, 2}, function()
                    which.sleep(0)
                    return false
                end)
                return 'late'
            end)
            local parent, results = start(child)
            which.newthread(coro.transfer, parent, 'ended')
            drain()
            lost(child)
            assert.equal(1, #results)
            which.resume(parent)
        end)

        it('ignores the yield of a thread that waited', function()
            local err
            local child = coro.create(function()
                which.sleep(0)
                err = select(2, pcall(coro.yield, 'late'))
                which.suspend()
            end)
            local parent, results = start(child)
            which.newthread(coro.transfer, parent, 'ended')
            drain()
            assert.matches('yielding from a non%-resumed thread', err)
            assert.equal(1, #results)
            which.resume(parent)
        end)

        it('ignores the end of a thread that was running another', function()
            local parent, results, ran
            local child = coro.create(function()
                which.sleep(0)
                which.newthread(function() coro.transfer(parent, 'ended') end)
                ran = true
                return 'late'
            end)
            parent, results = start(child)
            drain()
            assert.is_true(ran)
            assert.same({pack(true, 'ended')}, results)
            lost(child)
            which.resume(parent, 'resumed')
            assert.same(pack 'resumed', results[2])
        end)

        it("ignores the end after another thread's error", function()
            local child, failing
            failing = which.newthread(function()
                which.suspend()
                error {}
            end)
            child = coro.create(function()
                coro.transfer(failing)
                return 'late'
            end)
            local parent, results = start(child)
            assert.is_false(results[1][1])
            assert.matches(text, select(2, pcall(coro.transfer, child)))
            assert.equal(1, #results)
            which.resume(parent)
        end)
    end)
end
