-- Events that end a C function's wait early: a descriptor is closed or gets
-- another owner, garbage is collected, the Lua state is closed. See also
-- api_spec.

local cwait = require 'cwait'
local loop = require 'socketloop'
local process = require 'process'
local support = require 'support'

local api, script, with_pipe = cwait.api, cwait.script, cwait.with_pipe
local with_pair, begin = cwait.with_pair, cwait.begin
local results_of = cwait.results_of
local coroloop = loop.coro      -- loaded here, outside of the tests
local run = support.run

describe('In C', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    describe("a loop socket's descriptor", function()
        it('can be waited for while a thread receives from it', function()
            support.with_mixed(function(s, peer)
                local line = begin(s.receive, s)
                local waiting = begin(api.wait, s:getfd(), 'r', 5)
                local other = begin(api.wait, s:getfd(), 'r', 5)
                peer:send 'hello\n'
                assert.equal('hello', results_of(line))
                -- When these waits check for readiness, the bytes may have been
                -- read.
                peer:send 'x'
                assert.equal('r', results_of(waiting))
                assert.equal('r', results_of(other))
                assert.equal('x', s:receive(1))
            end)
        end)

        it('stays in the loop after a wait', function()
            support.with_mixed(function(s, peer)
                assert.equal('timeout', api.wait(s:getfd(), 'r', 0.002))
                local line = begin(s.receive, s)
                assert.equal('timeout', api.wait(s:getfd(), 'r', 0.002))
                peer:send 'hello\n'
                assert.equal('hello', results_of(line))
                support.talk(s, peer)
            end)
        end)

        it('ends the wait when the socket is closed', function()
            run(function()
                for _, make in pairs(support.origins) do
                    local s, peer = make()
                    local reading = begin(api.wait, s:getfd(), 'r', 5)
                    local other = begin(api.wait, s:getfd(), 'r', -1)
                    s:close()
                    local result, why = results_of(reading)
                    assert.same({nil, 'closed'}, {result, why})
                    result, why = results_of(other)
                    assert.same({nil, 'closed'}, {result, why})
                    peer:close()
                end
            end)
        end)

        it('ends the wait also when its number is taken at once', function()
            run(function()
                local s, peer = support.mixed()
                local fd = s:getfd()
                local waiting = begin(api.wait, fd, 'r', 5)
                s:close()
                local a, b = api.pair()
                assert.is_true(a == fd or b == fd)
                api.write(a, 'x')
                api.write(b, 'x')
                local result, why = results_of(waiting)
                assert.same({nil, 'closed'}, {result, why})
                api.close(a, b)
                peer:close()
            end)
        end)

        it('ends the wait when the socket is collected', function()
            run(function()
                local waiting, peer
                local function make()
                    local s
                    s, peer = support.mixed()
                    waiting = begin(api.wait, s:getfd(), 'r', 5)
                end
                make()
                loop.sleep(0)
                support.collect()
                local result, why = results_of(waiting)
                assert.same({nil, 'closed'}, {result, why})
                peer:close()
            end)
        end)
    end)

    describe('a wait ends with "closed"', function()
        it('for a number that is not open', function()
            with_pipe(function(_, w)
                run(function()
                    for _, fd in ipairs {-1, -5, w + 100, 1e6} do
                        for _, limit in ipairs {-1, 0, 5} do
                            local result, why = api.wait(fd, 'r', limit)
                            assert.same({nil, 'closed'}, {result, why})
                        end
                    end
                end)
            end)
        end)

        it('when `closing` announces the close', function()
            run(function()
                local r, w = api.pipe()
                local first = begin(api.wait, r, 'r', 5)
                local second = begin(api.wait, r, 'r', -1)
                api.closing(r)
                api.close(r)
                local a, b = api.pair()
                assert.is_true(a == r or b == r)
                api.write(a, 'x')
                api.write(b, 'x')
                for _, waiting in ipairs {first, second} do
                    local result, why = results_of(waiting)
                    assert.same({nil, 'closed'}, {result, why})
                end
                assert.equal('r', api.wait(r, 'r', 5))
                api.close(w, a, b)
            end)
        end)

        it('in whichever loop it is', function()
            local r, w = api.pipe()
            local result, why
            coroloop.newthread(function()
                result, why = api.wait(r, 'r', 5)
            end)
            api.closing(r)
            api.close(r, w)
            support.drain(coroloop)
            assert.same({nil, 'closed'}, {result, why})
        end)

        it("for a loop socket's, and the socket is closed", function()
            run(function()
                local s, peer = support.accepted()
                local fd = s:getfd()
                local line = begin(s.receive, s)
                api.closing(fd)
                local result, why = results_of(line)
                assert.same({nil, 'closed'}, {result, why})
                assert.equal('closed', select(2, s:send 'x'))
                api.close(fd)
                local r, w = api.pipe()     -- the lowest numbers
                assert.is_true(r == fd or w == fd)
                s:close()
                assert.is_truthy(api.write(w, 'x'))
                assert.equal('x', api.read(r))
                api.close(r, w)
                peer:close()
            end)
        end)

        it('not when no thread waits', function()
            with_pair(function(a)
                for _, fd in ipairs {-1, a, 1e6} do api.closing(fd) end
                run(function() assert.equal('w', api.wait(a, 'w', 5)) end)
            end)
        end)

        it('when the loop socket that has it becomes another', function()
            run(function()
                local s, peer = support.mixed()
                local waiting = begin(api.wait, s:getfd(), 'r', 5)
                local other, other_peer = support.plain.pair()
                local old = s:getsocket()
                s:setsocket(other)
                local result, why = results_of(waiting)
                assert.same({nil, 'closed'}, {result, why})
                support.close(s, peer, other_peer, old)
            end)
        end)

        it("when LuaSocket's object is closed in a thread", function()
            local undo = loop.install()
            run(function()
                local s, peer = support.unwrapped()
                local waiting = begin(api.wait, s:getfd(), 'r', 5)
                s:close()
                local result, why = results_of(waiting)
                assert.same({nil, 'closed'}, {result, why})
                peer:close()
            end)
            undo()
        end)
    end)

    it('a wait goes on when the descriptor becomes a loop socket', function()
        run(function()
            local s, peer = support.plain.pair()
            local waiting = begin(api.wait, s:getfd(), 'r', 5)
            local wrapped = loop.wrap(s)
            loop.sleep(0.002)
            assert.equal(-1, waiting.n)
            peer:send 'x'
            assert.equal('r', results_of(waiting))
            assert.equal('x', wrapped:receive(1))
            support.close(wrapped, peer)
        end)
    end)

    if loop.poller == 'select' then
        it('a wait for too high a descriptor fails', function()
            local output = script([[
                local loop = require 'socketloop'
                local r, w = api.pipe()
                if api.duplicate(r, 1500) ~= 1500 then print 'skip' return end
                loop.newthread(function()
                    print(api.wait(1500, 'r', 5))
                    api.write(w, 'x')
                    print(api.wait(1500, 'r', 5))
                end)
            ]], 'ulimit -n 2000')
            if output == 'skip\n' then pending 'no such descriptor' end
            assert.matches('^nil\tfailed\t%d+\nr\n$', output)
        end)
    end

    describe('garbage:', function()
        it('a waiting thread is none', function()
            with_pipe(function(r, w)
                local results = {}
                local function make()
                    for i = 1, 20 do
                        loop.newthread(coroutine.wrap, function() end)
                        loop.newthread(function()
                            coroutine.wrap(function()
                                results[i] = api.wait(r, 'r', 5)
                            end)()
                        end)
                        loop.newthread(function()
                            table.sort({1, 2}, function()
                                api.sleep(0.001)
                                results[20 + i] = 'slept'
                                return false
                            end)
                        end)
                    end
                end
                make()
                for _ = 1, 10 do support.collect() end
                api.write(w, 'x')
                support.drain()
                assert.equal(40, #results)
            end)
        end)

        it('a thread that has waited is', function()
            with_pipe(function(r, w)
                local threads = setmetatable({}, {__mode = 'k'})
                local function make()
                    for _ = 1, 20 do
                        threads[loop.newthread(function()
                            api.wait(r, 'r', 5)
                            api.sleep(0)
                        end)] = true
                    end
                end
                make()
                api.write(w, 'x')
                support.drain()
                assert.equal(0, support.alive(threads))
            end)
        end)

        it('a loop is when no thread waits in it any more', function()
            assert.equal('r\nslept\nnil\n', script [[
                local loop = require 'socketloop'
                local step = loop.coro.step
                local r, w = api.pipe()
                loop.coro.newthread(function()
                    print(api.wait(r, 'r', 5))
                    api.sleep(0.001)
                    print 'slept'
                end)
                local weak = setmetatable({step = step}, {__mode = 'v'})
                loop.coro, step = nil, nil
                package.loaded['socketloop.coro'] = nil
                collectgarbage()
                collectgarbage()
                api.write(w, 'x')
                while weak.step and weak.step(1) do end
                collectgarbage()
                collectgarbage()
                print(weak.step)
            ]])
        end)
    end)

    describe('the Lua state is closed', function()
        local function closes(code)
            assert.equal('', script([[
                local loop = require 'socketloop'
                local r, w = api.pipe()
            ]] .. code))
        end

        it('while a thread waits', function()
            closes [[
                loop.newthread(api.wait, r, 'r', 5)
                loop.newthread(api.wait, r, 'r', -1)
                loop.coro.newthread(api.wait, r, 'r', -1)
            ]]
        end)

        it('while a thread waits in a nested coroutine', function()
            closes [[
                loop.newthread(coroutine.wrap(function()
                    table.sort({1, 2}, function() api.wait(r, 'r', 5) end)
                end))
                loop.step(0)
            ]]
        end)

        it('while a thread sleeps', function()
            closes [[
                loop.newthread(api.sleep, 5)
                loop.newthread(api.sleep, 0)
                loop.coro.newthread(api.sleep, 0)
            ]]
        end)

        it('while a thread waits and another is ready to go on', function()
            closes [[
                loop.newthread(api.wait, r, 'r', 5)
                loop.newthread(function() loop.sleep(0) api.write(w, 'x') end)
                loop.step(0)
                api.closing(r)
            ]]
        end)

        it('while a thread waits for a loop socket', function()
            closes [[
                local s = loop.tcp('127.0.0.1', 0)
                loop.newthread(api.wait, s:getfd(), 'r', 5)
                s:listen()
                loop.newthread(s.accept, s)
            ]]
        end)

        it('by a thread while others wait', function()
            closes [[
                loop.newthread(api.wait, r, 'r', 5)
                loop.newthread(function()
                    api.sleep(0)
                    os.exit(0, true)
                end)
                loop.start()
            ]]
        end)
    end)
end)
