-- The loop whose threads are coro threads, coro threads in both loops, and
-- both loops in one program.

local loop = require 'socketloop'
local coro = require 'coro'
local process = require 'process'
local socket = require 'socket'
local support = require 'support'

local pack, unpack, plain = support.pack, support.unpack, support.plain
local failure, count, push = support.failure, support.count, support.push
local numbers, drain = support.numbers, support.drain
local errors_of_steps, some = support.errors_of_steps, support.some

local loops = {['the plain loop'] = loop, ['the coro loop'] = loop.coro}

-- A spec runs in the main program.
local main = coro.running()

-- Nothing may be left waiting in the coro loop; support sees to the rest.
-- A failed test must not fail those that follow.
local function settle()
    for _ = 1, 100 do
        if loop.coro.step(0) == false then return end
    end
    for s in pairs(support.made) do pcall(s.close, s) end
    local deadline = socket.gettime() + 2
    while socket.gettime() < deadline do
        local ok, waiting = pcall(loop.coro.step, 0.01)
        if ok and not waiting then break end
    end
    error('the test left something waiting in the coro loop', 0)
end

local function hooks(before, after)
    support.hooks(before, after)
    after(function()
        loop.onerror, loop.coro.onerror = nil, nil
        settle()
        assert.equal(main, (coro.running()))
    end)
end

-- Is the weak table empty once all garbage is collected?
local function collected(list)
    -- Compiled code of LuaJIT refers to what it was made for.
    if support.luajit then require 'jit'.flush() end
    for _ = 1, 4 do collectgarbage() end
    return next(list) == nil
end

-- Steps both loops in turn until nothing waits in either.
local function drain_both()
    local deadline = socket.gettime() + support.limit
    repeat
        local waiting = loop.step(0.001)
        waiting = loop.coro.step(0.001) or waiting
        assert(socket.gettime() < deadline, 'the loops do not come to rest')
    until not waiting
end

-- Calls f(...) in a new thread of the loop, steps the loop until it has
-- ended, and returns its results. An error in any thread is raised here.
local function run(which, f, ...)
    local results
    which.newthread(function(...) results = pack(f(...)) end, ...)
    local deadline = socket.gettime() + support.limit
    while not results do
        local waiting = which.step(1)
        assert(results or waiting, 'the test waits for nothing')
        assert(results or socket.gettime() < deadline, 'test timed out')
    end
    return unpack(results, 1, results.n)
end

-- A socket of the loop and its plain peer.
local function mixed(which)
    local client, server = plain.pair()
    return support.track(which.wrap(client)), server
end

-- A server of the loop on a port of its own: port, listening socket.
local function serve(which, handler)
    local listener = support.track(which.newserver('127.0.0.1', 0, handler))
    return support.port(listener), listener
end

-- What a thread does around a wait to be frozen on some Lua.
local inside = {
    ['a Lua function'] = function(f) f() end,
    ['pcall'] = function(f)
        local ok, err = pcall(f)
        if not ok then error(err, 0) end
    end,
    ['a sort comparator'] = function(f)
        table.sort({1, 2}, function() f() return false end)
    end,
    ['a gsub callback'] = function(f)
        string.gsub('x', 'x', function() f() end)
    end,
    ['a metamethod'] = function(f)
        return setmetatable({}, {__index = function() f() end}).x
    end,
    ['an iterator'] = function(f)
        local done = false
        for _ in function()
            if not done then f() end
            return not done or nil
        end do
            done = true
        end
    end,
    ['a standard coroutine'] = function(f) coroutine.wrap(f)() end,
    ['a wrapped function'] = function(f) coro.wrap(f)() end,
    ['a safewrapped function'] = function(f) coro.safewrap(f)() end,
    ['a resumed thread'] = function(f)
        local ok, err = coro.resume(coro.create(f))
        if not ok then error(err, 0) end
    end,
}

-------------------------------------------------------------------------------

