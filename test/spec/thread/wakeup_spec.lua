-- Waiting threads that are resumed by coroutine.resume. On 5.3 and 5.4 the wait
-- continues. On LuaJIT the wait ends, as does that of an adopted coroutine on
-- 5.1 and 5.2. Frozen threads refuse to be resumed.

local coro = require 'coro'
local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack, push = support.pack, support.push
local other = loop.coro
local resume, status = coroutine.resume, coroutine.status

-- Whether a wait that yielded continues, and whether threads yield to wait.
local goes_on = support.lua_version >= 5.3
local yields = goes_on or support.luajit

local function collect()
    for _ = 1, 3 do collectgarbage() end
end

-- Kinds of coroutines that are resumed in their first wait.
local first = {
    ['a coroutine that was adopted'] = function(f)
        local co = coroutine.create(f)
        assert(resume(co))
        return co
    end,
    ['a thread'] = loop.newthread,
    ['a thread that was suspended before'] = function(f)
        local co = loop.newthread(function()
            loop.suspend()
            f()
        end)
        loop.resume(co)
        return co
    end,
    ['a symmetric coroutine'] = function(f)
        local co = coro.create(f)
        loop.newthread(coro.resume, co)
        return co
    end,
}

-- Whether only loop.resume can continue the coroutine where it is.
local stopped

local function stop(f)
    stopped = true
    f()
    stopped = false
end

-- Later actions of the coroutine. One that yields is then resumed as a thread.
local second = {
    ['sleeps'] = function() loop.sleep(0.02) end,
    ['sleeps twice'] = function()
        loop.sleep(0)
        loop.sleep(0.02)
    end,
    -- Allowed if the resume has ended the wait: the coroutine is in no loop
    -- then.
    ['sleeps in the other loop'] = function() pcall(other.sleep, 0.02) end,
    ['is suspended'] = function()
        stop(coroutine.yield)
        stop(loop.suspend)
    end,
    ['is suspended and sleeps'] = function()
        stop(coroutine.yield)
        stop(loop.suspend)
        loop.sleep(0.001)
    end,
    ['yields and sleeps'] = function()
        stop(coroutine.yield)
        loop.sleep(0.001)
    end,
    ['waits in a sort'] = function()
        stop(coroutine.yield)
        pcall(table.sort, {1, 2}, function()
            loop.sleep(0.001)    -- raises outside of threads
            return false
        end)
    end,
}

describe('A waiting coroutine that is resumed', function()
    support.hooks(before_each, after_each)
    before_each(function() stopped = false end)

    local function drive(co)
        for _ = 1, 10 do
            collect()
            support.drain()
            support.drain(other)
            if stopped then loop.resume(co) end
        end
    end

    for name, start in pairs(first) do
        for what, f in pairs(second) do
            for _, times in ipairs {1, 2} do
                it(('is woken: %s %s, resumed %d times'):format(
                   name, what, times), function()
                    local ended = 0
                    local co = start(function()
                        loop.sleep(0.01)
                        f()
                        ended = ended + 1
                    end)
                    for _ = 1, times do resume(co) end
                    drive(co)
                    assert.equal(1, ended)
                    assert.equal('dead', status(co))
                end)
            end
        end

        it('can be dropped: ' .. name, function()
            local dropped = setmetatable({}, {__mode = 'v'})
            local function abandon()
                local co = start(function()
                    loop.sleep(0.01)
                    coroutine.yield()
                    loop.suspend()
                end)
                resume(co)
                pcall(loop.resume, co)
                dropped[1] = co
            end
            abandon()
            collect()
            support.drain()
            if dropped[1] and status(dropped[1]) == 'suspended' then
                pcall(loop.resume, dropped[1])
            end
            collect()
            collect()
            assert.is_nil(dropped[1])
        end)
    end

    it('runs as a thread that the old wait does not end', function()
        local co, ended
        co = loop.newthread(function()
            loop.sleep(0.01)
            stop(coroutine.yield)
            loop.sleep(0.05)
            ended = true
        end)
        resume(co)
        if stopped then loop.resume(co) end
        support.drain()
        if stopped then loop.resume(co) end
        support.drain()
        assert.is_true(ended)
    end)
end)

