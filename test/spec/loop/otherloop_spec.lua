-- A thread of one loop that uses functions and sockets of the other loop: an
-- operation that need not wait works, and one that would have to wait raises.
-- If it waited, the loop it waits in might never be stepped.

local loop = require 'socketloop'
local coro = require 'coro'
local loops = require 'both_loops'
local support = require 'support'

local raises, run = support.raises, support.run_in
local mixed, serve, drain_both = loops.mixed, loops.serve, loops.drain_both

local refusal = 'a thread of another loop cannot wait in this one'

-- Operations that wait in the loop `which`, or on its socket s.
local waits = {
    ['sleep'] = function(which) which.sleep(0.01) end,
    ['a turn'] = function(which) which.sleep(0) end,
    ['resolve'] = function(which) which.resolve 'localhost' end,
    ['connect'] = function(which) which.connect('localhost', 9) end,
    ['receive'] = function(_, s) s:receive() end,
    ['receive with a time limit'] = function(_, s)
        s:settimeout(5)
        s:receive()
    end,
    ['send'] = function(_, s)
        s:setoption('send-buffer-size', 4096)
        s:send(('x'):rep(2e7))
    end,
    ['call_async'] = function(_, s)
        s:call_async(function() return nil, 'wantread' end)
    end,
    ['accept'] = function(which)
        local listening = which.tcp('127.0.0.1', 0)
        listening:listen()
        listening:accept()
    end,
    ['receivefrom'] = function(which)
        local s = which.udp()
        s:setsockname('127.0.0.1', 0)
        s:receivefrom()
    end,
}

-- Operations that need not wait, on a socket and its plain peer.
local works = {
    ['receive of what is there'] = function(s, peer)
        peer:send 'a line\n'
        while select(2, s:receive(0)) do end
        assert.equal('a line', (s:receive()))
    end,
    ['send'] = function(s, peer)
        assert.equal(7, (s:send 'a line\n'))
        assert.equal('a line', (peer:receive()))
    end,
    ['more sends than a fair share'] = function(s)
        for _ = 1, 200 do assert.equal(1, (s:send 'x')) end
    end,
    ['a time limit of 0'] = function(s)
        s:settimeout(0)
        assert.equal('timeout', (select(2, s:receive())))
    end,
    ['close'] = function(s) assert.equal(1, s:close()) end,
}

-- Coroutines of the thread in which the operations are called.
local places = {
    ['a thread'] = function(f) f() end,
    ['an iterator of a thread'] = function(f) coro.wrap(f)() end,
    ['a standard coroutine of a thread'] = function(f)
        coroutine.wrap(f)()
    end,
    ['a coroutine that a thread transferred to'] = function(f)
        local me = coro.running()
        coro.transfer(coro.create(function()
            f()
            coro.transfer(me)
        end))
    end,
}

for name, each in pairs {['the plain loop'] = {loop, loop.coro},
                         ['the coro loop'] = {loop.coro, loop}} do
    local own, other = each[1], each[2]

    describe('A thread of ' .. name .. ' and the other loop:', function()
        loops.hooks(before_each, after_each)

        for what, f in pairs(waits) do
            it(what .. ' raises', function()
                run(own, function()
                    local s, peer = mixed(other)
                    raises(refusal, f, other, s)
                    support.close(s, peer)
                end)
                assert.is_false(other.step(0))
            end)
        end

        for what, f in pairs(works) do
            it(what .. ' works', function()
                run(own, function()
                    local s, peer = mixed(other)
                    f(s, peer)
                    support.close(s, peer)
                end)
            end)
        end

        for where, call in pairs(places) do
            it('a wait in ' .. where .. ' raises', function()
                local refused = 0
                run(own, function()
                    call(function()
                        raises(refusal, other.sleep, 0)
                        refused = refused + 1
                    end)
                    own.sleep(0)
                end)
                assert.equal(1, refused)
            end)
        end

        it('a socket that it could not wait for is as it was', function()
            local s, peer = mixed(other)
            run(own, function()
                raises(refusal, s.receive, s)
                raises(refusal, s.call_async, s, function()
                    return nil, 'wantwrite'
                end)
            end)
            other.newthread(function()
                peer:send 'a line\n'
                assert.equal('a line', (s:receive()))
                assert.equal(2, (s:send '2\n'))
                support.close(s, peer)
            end)
            drain_both()
        end)

        it('a thread stays its loop\'s when the other resumes it', function()
            local slept = 0
            for _ = 1, 2 do
                local t = own.newthread(function()
                    own.suspend()
                    raises(refusal, other.sleep, 0)
                    own.sleep(0)
                    slept = slept + 1
                end)
                if slept == 0 then
                    other.newthread(other.resume, t)
                else
                    other.resume(t)
                end
                drain_both()
            end
            assert.equal(2, slept)
        end)

        it('a coroutine is of the loop in which it waits first', function()
            local ended = false
            coroutine.wrap(function()
                own.sleep(0)
                assert.is_false((pcall(other.sleep, 0)))
                own.sleep(0)
                ended = true
            end)()
            drain_both()
            assert.is_true(ended)
        end)
    end)

    describe('A handler of ' .. name .. ': its client is closed', function()
        loops.hooks(before_each, after_each)

        -- Returns the bytes that a client of the server receives.
        local function answer(handler)
            local answers, errors = {}, {}
            for _, which in ipairs(each) do
                which.onerror = function(_, err)
                    errors[#errors + 1] = {which, err}
                end
            end
            local port, listening = serve(own, handler)
            own.newthread(function()
                local client = assert(own.connect('127.0.0.1', port))
                client:settimeout(support.limit)
                answers[1], answers[2] = client:receive '*a'
                support.close(client, listening)
            end)
            drain_both()
            assert.equal(1, #errors)
            return answers[2], errors[1]
        end

        it('when it would have to wait in the other loop', function()
            local err, report = answer(function() other.sleep(0) end)
            assert.equal('closed', err)
            assert.equal(own, report[1])
            assert.matches(refusal, report[2])
        end)

        it('when the other loop resumes it and it fails', function()
            local kept
            local err, report = answer(function(client)
                kept = client
                local me = own.current()
                other.newthread(function()
                    other.sleep(0)
                    other.resume(me)
                end)
                own.suspend()
                error 'boom'
            end)
            assert.equal('closed', err)
            assert.equal(other, report[1])
            assert.matches('boom', report[2])
            assert.matches('closed', tostring(kept))
        end)
    end)

    it('A thread that steps ' .. name .. ' is not its onerror\'s', function()
        local text
        own.onerror = function() own.sleep(0) end
        run(other, function()
            own.newthread(function()
                own.sleep(0)
                error 'boom'
            end)
            text = support.failure(own.start)
        end)
        own.onerror = nil
        assert.matches(refusal, text)
        assert.is_false(own.step(0))
    end)
end
