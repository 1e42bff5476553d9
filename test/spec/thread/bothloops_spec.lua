-- The plain loop and the coro loop in one program.

local loop = require 'socketloop'
local coro = require 'coro'
local loops = require 'both_loops'
local process = require 'process'
local support = require 'support'

local unpack, plain, failure = support.unpack, support.plain, support.failure
local push, some, drain = support.push, support.some, support.drain
local run, serve = support.run_in, loops.serve
local drain_both, output = loops.drain_both, process.output

-- Specs run in the main program's thread.
local main = coro.running()

describe('Both loops', function()
    loops.hooks(before_each, after_each)

    it('give the same errors for the same misuse', function()
        local function misuse(which)
            local texts = {}
            local function note(f, ...)
                texts[#texts + 1] = failure(f, ...)
            end
            note(which.newthread)
            note(which.newthread, 1)
            note(which.resume)
            note(which.resume, 1)
            note(which.resume, main)
            note(which.sleep, 0)
            note(which.sleep, 'x')
            note(which.connect, '127.0.0.1', 80)
            note(which.wrap, {})
            note(which.step, 'x')
            note(which.resume, which.newthread(function() end))
            local waiting = which.newthread(function() which.sleep(0) end)
            note(which.resume, waiting)
            drain(which)
            run(which, function()
                note(which.resume, (which.current()))
                note(which.start)
                note(which.step)
            end)
            local s = which.tcp('127.0.0.1', 0)
            note(s.accept, s)
            note(which.newserver, '127.0.0.1', support.port(s), print)
            note(which.newserver, '127.0.0.1', 0, 1)
            s:close()
            return texts
        end
        local function normal(texts)
            for i, text in ipairs(texts) do
                -- Lua qualifies a function's name with the module in which it
                -- is found.
                texts[i] = text:gsub('0x%x+', ''):gsub("#(%d) to '.-'", '#%1')
            end
            return texts
        end
        assert.same(normal(misuse(loop)), normal(misuse(loop.coro)))
    end)

    it('run by turns', function()
        local log = {}
        for name, which in pairs {plain = loop, coro = loop.coro} do
            which.newthread(function()
                for i = 1, 3 do
                    which.sleep(0)
                    log[#log + 1] = name .. ' ' .. i
                end
            end)
        end
        for _ = 1, 3 do
            loop.step(0)
            loop.coro.step(0)
        end
        assert.same({
            'plain 1', 'coro 1', 'plain 2', 'coro 2', 'plain 3', 'coro 3',
        }, log)
    end)

    it('talk to each other', function()
        local port, listener = serve(loop, function(client)
            client:send((client:receive()):upper() .. '\n')
            client:close()
        end)
        local answers = {}
        for i = 1, 5 do
            loop.coro.newthread(function()
                local client = assert(loop.coro.connect('127.0.0.1', port))
                client:send('line ' .. i .. '\n')
                push(answers, (client:receive()))
                client:close()
                if #answers == 5 then listener:close() end
            end)
        end
        drain_both()
        table.sort(answers)
        assert.same({'LINE 1', 'LINE 2', 'LINE 3', 'LINE 4', 'LINE 5'},
                    answers)
    end)

    it('let a thread resume a thread of the other loop', function()
        local log = {}
        for own, other in pairs {[loop] = loop.coro, [loop.coro] = loop} do
            local t = own.newthread(function()
                push(log, own.suspend())
                own.sleep(0)
                log[#log + 1] = 'slept'
            end)
            other.newthread(function()
                other.sleep(0)
                other.resume(t, 'resumed')
            end)
        end
        drain_both()
        table.sort(log)
        assert.same({'resumed', 'resumed', 'slept', 'slept'}, log)
    end)

    it('report an error out of the step that ran the thread', function()
        local t = loop.coro.newthread(function()
            loop.coro.suspend()
            error 'boom'
        end)
        loop.newthread(function()
            loop.sleep(0)
            loop.resume(t)
        end)
        assert.is_false(loop.coro.step(0))
        assert.matches('boom', failure(loop.step, 1))
        assert.is_false(loop.step(0))
    end)

    it('can run in a thread of each other', function()
        for own, other in pairs {[loop] = loop.coro, [loop.coro] = loop} do
            local log = {}
            run(own, function()
                for i = 1, 2 do
                    other.newthread(function()
                        for _ = 1, 2 do
                            other.sleep(0)
                            log[#log + 1] = i
                        end
                    end)
                end
                other.start()
                log[#log + 1] = 'end'
                own.sleep(0)
            end)
            assert.same({1, 2, 1, 2, 'end'}, log)
        end
    end)

    it('let threads of one start threads of the other', function()
        local log = {}
        loop.newthread(function()
            loop.coro.newthread(function()
                log[#log + 1] = 'coro'
                loop.newthread(function()
                    log[#log + 1] = 'plain'
                    loop.sleep(0)
                    log[#log + 1] = 'plain woken'
                end)
                loop.coro.sleep(0)
                log[#log + 1] = 'coro woken'
            end)
            log[#log + 1] = 'back'
        end)
        drain_both()
        assert.same({'coro', 'plain', 'back'}, {unpack(log, 1, 3)})
        local woken = {unpack(log, 4)}
        table.sort(woken)
        assert.same({'coro woken', 'plain woken'}, woken)
    end)

    it('let an iterator made in one be used in the other', function()
        local log = {}
        local iterator = coro.wrap(function()
            for i = 1, 4 do coro.yield(i) end
        end)
        loop.newthread(function()
            push(log, (iterator()))
            loop.sleep(0)
            push(log, (iterator()))
        end)
        loop.coro.newthread(function()
            push(log, (iterator()))
            loop.coro.sleep(0)
            push(log, (iterator()))
        end)
        drain_both()
        assert.same({1, 2, 3, 4}, log)
    end)

    it('let their threads transfer to each other', function()
        local log = {}
        local first, second
        first = loop.newthread(function()
            push(log, (loop.suspend()))
            coro.transfer(second, 'to the coro loop\'s')
        end)
        second = loop.coro.newthread(function()
            loop.coro.sleep(0)
            push(log, (coro.transfer(first, 'to the plain loop\'s')))
            loop.coro.sleep(0)
            log[#log + 1] = 'end'
        end)
        drain_both()
        assert.same({
            'to the plain loop\'s', 'to the coro loop\'s', 'end',
        }, log)
    end)

    it('wrap a socket once', function()
        for _, which in pairs(loops.all) do
            local client, peer = plain.pair()
            local s = which.wrap(client)
            assert.equal(s, which.wrap(client))
            assert.equal(s, which.wrap(s))
            s:close()
            peer:close()
        end
    end)

    it('serve a thousand switches of hundred threads', function()
        local turns, expected = 0, 0
        for _, which in pairs(loops.all) do
            for _ = 1, 50 do
                local per_thread = some(100, 100)
                expected = expected + per_thread
                which.newthread(function()
                    for _ in coro.wrap(function()
                        for i = 1, per_thread do
                            which.sleep(0)
                            coro.yield(i)
                        end
                    end) do
                        turns = turns + 1
                    end
                end)
            end
        end
        drain_both()
        assert.equal(expected, turns)
    end)
end)

describe('A program', function()
    teardown(process.cleanup)

    for _, name in ipairs {'socketloop', 'socketloop.coro'} do
        it('may call newserver of ' .. name .. ' first of all', function()
            assert.equal('HELLO', output([[
                local loop = require ']] .. name .. [['
                local server
                server = loop.newserver('127.0.0.1', 0, function(client)
                    client:send((client:receive()):upper() .. '\n')
                    client:close()
                    server:close()
                end)
                loop.newthread(function()
                    local ip, port = server:getsockname()
                    local client = assert(loop.connect(ip, port))
                    client:send 'hello\n'
                    io.write((client:receive()))
                    client:close()
                end)
                loop.start()
            ]]))
        end)

        it('may end while threads of ' .. name .. ' wait', function()
            assert.equal('end', output([[
                local loop = require ']] .. name .. [['
                local coro = require 'coro'
                for i = 1, 10 do
                    loop.newthread(function()
                        for _ in coro.wrap(function()
                            if i % 2 == 0 then pcall(loop.sleep, 100) end
                            loop.sleep(100)
                        end) do break end
                    end)
                    loop.newthread(function()
                        table.sort({1, 2}, function() loop.suspend() end)
                    end)
                end
                loop.step(0)
                io.write 'end'
            ]]))
        end)
    end

    it('finds the coro loop in whatever order it loads', function()
        for _, order in ipairs {
            {'socketloop', 'socketloop.coro', 'coro'},
            {'socketloop.coro', 'socketloop', 'coro'},
            {'coro', 'socketloop.coro', 'socketloop'},
            {'socketloop', 'coro', 'socketloop.coro'},
            {'coro', 'socketloop', 'socketloop.coro'},
            {'socketloop.coro', 'coro', 'socketloop'},
        } do
            assert.equal('12 ok', output(([[
                require '%s'
                require '%s'
                require '%s'
                local loop = require 'socketloop'
                local coro = require 'coro'
                assert(loop.coro == require 'socketloop.coro')
                assert(loop ~= loop.coro)
                for _, which in ipairs {loop, loop.coro} do
                    which.newthread(function()
                        for i in coro.wrap(function()
                            which.sleep(0)
                            coro.yield(which == loop and 1 or 2)
                        end) do io.write(i) end
                    end)
                    which.start()
                end
                io.write ' ok'
            ]]):format(unpack(order))))
        end
    end)

    it('may load the coro loop in a coroutine', function()
        assert.equal('woken', output [[
            local loop = coroutine.wrap(function()
                return require 'socketloop'.coro
            end)()
            local coro = require 'coro'
            loop.newthread(function()
                coro.wrap(function() loop.sleep(0) end)()
                io.write 'woken'
            end)
            loop.start()
        ]])
    end)

    it('needs no LuaSocket for threads and iterators', function()
        assert.equal('12', output [[
            for _, name in ipairs {'socket', 'socket.core'} do
                package.preload[name] = function() error 'not here' end
            end
            local loop = require 'socketloop.coro'
            local coro = require 'coro'
            loop.newthread(function()
                for i in coro.wrap(function()
                    for i = 1, 2 do
                        loop.sleep(0)
                        coro.yield(i)
                    end
                end) do io.write(i) end
            end)
            loop.start()
        ]])
    end)
end)
