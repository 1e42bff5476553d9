-- Waits in threads of the plain loop and the coro loop, below functions of
-- coro.

local coro = require 'coro'
local loops = require 'both_loops'
local support = require 'support'

local pack, failure = support.pack, support.failure
local drain, errors_of_steps = support.drain, support.errors_of_steps
local run, mixed = support.run_in, loops.mixed
local inside = loops.inside

for name, which in pairs(loops.all) do
    describe('In ' .. name .. ' a wait', function()
        loops.hooks(before_each, after_each)

        for where, around in pairs(inside) do
            it('sleeps inside ' .. where, function()
                local log = {}
                local inner
                local thread = which.newthread(function()
                    for i = 1, 3 do
                        around(function()
                            inner = coro.running()
                            which.sleep(0)
                            log[#log + 1] = i
                        end)
                    end
                end)
                assert.equal('suspended', coro.status(inner))
                support.collect()
                drain(which)
                assert.same({1, 2, 3}, log)
                assert.equal('dead', coro.status(thread))
            end)

            it('receives and sends inside ' .. where, function()
                local client, peer = mixed(which)
                local got
                which.newthread(function()
                    around(function()
                        got = pack(client:receive())
                        client:send 'answer\n'
                    end)
                end)
                assert.is_nil(got)
                support.collect()
                peer:send 'question\n'
                drain(which)
                assert.equal('question', got[1])
                assert.equal('answer', peer:receive())
                client:close()
                peer:close()
            end)

            it('connects and accepts inside ' .. where, function()
                local listener = support.track(which.tcp('127.0.0.1', 0))
                assert(listener:listen())
                local line
                which.newthread(function()
                    around(function()
                        local server = assert(listener:accept())
                        server:send 'hello\n'
                        server:close()
                        listener:close()
                    end)
                end)
                which.newthread(function()
                    around(function()
                        local client = assert(which.connect('127.0.0.1',
                            support.port(listener)))
                        line = client:receive()
                        client:close()
                    end)
                end)
                drain(which)
                assert.equal('hello', line)
            end)

            it('fails inside ' .. where, function()
                local value = {}
                which.newthread(function()
                    around(function()
                        which.sleep(0)
                        error(value)
                    end)
                end)
                local errors = errors_of_steps(which)
                assert.equal(1, errors.n)
                assert.equal(value, errors[1])
            end)

            it('times out inside ' .. where, function()
                local client, peer = mixed(which)
                local results
                client:settimeout(0.002)
                which.newthread(function()
                    around(function() results = pack(client:receive()) end)
                end)
                drain(which)
                assert.is_nil(results[1])
                assert.equal('timeout', results[2])
                client:close()
                peer:close()
            end)

            it('ends inside ' .. where .. ' when the socket is closed',
            function()
                local client, peer = mixed(which)
                local results
                which.newthread(function()
                    around(function() results = pack(client:receive()) end)
                end)
                client:close()
                drain(which)
                assert.is_nil(results[1])
                assert.equal('closed', results[2])
                peer:close()
            end)
        end

        it('keeps alive a thread without references', function()
            local woken = 0
            for _, around in pairs(inside) do
                which.newthread(function()
                    around(function()
                        which.sleep(0.002)
                        woken = woken + 1
                    end)
                    woken = woken + 1
                end)
            end
            support.collect()
            drain(which)
            local expected = 0
            for _ in pairs(inside) do expected = expected + 2 end
            assert.equal(expected, woken)
        end)

        it('lets no other thread in by transfer or resume', function()
            for where, around in pairs(inside) do
                local inner, woken
                which.newthread(function()
                    around(function()
                        inner = coro.running()
                        which.sleep(0.001)
                        woken = true
                    end)
                end)
                assert.equal('suspended', coro.status(inner), where)
                assert.matches('waits', failure(coro.transfer, inner), nil,
                               nil, where)
                local results = pack(pcall(coro.resume, inner))
                if results[1] then table.remove(results, 1) end
                assert.is_false(results[1], where)
                assert.matches('waits', results[2], nil, nil, where)
                assert.is_nil(woken)
                assert.matches('waits', run(which, function()
                    return failure(coro.transfer, inner)
                end), nil, nil, where)
                drain(which)
                assert.is_true(woken, where)
            end
        end)

        it('must be made in a loop thread', function()
            for _, other in pairs(loops.all) do
                local err = failure(other.sleep, 0)
                assert.matches('must be called from a loop thread', err)
            end
        end)
    end)
end