describe('A spurious wake-up', function()
    support.hooks(before_each, after_each)

    if goes_on then
        it('passes nothing, and nothing is passed', function()
            local got
            local t = loop.newthread(function()
                got = pack(loop.sleep(0.01))
            end)
            for _ = 1, 3 do
                assert.same(pack(true), pack(resume(t, 'passed', 2, 3)))
                assert.equal('suspended', status(t))
                assert.equal('suspended', coro.status(t))
                support.raises('waits in I/O or sleep', loop.resume, t)
                support.raises('waits in I/O or sleep', coro.transfer, t)
                assert.matches('waits in I/O', select(2, coro.resume(t)))
            end
            assert.is_nil(got)
            support.drain()
            assert.same(pack(), got)
        end)

        it('passes nothing to a coroutine that was adopted', function()
            local got
            local co = coroutine.wrap(function()
                got = pack(loop.sleep(0.01))
            end)
            for _ = 1, 3 do assert.same(pack(), pack(co('passed'))) end
            assert.is_nil(got)
            support.drain()
            assert.same(pack(), got)
        end)

        it('can be one of many', function()
            local got, many = nil, support.some(20000)
            local t = loop.newthread(function(...)
                loop.sleep(0.001)
                got = pack(...)
            end, 1, 2, 3)
            local before = collectgarbage 'count'
            for i = 1, many do resume(t, i, {}, {}) end
            collect()
            assert.is_true(collectgarbage 'count' < before + 200)
            support.drain()
            assert.same(pack(1, 2, 3), got)
        end)

        for _, how in ipairs {'*l', '*a', 4} do
            it('passes nothing to receive ' .. how, function()
                support.run(function()
                    local client, server = support.pair()
                    local got
                    local t = loop.newthread(function()
                        got = pack(client:receive(how, 'a'))
                    end)
                    resume(t, 'passed')
                    server:send 'b'
                    loop.sleep(0)
                    resume(t, 'passed')
                    server:send 'cd\n'
                    server:close()
                    assert.is_true(support.eventually(function()
                        return got
                    end))
                    assert.equal(how == '*a' and 'abcd\n' or 'abcd', got[1])
                    client:close()
                end)
            end)
        end

        it('leaves a string that is being sent alive', function()
            support.run(function()
                local client, server = support.pair {sendbuf = 4096,
                                                     recvbuf = 4096}
                local size, sent = 4e6, nil
                local t = loop.newthread(function()
                    sent = client:send(('x'):rep(size))
                    client:close()
                end)
                for _ = 1, 5 do
                    assert(resume(t, ('y'):rep(1000)))
                    collect()
                    server:receive(100)
                end
                assert.equal(('x'):rep(size - 500), (server:receive '*a'))
                assert.equal(size, sent)
                server:close()
            end)
        end)
    end

    if support.luajit then
        it('returns the values passed, on LuaJIT', function()
            support.with_pair(function(client, server)
                local got = {}
                local t = loop.newthread(function()
                    push(got, pack(client:receive()))
                    coroutine.yield()
                end)
                assert(resume(t, 'passed', 1))
                assert.same(pack('passed', 1), got[1])
                server:send 'line\n'
                assert.equal('line', (client:receive()))
            end)
        end)

        it('ends a wait on LuaJIT, whose timeout is void then', function()
            local t = loop.newthread(function() loop.sleep(600) end)
            assert(resume(t))
            assert.equal('dead', status(t))
            support.drain()
        end)

        it('wakes on LuaJIT the thread that waited for it', function()
            local t = coro.create(function() loop.sleep(600) end)
            local got
            loop.newthread(function() got = pack(coro.resume(t)) end)
            assert(resume(t))
            support.drain()
            assert.is_false(got[1])
            assert.matches('resumed by somebody else', got[2])
        end)
    end

    it('is refused by frozen threads', function()
        local ended
        local t = loop.newthread(function()
            table.sort({1, 2}, function()
                loop.sleep(0.01)
                return false
            end)
            ended = true
        end)
        assert.is_false((resume(t, 'passed')))
        support.drain()
        assert.is_true(ended)
    end)

    it('leaves the socket to the next thread that waits', function()
        support.with_pair(function(client, server)
            local got
            local t = loop.newthread(function() client:receive() end)
            resume(t)
            if status(t) == 'dead' then
                loop.newthread(function() got = client:receive() end)
                server:send 'line\n'
                assert.is_true(support.eventually(function() return got end))
                assert.equal('line', got)
            end
        end)
    end)

    describe('in LuaSocket', function()
        local undo
        before_each(function() undo = loop.install() end)
        after_each(function() undo() end)

        -- Calls f in a thread with a connected object, resumes that thread, has
        -- the peer send a line, and returns the results of f.
        local function interrupted(f)
            local client, server = support.plain.pair()
            return support.run(function()
                local got
                local t = loop.newthread(function()
                    got = pack(f(client))
                end)
                resume(t, 'passed', 'twice')
                server:send 'line\n'
                assert.is_true(support.eventually(function() return got end))
                support.close(client, server)
                return support.unpack(got, 1, got.n)
            end)
        end

        local ends = yields and not goes_on

        it('is nothing to receive', function()
            local data, err = interrupted(function(s)
                return s:receive()
            end)
            if ends then
                assert.same({nil, 'timeout'}, {data, err})
            else
                assert.same({'line', nil}, {data, err})
            end
        end)

        it('is nothing to select', function()
            local ready, _, err = interrupted(function(s)
                return socket.select({s}, nil, support.limit)
            end)
            if not ends then
                assert.equal(1, #ready)
                assert.is_nil(err)
            end
        end)
    end)
end)