describe('The coro loop', function()
    hooks(before_each, after_each)

    it('is a module of its own', function()
        assert.equal(loop.coro, require 'socketloop.coro')
        assert.equal(loop.coro, loop.coro)
        assert.not_equal(loop, loop.coro)
    end)

    it('has all the functions of the plain loop', function()
        for name, value in pairs(loop) do
            if type(value) == 'function' then
                assert.equal('function', type(loop.coro[name]), name)
            end
        end
        for _, name in ipairs {
            'wrap', 'tcp', 'connect', 'newthread', 'current', 'suspend',
            'resume', 'newserver', 'start', 'stop', 'step', 'sleep', 'now',
        } do
            assert.equal('function', type(loop.coro[name]), name)
        end
    end)

    it('has the same poller', function()
        assert.equal(loop.poller, loop.coro.poller)
    end)

    it('has the same clock', function()
        local first = loop.now()
        local second = loop.coro.now()
        assert.is_true(first <= second and second <= loop.now())
    end)

    it('has nothing to do with the threads of the plain loop', function()
        local woken = false
        loop.newthread(function()
            loop.sleep(0)
            woken = true
        end)
        assert.is_false(loop.coro.step(0))
        assert.is_false(woken)
        drain(loop)
        assert.is_true(woken)
    end)

    it('has nothing to do with the stop of the plain loop', function()
        local turns = 0
        loop.stop()
        loop.coro.newthread(function()
            for _ = 1, 3 do
                loop.coro.sleep(0)
                turns = turns + 1
            end
        end)
        loop.coro.start()
        assert.equal(3, turns)
        loop.start()
    end)

    it('has an onerror of its own', function()
        local plain_calls, coro_calls = 0, 0
        loop.onerror = function() plain_calls = plain_calls + 1 end
        loop.coro.onerror = function() coro_calls = coro_calls + 1 end
        for _, which in pairs(loops) do
            which.newthread(function()
                which.sleep(0)
                error 'boom'
            end)
        end
        drain(loop.coro)
        assert.equal(0, plain_calls)
        assert.equal(1, coro_calls)
        drain(loop)
        assert.equal(1, plain_calls)
        assert.equal(1, coro_calls)
    end)

    it('makes coro threads', function()
        local current, running, ismain, is_main_of_loop
        local thread = loop.coro.newthread(function()
            current, is_main_of_loop = loop.coro.current()
            running, ismain = coro.running()
            loop.coro.suspend()
        end)
        assert.equal('thread', type(thread))
        assert.equal(thread, current)
        assert.equal(thread, running)
        assert.is_false(ismain)
        assert.is_falsy(is_main_of_loop)
        assert.equal('suspended', coro.status(thread))
        loop.coro.resume(thread)
        assert.equal('dead', coro.status(thread))
    end)

    it('serves a page full of lines', function()
        local port, listener = serve(loop.coro, function(client)
            repeat
                local line = client:receive()
                if line then client:send(line:upper() .. '\n') end
            until not line
            client:close()
        end)
        local answers = {}
        for i = 1, 20 do
            loop.coro.newthread(function()
                local client = assert(loop.coro.connect('127.0.0.1', port))
                for k = 1, 5 do
                    client:send(('line %d %d\n'):format(i, k))
                    push(answers, (assert(client:receive())))
                end
                client:close()
                if #answers == 100 then listener:close() end
            end)
        end
        loop.coro.start()
        assert.equal(100, #answers)
        assert.matches('^LINE %d+ %d+$', answers[100])
    end)

    it('can be stopped', function()
        local turns = 0
        loop.coro.newthread(function()
            for _ = 1, 5 do
                turns = turns + 1
                if turns == 2 then loop.coro.stop() end
                loop.coro.sleep(0)
            end
        end)
        loop.coro.start()
        assert.is_true(turns < 5)
        loop.coro.start()
        assert.equal(5, turns)
    end)

    it('closes its sockets when they are garbage', function()
        local before = support.fd_count()
        local function open()
            local s = loop.coro.tcp('127.0.0.1', 0)
            assert(s:listen())
            loop.coro.newthread(function()
                loop.coro.suspend()
                s:accept()
            end)
        end
        for _ = 1, 5 do open() end
        support.collect()
        support.collect()
        assert.is_true(support.fd_count() <= before + 1)
    end)
end)

-------------------------------------------------------------------------------

-- What holds of both loops alike.
for name, which in pairs(loops) do
    describe('In ' .. name .. ' newthread', function()
        hooks(before_each, after_each)

        it('runs the handler at once with all the arguments', function()
            local got
            which.newthread(function(...) got = pack(...) end, 1, nil, 'x',
                            nil)
            assert.same(pack(1, nil, 'x', nil), got)
            which.newthread(function(...) got = pack(...) end)
            assert.same(pack(), got)
            which.newthread(function(...) got = pack(...) end, numbers(250))
            assert.same(pack(numbers(250)), got)
        end)

        it('returns the thread also when it has ended', function()
            local results = pack(which.newthread(function()
                return 1, 2
            end))
            assert.equal(1, results.n)
            assert.equal('dead', coro.status(results[1]))
        end)

        it('returns when the thread first waits or suspends', function()
            local log = {}
            local thread = which.newthread(function()
                log[#log + 1] = 'started'
                which.sleep(0)
                log[#log + 1] = 'woken'
                which.suspend()
                log[#log + 1] = 'resumed'
            end)
            log[#log + 1] = 'returned'
            drain(which)
            which.resume(thread)
            assert.same({'started', 'returned', 'woken', 'resumed'}, log)
        end)

        it('runs a thread started by a thread at once', function()
            local log = {}
            run(which, function()
                which.newthread(function()
                    log[#log + 1] = 'inner'
                    which.sleep(0)
                    log[#log + 1] = 'inner woken'
                end)
                log[#log + 1] = 'outer'
                which.sleep(0)
                which.sleep(0)
            end)
            assert.same({'inner', 'outer', 'inner woken'}, log)
        end)

        it('starts threads from an iterator', function()
            local woken = 0
            run(which, function()
                for _ in coro.wrap(function()
                    for _ = 1, 3 do
                        which.newthread(function()
                            which.sleep(0)
                            woken = woken + 1
                        end)
                        coro.yield(1)
                    end
                end) do which.sleep(0) end
            end)
            drain(which)
            assert.equal(3, woken)
        end)

        it('raises an error before the first wait', function()
            local function culprit() error 'boom' end
            local err = failure(which.newthread, function() culprit() end)
            assert.matches('coroloop_spec%.lua:%d+: boom\n', err)
            assert.matches('culprit', err)
            assert.equal(1, count(err, 'stack traceback:'))
            local value = {}
            assert.equal(value, failure(which.newthread, error, value))
            assert.is_nil(failure(which.newthread, error, nil))
            assert.is_false(which.step(0))
        end)

        it('raises it in the thread that started the other', function()
            local err = run(which, function()
                local err = failure(which.newthread, function()
                    error 'boom'
                end)
                which.sleep(0)
                return err
            end)
            assert.matches('boom', err)
        end)
    end)

    describe('In ' .. name .. ' suspend and resume', function()
        hooks(before_each, after_each)

        local lists = {
            pack(), pack(nil), pack('x'), pack(nil, 1, nil, false, nil),
            pack(numbers(100)), pack(numbers(250)),
        }

        for where, around in pairs(inside) do
            it('pass any values inside ' .. where, function()
                local got, inner
                which.newthread(function()
                    for _ = 1, #lists do
                        around(function()
                            inner = which.current()
                            got = pack(which.suspend())
                        end)
                    end
                end)
                for _, list in ipairs(lists) do
                    support.collect()
                    which.resume(inner, unpack(list, 1, list.n))
                    assert.same(list, got)
                end
            end)
        end

        it('resume returns no value', function()
            local thread = which.newthread(function()
                which.suspend(1, 2)
                return 3
            end)
            assert.same(pack(), pack(which.resume(thread)))
        end)

        it('resume returns when the thread suspends, waits or ends',
        function()
            local log = {}
            local thread = which.newthread(function()
                which.suspend()
                log[#log + 1] = 'one'
                which.suspend()
                log[#log + 1] = 'two'
                which.sleep(0)
                log[#log + 1] = 'woken'
                which.suspend()
                log[#log + 1] = 'three'
            end)
            for i = 1, 2 do
                which.resume(thread)
                log[#log + 1] = 'resumed ' .. i
            end
            drain(which)
            which.resume(thread)
            log[#log + 1] = 'resumed 3'
            assert.same({
                'one', 'resumed 1', 'two', 'resumed 2', 'woken', 'three',
                'resumed 3',
            }, log)
        end)

        it('resume makes its caller the place to come back to', function()
            local log = {}
            local other
            run(which, function()
                other = which.newthread(function()
                    for i = 1, 3 do
                        which.suspend()
                        log[#log + 1] = 'other ' .. i
                        if i == 2 then which.sleep(0) end
                    end
                end)
                for i = 1, 2 do
                    which.resume(other)
                    log[#log + 1] = 'back ' .. i
                end
                for _ = 1, 3 do which.sleep(0) end
                which.resume(other)
                log[#log + 1] = 'back 3'
            end)
            assert.same({
                'other 1', 'back 1', 'other 2', 'back 2', 'other 3',
                'back 3',
            }, log)
            assert.equal('dead', coro.status(other))
        end)

        it('resume raises the error of the thread', function()
            local value = {}
            local thread = which.newthread(function()
                which.suspend()
                error(value)
            end)
            assert.equal(value, failure(which.resume, thread))
            assert.equal('dead', coro.status(thread))
            thread = which.newthread(function()
                which.suspend()
                error 'boom'
            end)
            local err = run(which, function()
                return failure(which.resume, thread)
            end)
            assert.matches('boom\nstack traceback:', err)
        end)

        it('resume refuses threads that it cannot resume', function()
            local thread = which.newthread(function() end)
            assert.matches('cannot resume dead', failure(which.resume, thread))
            thread = which.newthread(function() which.sleep(0) end)
            assert.matches('waits', failure(which.resume, thread))
            drain(which)
            assert.matches('running', run(which, function()
                return failure(which.resume, (which.current()))
            end))
        end)

        it('a suspended thread alone does not keep the loop alive',
        function()
            local thread = which.newthread(which.suspend)
            assert.is_false(which.step(5))
            which.start()
            which.resume(thread)
            assert.equal('dead', coro.status(thread))
        end)

        it('a suspended thread is collected when nobody knows it', function()
            local list = setmetatable({}, {__mode = 'k'})
            local function make(around)
                list[which.newthread(function()
                    around(function() which.suspend() end)
                end)] = true
            end
            for _, around in pairs(inside) do
                for _ = 1, 3 do make(around) end
            end
            assert.is_true(collected(list))
        end)
    end)

    describe('In ' .. name .. ' a wait', function()
        hooks(before_each, after_each)

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

        it('keeps alive a thread that nobody refers to', function()
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
            for _, other in pairs(loops) do
                local err = failure(other.sleep, 0)
                assert.matches('must be called from a loop thread', err)
            end
        end)
    end)

    describe('In ' .. name .. ' an iterator', function()
        hooks(before_each, after_each)

        -- The lines of a socket as an iterator of this or that make.
        local makes = {
            ['coro.wrap'] = function(client)
                return coro.wrap(function()
                    for line in function() return client:receive() end do
                        coro.yield(line)
                    end
                end)
            end,
            ['coro.safewrap'] = function(client)
                return (coro.safewrap(function(yield)
                    for line in function() return client:receive() end do
                        yield(line)
                    end
                end))
            end,
            ['coro.safewrap, yielding from a wrap in it,'] = function(client)
                return (coro.safewrap(function(yield)
                    coro.wrap(function()
                        for line in function() return client:receive() end do
                            yield(line)
                        end
                    end)()
                end))
            end,
            ['coro.resume and coro.yield'] = function(client)
                local thread = coro.create(function()
                    for line in function() return client:receive() end do
                        coro.yield(line)
                    end
                end)
                return function()
                    local ok, line = coro.resume(thread)
                    assert(ok, line)
                    return line
                end
            end,
            ['coro.transfer'] = function(client)
                local consumer
                local thread = coro.create(function()
                    for line in function() return client:receive() end do
                        coro.transfer(consumer, line)
                    end
                    coro.transfer(consumer)
                end)
                return function()
                    consumer = coro.running()
                    return coro.transfer(thread)
                end
            end,
            ['coro.wrap in coro.wrap'] = function(client)
                return coro.wrap(function()
                    for line in coro.wrap(function()
                        for line in function() return client:receive() end do
                            coro.yield(line)
                        end
                    end) do
                        coro.yield(line)
                    end
                end)
            end,
            ['coro.wrap, yielding in a sort,'] = function(client)
                return coro.wrap(function()
                    for line in function() return client:receive() end do
                        table.sort({1, 2}, function()
                            coro.yield(line)
                            return false
                        end)
                    end
                end)
            end,
            ['coro.wrap, reading in gsub and pcall,'] = function(client)
                return coro.wrap(function()
                    repeat
                        local ok, line
                        string.gsub('x', 'x', function()
                            ok, line = pcall(client.receive, client)
                        end)
                        if ok and line then coro.yield(line) end
                    until not (ok and line)
                end)
            end,
            ['coroutine.wrap'] = function(client)
                return coroutine.wrap(function()
                    for line in function() return client:receive() end do
                        coroutine.yield(line)
                    end
                end)
            end,
            ['coroutine.wrap in coro.wrap'] = function(client)
                return coro.wrap(function()
                    for line in coroutine.wrap(function()
                        for line in function() return client:receive() end do
                            coroutine.yield(line)
                        end
                    end) do
                        coro.yield(line)
                    end
                end)
            end,
        }

        for make, lines in pairs(makes) do
            it('by ' .. make .. ' reads lines', function()
                local client, peer = mixed(which)
                local log = {}
                which.newthread(function()
                    for line in lines(client) do log[#log + 1] = line end
                    log[#log + 1] = 'end'
                    client:close()
                end)
                for i = 1, 3 do
                    peer:send('line ' .. i .. '\n')
                    for _ = 1, 3 do which.step(0.01) end
                    support.collect()
                    assert.equal(i, #log)
                end
                peer:send 'line 4\nline 5\n'
                peer:close()
                drain(which)
                assert.same({
                    'line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'end',
                }, log)
            end)

            it('by ' .. make .. ' is one of many', function()
                local clients, peers, sums, ended = {}, {}, {}, 0
                for i = 1, 20 do
                    clients[i], peers[i] = mixed(which)
                    sums[i] = 0
                    which.newthread(function()
                        for line in lines(clients[i]) do
                            sums[i] = sums[i] + tonumber(line)
                            which.sleep(0)
                        end
                        clients[i]:close()
                        ended = ended + 1
                    end)
                end
                for k = 1, 5 do
                    for i = 1, 20 do peers[i]:send(i * k .. '\n') end
                    which.step(0)
                end
                for i = 1, 20 do peers[i]:close() end
                drain(which)
                assert.equal(20, ended)
                for i = 1, 20 do assert.equal(15 * i, sums[i]) end
            end)

            it('by ' .. make .. ' is left half way', function()
                local client, peer = mixed(which)
                local first
                local list = setmetatable({}, {__mode = 'k'})
                which.newthread(function()
                    local iterator = lines(client)
                    list[iterator] = true
                    first = iterator()
                end)
                peer:send 'one\ntwo\n'
                drain(which)
                assert.equal('one', first)
                assert.is_true(collected(list))
                assert.equal('two', run(which, function()
                    return client:receive()
                end))
                client:close()
                peer:close()
            end)
        end

        it('sleeps and yields by turns', function()
            local values = run(which, function()
                local values = {}
                for a, b, c in coro.wrap(function()
                    for i = 1, 5 do
                        which.sleep(0)
                        coro.yield(i, nil, 'x')
                    end
                end) do
                    assert(b == nil and c == 'x')
                    values[#values + 1] = a
                    which.sleep(0)
                end
                return values
            end)
            assert.same({1, 2, 3, 4, 5}, values)
        end)

        it('passes values both ways across waits', function()
            local log = run(which, function()
                local log = {}
                local generator = coro.wrap(function(...)
                    local list = pack(...)
                    for _ = 1, 4 do
                        which.sleep(0)
                        list = pack(coro.yield(unpack(list, 1, list.n)))
                        which.sleep(0)
                    end
                end)
                for i, list in ipairs {
                    pack(), pack(nil, 1, nil), pack(numbers(250)), pack 'x',
                } do
                    log[i] = pack(generator(unpack(list, 1, list.n)))
                end
                return log
            end)
            assert.same({
                pack(), pack(nil, 1, nil), pack(numbers(250)), pack 'x',
            }, log)
        end)

        it('is used by two threads in turn', function()
            local log = {}
            local iterator = coro.wrap(function()
                for i = 1, 6 do
                    which.sleep(0)
                    coro.yield(i)
                end
            end)
            local turn = 1
            for i = 1, 2 do
                which.newthread(function()
                    for _ = 1, 3 do
                        while turn ~= i do which.sleep(0) end
                        push(log, i .. ':' .. iterator())
                        turn = 3 - i
                    end
                end)
            end
            drain(which)
            assert.same({'1:1', '2:2', '1:3', '2:4', '1:5', '2:6'}, log)
        end)

        it('cannot be run by another thread while it waits', function()
            local err
            local iterator = coro.wrap(function()
                which.sleep(0.001)
                coro.yield 'value'
            end)
            local value
            which.newthread(function() value = iterator() end)
            which.newthread(function() err = failure(iterator) end)
            drain(which)
            assert.equal('string', type(err))
            assert.equal('value', value)
        end)

        it('does not hold up the other threads', function()
            local log = {}
            which.newthread(function()
                for value in coro.wrap(function()
                    for i = 1, 3 do
                        which.sleep(0)
                        coro.yield('iterator ' .. i)
                    end
                end) do log[#log + 1] = value end
            end)
            which.newthread(function()
                for i = 1, 3 do
                    log[#log + 1] = 'thread ' .. i
                    which.sleep(0)
                end
            end)
            drain(which)
            assert.same({
                'thread 1', 'iterator 1', 'thread 2', 'iterator 2',
                'thread 3', 'iterator 3',
            }, log)
        end)

        it('may run the threads that it makes', function()
            local total = run(which, function()
                local total = 0
                for value in coro.wrap(function()
                    local pending = 3
                    for i = 1, 3 do
                        which.newthread(function()
                            which.sleep(0.001 * (4 - i))
                            total = total + i
                            pending = pending - 1
                        end)
                    end
                    while pending > 0 do which.sleep(0.001) end
                    coro.yield(10)
                end) do
                    total = total + value
                end
                return total
            end)
            assert.equal(16, total)
        end)

        it('that fails after a wait raises in its user', function()
            local function culprit() error 'boom' end
            local err = run(which, function()
                local function user_of_iterator()
                    coro.wrap(function()
                        which.sleep(0)
                        culprit()
                    end)()
                end
                return select(2, pcall(function()
                    user_of_iterator()
                end))
            end)
            assert.matches('coroloop_spec%.lua:%d+: boom\nstack traceback:\n',
                           err)
            assert.matches('culprit.*user_of_iterator', err)
            assert.equal(1, count(err, 'stack traceback:'))
        end)

        it('that fails after a wait ends the thread', function()
            local function culprit() error 'boom' end
            local function user_of_iterator()
                coro.wrap(function()
                    which.sleep(0)
                    culprit()
                end)()
            end
            which.newthread(function() user_of_iterator() end)
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('culprit.*user_of_iterator', errors[1])
            assert.equal(1, count(errors[1], 'boom'))
            assert.equal(1, count(errors[1], 'stack traceback:'))
        end)

        it('of LuaSocket\'s ltn12 kind pumps', function()
            local client, peer = mixed(which)
            local parts = {}
            local ltn12 = require 'ltn12'
            which.newthread(function()
                local source = coro.wrap(function()
                    while true do
                        local data, err, partial = client:receive(4)
                        data = data or partial
                        if #data > 0 then coro.yield(data) end
                        if err then return end
                    end
                end)
                assert(ltn12.pump.all(source, (ltn12.sink.table(parts))))
                client:close()
            end)
            peer:send 'abcdefghij'
            which.step(0.01)
            peer:close()
            drain(which)
            assert.same({'abcd', 'efgh', 'ij'}, parts)
        end)
    end)

    describe('In ' .. name .. ' coro.resume', function()
        hooks(before_each, after_each)

        it('waits for a thread that waits', function()
            local results = run(which, function()
                local thread = coro.create(function(...)
                    which.sleep(0)
                    local list = pack(coro.yield(...))
                    which.sleep(0)
                    return unpack(list, 1, list.n)
                end)
                return {
                    pack(coro.resume(thread, 1, nil)),
                    pack(coro.resume(thread, nil, 2, nil)),
                    coro.status(thread),
                }
            end)
            assert.same({
                pack(true, 1, nil), pack(true, nil, 2, nil), 'dead',
            }, results)
        end)

        it('nests, each thread with waits of its own', function()
            local log = run(which, function()
                local log = {}
                local function nest(depth)
                    which.sleep(0)
                    log[#log + 1] = depth
                    if depth < 10 then
                        assert(coro.resume(coro.create(nest), depth + 1))
                    end
                    which.sleep(0)
                    log[#log + 1] = -depth
                end
                nest(1)
                return log
            end)
            local expected = {}
            for i = 1, 10 do
                expected[i], expected[21 - i] = i, -i
            end
            assert.same(expected, log)
        end)

        it('nests with every kind of nesting between', function()
            local depth = 0
            for _, around in pairs(inside) do
                for _, other in pairs(inside) do
                    which.newthread(function()
                        around(function()
                            other(function()
                                which.sleep(0)
                                depth = depth + 1
                            end)
                            which.sleep(0)
                            depth = depth + 1
                        end)
                    end)
                end
            end
            drain(which)
            local kinds = 0
            for _ in pairs(inside) do kinds = kinds + 1 end
            assert.equal(2 * kinds * kinds, depth)
        end)

        it('returns the error of a thread that has waited', function()
            local function innermost_function()
                which.sleep(0)
                error 'boom'
            end
            local function outer_function()
                return coro.resume(coro.create(function()
                    innermost_function()
                end))
            end
            local results = pack(run(which, function()
                local results = pack(outer_function())
                which.sleep(0)
                return unpack(results, 1, results.n)
            end))
            assert.equal(3, results.n)
            assert.is_false(results[1])
            assert.matches('boom$', results[2])
            assert.matches('^stack traceback:\n', results[3])
            assert.matches('innermost_function.*outer_function', results[3])
            assert.equal(1, count(results[3], 'stack traceback:'))
        end)

        it('resumes two generators by turns', function()
            local log = run(which, function()
                local log, threads = {}, {}
                for i = 1, 2 do
                    threads[i] = coro.create(function()
                        for k = 1, 3 do
                            which.sleep(0)
                            coro.yield(i * 10 + k)
                        end
                    end)
                end
                for _ = 1, 3 do
                    for i = 1, 2 do
                        log[#log + 1] = select(2, coro.resume(threads[i]))
                    end
                end
                return log
            end)
            assert.same({11, 21, 12, 22, 13, 23}, log)
        end)

        it('of the main program returns at the first wait', function()
            local log = {}
            local thread = coro.create(function()
                log[#log + 1] = 'started'
                which.sleep(0)
                log[#log + 1] = 'woken'
            end)
            local results = pack(coro.resume(thread))
            log[#log + 1] = 'returned'
            assert.same(pack(true), results)
            assert.equal('suspended', coro.status(thread))
            support.collect()
            drain(which)
            assert.same({'started', 'returned', 'woken'}, log)
            assert.equal('dead', coro.status(thread))
        end)

        it('of the main program returns at the first I/O', function()
            for where, around in pairs(inside) do
                local client, peer = mixed(which)
                local got
                local results = pack(coro.resume(coro.create(function()
                    around(function() got = client:receive() end)
                    client:close()
                end)))
                assert.same(pack(true), results, where)
                support.collect()
                peer:send 'hello\n'
                drain(which)
                assert.equal('hello', got, where)
                peer:close()
            end
        end)

        it('of the main program may resume it after the wait', function()
            local ended
            local thread = coro.create(function()
                which.sleep(0)
                ended = coro.transfer(main)
            end)
            coro.resume(thread)
            drain(which)
            assert.equal('suspended', coro.status(thread))
            assert.same(pack(true), pack(coro.resume(thread, 'ended')))
            assert.equal('ended', ended)
        end)

        it('of the main program is over at the first wait', function()
            local reached
            local thread = coro.create(function()
                which.sleep(0)
                pcall(coro.yield, 'for nobody')
                reached = true
            end)
            assert.same(pack(true), pack(coro.resume(thread)))
            drain(which)
            if not reached then coro.resume(thread) end
            assert.is_true(reached)
            assert.equal('dead', coro.status(thread))
        end)

        it('of the main program gets what comes before the wait', function()
            local iterator = coro.wrap(function()
                coro.yield(1)
                which.sleep(0)
            end)
            assert.equal(1, iterator())
            assert.same(pack(), pack(iterator()))
            drain(which)
            assert.matches('cannot resume dead', failure(iterator))
        end)

        it('of the main program: an error after the wait leaves step',
        function()
            coro.resume(coro.create(function()
                which.sleep(0)
                error 'boom'
            end))
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('boom', errors[1])
        end)
    end)

    describe('In ' .. name .. ' coro.transfer', function()
        hooks(before_each, after_each)

        it('of the main program returns at the first wait', function()
            local woken
            local thread = coro.create(function()
                which.sleep(0)
                woken = coro.transfer(main)
            end)
            assert.same(pack(), pack(coro.transfer(thread)))
            assert.is_nil(woken)
            assert.equal('suspended', coro.status(thread))
            drain(which)
            assert.is_nil(woken)
            assert.is_true((coro.resume(thread, 'woken')))
            assert.equal('woken', woken)
            assert.equal('dead', coro.status(thread))
        end)

        it('of the main program: the thread must end by transferring',
        function()
            coro.transfer(coro.create(function() which.sleep(0) end))
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('coroutine ended without transferring control',
                           errors[1])
        end)

        it('works among threads of the loop', function()
            local log = {}
            local first, second
            first = which.newthread(function()
                push(log, pack(which.suspend()))
                which.sleep(0)
                coro.transfer(second, 'back', nil)
                log[#log + 1] = 'never'
            end)
            second = which.newthread(function()
                which.sleep(0)
                push(log, pack(coro.transfer(first, 'there', nil)))
                which.sleep(0)
                log[#log + 1] = 'end'
            end)
            drain(which)
            assert.same({pack('there', nil), pack('back', nil), 'end'}, log)
            assert.equal('dead', coro.status(second))
            assert.equal('suspended', coro.status(first))
        end)

        it('to a thread that waits raises an error in the caller', function()
            local client, peer = mixed(which)
            local thread = which.newthread(function()
                client:receive()
                client:close()
            end)
            assert.matches('waits', run(which, function()
                local err = failure(coro.transfer, thread)
                which.sleep(0)
                return err
            end))
            assert.matches('waits', failure(coro.transfer, thread))
            peer:close()
            drain(which)
            assert.equal('dead', coro.status(thread))
        end)

        it('to a thread that has ended raises an error', function()
            local thread = which.newthread(function() end)
            assert.matches('cannot resume dead coroutine',
                           run(which, function()
                return failure(coro.transfer, thread)
            end))
        end)

        it('lets a thread made by coro.create do I/O', function()
            local client, peer = mixed(which)
            local log = {}
            local helper = coro.create(function(thread)
                while true do
                    local line = client:receive()
                    thread = coro.transfer(thread, line)
                end
            end)
            which.newthread(function()
                local me = coro.running()
                repeat
                    local line = coro.transfer(helper, me)
                    log[#log + 1] = line or 'end'
                until not line
                client:close()
            end)
            peer:send 'one\ntwo\n'
            which.step(0.1)
            peer:send 'three\n'
            peer:close()
            drain(which)
            assert.same({'one', 'two', 'three', 'end'}, log)
        end)

        it('works inside whatever, with waits between', function()
            local turns = 0
            for where, around in pairs(inside) do
                local thread, helper
                helper = coro.create(function()
                    while true do
                        around(function()
                            which.sleep(0)
                            turns = turns + 1
                        end)
                        coro.transfer(thread)
                    end
                end)
                which.newthread(function()
                    around(function()
                        thread = coro.running()
                        for _ = 1, 3 do
                            coro.transfer(helper)
                            which.sleep(0)
                        end
                    end)
                    turns = turns + 10
                end)
                drain(which)
                assert.equal(13, turns, where)
                turns = 0
            end
        end)

        it('to the loop suspends the thread', function()
            local got
            local thread = which.newthread(function()
                which.sleep(0)
                got = pack(coro.transfer(main))
                which.sleep(0)
                got.woken = true
            end)
            drain(which)
            assert.is_nil(got)
            assert.equal('suspended', coro.status(thread))
            which.resume(thread, 1, nil)
            drain(which)
            assert.same({n = 2, 1, woken = true}, got)
        end)

        it('of an error: it leaves step', function()
            local reached = false
            local thread = which.newthread(function()
                which.sleep(0)
                pcall(coro.transfer, coro.create(function()
                    local function culprit() error 'boom' end
                    culprit()
                end))
                reached = true
            end)
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('coroloop_spec%.lua:%d+: boom\n', errors[1])
            assert.matches('culprit', errors[1])
            assert.equal(1, count(errors[1], 'stack traceback:'))
            assert.is_false(reached)
            assert.equal('suspended', coro.status(thread))
        end)

        it('of an error: onerror gets it', function()
            local calls = {}
            which.onerror = function(...) calls[#calls + 1] = pack(...) end
            local value = {}
            local failed
            which.newthread(function()
                which.sleep(0)
                failed = coro.create(function()
                    which.sleep(0)
                    error(value)
                end)
                coro.transfer(failed)
            end)
            drain(which)
            assert.equal(1, #calls)
            assert.equal(failed, calls[1][1])
            assert.equal(value, calls[1][2])
            assert.matches('^stack traceback:', calls[1][3])
        end)

        it('to a thread that just ends: an error leaves step', function()
            which.newthread(function()
                which.sleep(0)
                coro.transfer(coro.create(function() end))
            end)
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('coroutine ended without transferring control',
                           errors[1])
        end)

        it('many times with waits takes no memory', function()
            local function round(turns)
                local a, b
                local function play(other)
                    return function()
                        for i = 1, turns do
                            if i % 10 == 0 then which.sleep(0) end
                            coro.transfer(other())
                        end
                        which.suspend()
                    end
                end
                a = coro.create(play(function() return b end))
                b = coro.create(play(function() return a end))
                which.newthread(function()
                    coro.transfer(a)
                end)
                drain(which)
                support.collect()
                return collectgarbage 'count'
            end
            round(100)
            local before = round(100)
            assert.is_true(round(some(10000, 100)) - before < 50)
        end)
    end)

    describe('In ' .. name .. ' coro.yield', function()
        hooks(before_each, after_each)

        it('raises in a thread that nobody resumed', function()
            local first, second, yieldable
            which.newthread(function()
                yieldable = coro.isyieldable()
                first = failure(coro.yield)
                which.sleep(0)
                second = failure(coro.yield, 1)
            end)
            drain(which)
            assert.is_false(yieldable)
            assert.matches('yielding from a non%-resumed thread', first)
            assert.matches('yielding from a non%-resumed thread', second)
        end)

        it('is possible in an iterator before and after a wait', function()
            local before, after
            run(which, function()
                coro.wrap(function()
                    before = coro.isyieldable()
                    which.sleep(0)
                    after = coro.isyieldable()
                end)()
            end)
            assert.is_true(before)
            assert.is_true(after)
        end)
    end)

    describe('In ' .. name .. ' coro.running', function()
        hooks(before_each, after_each)

        it('is the thread, before and after a wait', function()
            for where, around in pairs(inside) do
                local before, after
                which.newthread(function()
                    around(function()
                        before = pack(coro.running())
                        which.sleep(0)
                        after = pack(coro.running())
                    end)
                end)
                drain(which)
                assert.equal('thread', type(before[1]), where)
                assert.is_false(before[2], where)
                assert.same(before, after, where)
            end
        end)

        it('is the thread of newthread', function()
            local running
            local thread = which.newthread(function()
                which.sleep(0)
                coroutine.wrap(function() running = coro.running() end)()
            end)
            drain(which)
            assert.equal(thread, running)
        end)

        it('is main in onerror and after a step', function()
            local thread, ismain
            which.onerror = function() thread, ismain = coro.running() end
            which.newthread(function()
                which.sleep(0)
                error 'boom'
            end)
            drain(which)
            assert.equal(main, thread)
            assert.is_true(ismain)
            assert.equal(main, (coro.running()))
        end)
    end)

    describe('In ' .. name .. ' an error', function()
        hooks(before_each, after_each)

        it('leaves step with its message and one traceback', function()
            which.newthread(function()
                which.sleep(0)
                local function culprit() error 'boom' end
                culprit()
            end)
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('^[^\n]*coroloop_spec%.lua:%d+: boom\n', errors[1])
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
            assert.is_true(collected(list))
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
        hooks(before_each, after_each)

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

    describe('With coro.install() in ' .. name, function()
        hooks(before_each, after_each)

        local standard = coroutine
        after_each(function() _G.coroutine = standard end)  -- luacheck: ignore

        -- A client of a publisher, written as for any socket: it knows
        -- nothing of loops and coro, and keeps what it needs of coroutine
        -- in locals, from when it was loaded.
        local library = [[
            local wrap, yield = coroutine.wrap, coroutine.yield
            local M = {}
            function M.subscribe(client, ...)
                local channels, aborting = {...}, false
                for _, channel in ipairs(channels) do
                    assert(client:send('SUBSCRIBE ' .. channel .. '\n'))
                end
                return wrap(function()
                    local count = #channels
                    while count > 0 do
                        local line = assert(client:receive())
                        local kind, channel, payload =
                            line:match '^(%a+) (%S+) ?(.*)$'
                        if kind == 'unsubscribe' then
                            count = count - 1
                        else
                            local message = {
                                kind = kind, channel = channel,
                                payload = payload,
                            }
                            yield(message, function()
                                if aborting then return end
                                aborting = true
                                for _, each in ipairs(channels) do
                                    client:send('UNSUBSCRIBE ' .. each .. '\n')
                                end
                            end)
                        end
                    end
                end)
            end
            return M
        ]]

        local function publisher(client)
            for line in coro.wrap(function()
                for line in function() return client:receive() end do
                    coro.yield(line)
                end
            end) do
                local verb, channel = line:match '^(%a+) (%S+)$'
                if verb == 'SUBSCRIBE' then
                    client:send('subscribe ' .. channel .. '\n')
                    which.newthread(function()
                        for i = 1, 3 do
                            which.sleep(0.001)
                            client:send(('message %s payload %d\n')
                                :format(channel, i))
                        end
                    end)
                else
                    client:send('unsubscribe ' .. channel .. '\n')
                end
            end
            client:close()
        end

        local function test_with(pubsub)
            local port, listener = serve(which, publisher)
            local log, ended = {}, 0
            for i = 1, 5 do
                which.newthread(function()
                    local client = assert(which.connect('127.0.0.1', port))
                    local seen = 0
                    log[i] = {}
                    for message, abort in pubsub.subscribe(client, 'a', 'b') do
                        table.insert(log[i], message.kind .. ' ' ..
                                     message.channel .. ' ' ..
                                     message.payload)
                        if message.kind == 'message' then seen = seen + 1 end
                        if seen == 6 then abort() end
                    end
                    client:close()
                    ended = ended + 1
                    if ended == 5 then listener:close() end
                end)
            end
            drain(which)
            assert.equal(5, ended)
            for i = 1, 5 do
                table.sort(log[i])
                assert.same({
                    'message a payload 1', 'message a payload 2',
                    'message a payload 3', 'message b payload 1',
                    'message b payload 2', 'message b payload 3',
                    'subscribe a ', 'subscribe b ',
                }, log[i])
            end
        end

        it('a library that is loaded later reads in iterators', function()
            coro.install()
            test_with(support.load(library)())
        end)

        it('a library that was loaded before reads in iterators', function()
            local pubsub = support.load(library)()
            coro.install()
            test_with(pubsub)
        end)

        it('a library reads in iterators without it, too', function()
            test_with(support.load(library)())
        end)

        it('a library with a scheduler of its own works', function()
            coro.install()
            local schedule = support.load [[
                -- Runs all functions by turns until they have ended.
                return function(...)
                    local list = {...}
                    for i, f in ipairs(list) do
                        list[i] = coroutine.create(f)
                    end
                    while #list > 0 do
                        for i = #list, 1, -1 do
                            local ok, err = coroutine.resume(list[i])
                            assert(ok, err)
                            if coroutine.status(list[i]) == 'dead' then
                                table.remove(list, i)
                            end
                        end
                    end
                end
            ]]()
            local client, peer = mixed(which)
            local log = {}
            which.newthread(function()
                schedule(function()
                    for i = 1, 3 do
                        log[#log + 1] = client:receive()
                        if i < 3 then coroutine.yield() end
                    end
                end, function()
                    for _ = 1, 3 do
                        which.sleep(0)
                        log[#log + 1] = 'other'
                        coroutine.yield()
                    end
                end)
                client:close()
            end)
            peer:send 'one\ntwo\n'
            which.step(0.01)
            peer:send 'three\n'
            drain(which)
            peer:close()
            assert.same({'other', 'one', 'other', 'two', 'other', 'three'},
                        log)
        end)

        it('the loop works as without it', function()
            coro.install()
            local log = {}
            local thread = which.newthread(function()
                log[#log + 1] = coroutine.running() == which.current()
                which.sleep(0)
                log[#log + 1] = which.suspend()
            end)
            drain(which)
            which.resume(thread, 'resumed')
            assert.equal('dead', coroutine.status(thread))
            assert.same({true, 'resumed'}, log)
        end)
    end)
end

-------------------------------------------------------------------------------

describe('Both loops', function()
    hooks(before_each, after_each)

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
                -- Lua names a function after the module in which it finds it.
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

    it('let a thread sleep in the one that is not its own', function()
        local log = {}
        for name, each in pairs {plain = {loop, loop.coro},
                                 coro = {loop.coro, loop}} do
            local own, other = each[1], each[2]
            own.newthread(function()
                log[#log + 1] = name
                other.sleep(0)
                log[#log + 1] = name
                own.sleep(0)
                log[#log + 1] = name
            end)
        end
        drain_both()
        table.sort(log)
        assert.same({'coro', 'coro', 'coro', 'plain', 'plain', 'plain'}, log)
    end)

    it('wake a thread in the step of the loop in which it waits', function()
        local woken = false
        loop.coro.newthread(function()
            loop.sleep(0)
            woken = true
        end)
        assert.is_false(loop.coro.step(0))
        assert.is_false(woken)
        assert.is_true(loop.step(1))
        assert.is_true(woken)
    end)

    it('let a thread read from a socket of the other', function()
        local log = {}
        for own, other in pairs {[loop] = loop.coro, [loop.coro] = loop} do
            local client, peer = mixed(other)
            own.newthread(function()
                for line in coro.wrap(function()
                    for _ = 1, 3 do coro.yield((client:receive())) end
                end) do
                    log[#log + 1] = line
                    own.sleep(0)
                end
                client:close()
            end)
            peer:send 'one\ntwo\nthree\n'
            peer:close()
        end
        drain_both()
        table.sort(log)
        assert.same({'one', 'one', 'three', 'three', 'two', 'two'}, log)
    end)

    it('report an error out of the step that ran the thread', function()
        loop.coro.newthread(function()
            loop.sleep(0)
            error 'boom'
        end)
        assert.is_false(loop.coro.step(0))
        assert.matches('boom', failure(loop.step, 1))
        assert.is_false(loop.step(0))
    end)

    it('let one run in a thread of the other', function()
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

    it('let threads of both transfer to each other', function()
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
        for _, which in pairs(loops) do
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
        for _, which in pairs(loops) do
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

-------------------------------------------------------------------------------

describe('A program', function()
    teardown(process.cleanup)

    local function output(code)
        local status, text = process.lua(code)
        assert.equal(0, status, text)
        return text
    end

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
