-- Errors and misuse in threads of the plain loop and the coro loop.

local coro = require 'coro'
local loops = require 'both_loops'
local support = require 'support'

local pack, failure = support.pack, support.failure
local count = support.count
local drain, errors_of_steps = support.drain, support.errors_of_steps
local alive, run, mixed = support.alive, support.run_in, loops.mixed
local serve = loops.serve

-- Specs run in the main program's thread.
local main = coro.running()

for name, which in pairs(loops.all) do
    describe('In ' .. name .. ' an error', function()
        loops.hooks(before_each, after_each)

        it('leaves step with its message and one traceback', function()
            which.newthread(function()
                which.sleep(0)
                local function culprit() error 'boom' end
                culprit()
            end)
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('^[^\n]*_spec%.lua:%d+: boom\n', errors[1])
            assert.matches('culprit', errors[1])
            assert.equal(1, count(errors[1], 'stack traceback:'))
            assert.not_matches('busted', errors[1])
        end)

        it('leaves step as it is when it is no string', function()
            for _, value in ipairs {{}, true, false, print, main} do
                which.newthread(function()
                    which.sleep(0)
                    error(value)
                end)
                local errors = errors_of_steps(which)
                assert.equal(1, errors.n)
                assert.equal(value, errors[1])
            end
        end)

        it('does not keep the others from running', function()
            local ran = 0
            for i = 1, 30 do
                which.newthread(function()
                    which.sleep(0)
                    if i % 3 == 0 then error {} end
                    ran = ran + 1
                    which.sleep(0.001)
                    ran = ran + 1
                end)
            end
            local errors = errors_of_steps(which)
            assert.equal(10, errors.n)
            assert.equal(40, ran)
        end)

        it('leaves start, which can be called again', function()
            local woken = false
            which.newthread(function()
                which.sleep(0)
                error {}
            end)
            which.newthread(function()
                which.sleep(0.003)
                woken = true
            end)
            assert.is_false((pcall(which.start)))
            which.start()
            assert.is_true(woken)
        end)

        it('goes to onerror with the thread and a traceback', function()
            local calls = {}
            which.onerror = function(...) calls[#calls + 1] = pack(...) end
            local value = {}
            local thread = which.newthread(function()
                which.sleep(0)
                local function culprit() error(value) end
                culprit()
            end)
            which.start()
            assert.equal(1, #calls)
            assert.equal(3, calls[1].n)
            assert.equal(thread, calls[1][1])
            assert.equal(value, calls[1][2])
            assert.matches('^stack traceback:\n', calls[1][3])
            assert.matches('culprit', calls[1][3])
        end)

        it('leaves the thread dead and garbage', function()
            local list = setmetatable({}, {__mode = 'k'})
            local thread = which.newthread(function()
                which.sleep(0)
                error {}
            end)
            list[thread] = true
            errors_of_steps(which)
            assert.equal('dead', coro.status(thread))
            thread = nil    -- luacheck: ignore
            assert.equal(0, alive(list))
        end)

        it('in a server\'s handler leaves the server working', function()
            local port, listener = serve(which, function(client)
                local line = client:receive()
                if line == 'fail' then error 'boom' end
                client:send(line .. '\n')
                client:close()
            end)
            local answers = {}
            local errors = 0
            which.onerror = function() errors = errors + 1 end
            which.newthread(function()
                for _, line in ipairs {'one', 'fail', 'two'} do
                    local client = assert(which.connect('127.0.0.1', port))
                    client:send(line .. '\n')
                    answers[#answers + 1] = client:receive() or 'none'
                    client:close()
                end
                listener:close()
            end)
            which.start()
            assert.same({'one', 'none', 'two'}, answers)
            assert.equal(1, errors)
        end)
    end)

    describe('In ' .. name .. ' misuse', function()
        loops.hooks(before_each, after_each)

        it('of start and step in a thread raises an error', function()
            local errors = run(which, function()
                local errors = {}
                for i, f in ipairs {which.start, which.step} do
                    errors[i] = failure(f, 0)
                    coro.wrap(function()
                        errors[i + 2] = failure(f, 0)
                    end)()
                end
                return errors
            end)
            assert.equal(4, #errors)
            for i, err in ipairs(errors) do
                assert.matches(i % 2 == 1 and 'start' or 'step', err)
            end
        end)

        it('of a socket by two readers raises an error', function()
            local client, peer = mixed(which)
            local err
            which.newthread(function() client:receive() end)
            which.newthread(function()
                coro.wrap(function()
                    err = failure(client.receive, client)
                end)()
            end)
            assert.matches('already waited on by another thread', err)
            peer:close()
            drain(which)
            client:close()
        end)
    end)
end
