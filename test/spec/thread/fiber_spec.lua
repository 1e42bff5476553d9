-- Waits inside any C function that calls back into Lua.

local loop = require 'socketloop'
local places = require 'places'
local socket = require 'socket'
local support = require 'support'

local run, pack = support.run, support.pack
local luajit = support.luajit
local some, drain = support.some, support.drain

local giving, truth = places.giving, places.truth

local names = {}
for name in pairs(giving) do names[#names + 1] = name end
table.sort(names)

-- Returns a wait that yields to the other threads and then returns the value.
local function sleeping(value)
    return function()
        loop.sleep(0)
        return value
    end
end

describe('a thread waits inside', function()
    support.hooks(before_each, after_each)

    for _, name in ipairs(names) do
        local place = giving[name]
        local value = truth[name] or 'the value'

        it(name, function()
            assert.equal(value, run(function()
                return (place(sleeping(value)))
            end))
        end)

        it(name .. ', suspended', function()
            local got
            local thread = loop.newthread(function()
                got = place(function() return (loop.suspend()) end)
            end)
            assert.is_nil(got)
            support.collect()
            loop.resume(thread, value)
            assert.equal(value, got)
        end)

        it(name .. ', in coroutine.yield where Lua can', function()
            local ended
            local thread = loop.newthread(function()
                pcall(place, function() return (coroutine.yield()) end)
                ended = true
            end)
            if not ended then loop.resume(thread, value) end
            assert.is_true(ended)
        end)
    end

    it('anything, for I/O', function()
        support.with_pair(function(client, server)
            loop.newthread(function()
                for i = 1, #names do
                    loop.sleep(0)
                    server:send(i .. '\n')
                end
            end)
            for i, name in ipairs(names) do
                local line
                giving[name](function()
                    -- Some places call the function more than once.
                    line = line or assert(client:receive '*l')
                    return line
                end)
                assert.equal(tostring(i), line, name)
            end
        end)
    end)

    -- Calls wait inside the named places, nested in one another.
    local function inside(path, wait)
        for _, name in ipairs(path) do
            local place, inner = giving[name], wait
            wait = function() return (place(inner)) end
        end
        return wait()
    end

    -- Returns whether Lua itself gives the same results each time. When
    -- LuaJIT's compiler aborts a trace, it loses the fact that an error handler
    -- runs: an error in a handler that is itself protected by a handler
    -- sometimes goes to that handler, and sometimes becomes 'error in error
    -- handling'.
    local function is_certain(path)
        local handlers = 0
        for _, name in ipairs(path) do
            if name == 'the handler of xpcall' then handlers = handlers + 1 end
        end
        return not luajit or handlers < 2
    end

    -- Waits inside the places of each path in a thread, all paths at once, and
    -- compares with the results when nothing waits: those of the Lua that runs
    -- are right by definition.
    local function compare(paths)
        local wrong, count = {}, 0
        for i, path in ipairs(paths) do
            local function outcome(wait)
                local ok, value = pcall(inside, path, wait)
                return tostring(ok) .. ' ' .. tostring(value)
            end
            local expected = outcome(function() return true end)
            loop.newthread(function()
                local got = outcome(sleeping(true))
                if got ~= expected then
                    wrong[table.concat(path, ' < ')] = {expected, got}
                end
                count = count + 1
            end)
            if i % 10 == 0 then support.collect() end
        end
        drain()
        assert.same({}, wrong)
        assert.equal(#paths, count)
    end

    it('any of these inside any other, all at once', function()
        local paths = {}
        local every = some(10) == 10 and 1 or 10
        for i, outer in ipairs(names) do
            for j = i % every + 1, #names, every do
                local path = {names[j], outer}
                if is_certain(path) then paths[#paths + 1] = path end
            end
        end
        compare(paths)
    end)

    it('ten of these, one in the other', function()
        local state = 1
        local function random(n)
            state = (state * 16807) % 2147483647
            return state % n + 1
        end
        local paths = {}
        while #paths < some(100) do
            local path = {}
            for j = 1, 10 do path[j] = names[random(#names)] end
            if is_certain(path) then paths[#paths + 1] = path end
        end
        compare(paths)
    end)
end)

describe('an error after a wait', function()
    support.hooks(before_each, after_each)

    for _, name in ipairs(names) do
        it('goes the usual way in ' .. name, function()
            local value = {}
            local function outcome(wait)
                local ok, err = pcall(giving[name], function()
                    wait()
                    error(value)
                end)
                return {ok = ok, type = type(err), same = err == value}
            end
            assert.same(outcome(function() end), run(outcome, sleeping()))
        end)
    end

    it('reaches the pcall around a frozen thread', function()
        local ok, err = run(function()
            return pcall(table.sort, {3, 2, 1}, function()
                loop.sleep(0)
                error('boom', 0)
            end)
        end)
        assert.is_false(ok)
        assert.equal('boom', err)
    end)

    it('reaches the resumer of a nested coroutine', function()
        local ok, err = run(function()
            return coroutine.resume(coroutine.create(function()
                loop.sleep(0)
                error('boom', 0)
            end))
        end)
        assert.is_false(ok)
        assert.equal('boom', err)
    end)

    it('leaves the C stack fit for the next thread', function()
        for _ = 1, 50 do
            loop.newthread(function()
                table.sort({1, 2}, function()
                    loop.sleep(0)
                    error 'boom'
                end)
            end)
        end
        local failed = 0
        repeat
            local ok, waiting = pcall(loop.step, 1)
            if not ok then failed = failed + 1 end
        until ok and not waiting
        assert.equal(50, failed)
        assert.equal('fine', run(function()
            return giving['a sort comparator'](sleeping 'fine')
        end))
    end)

    it('leaves socket.protect as nil and the message', function()
        local got = pack(run(function()
            return socket.protect(function()
                loop.sleep(0)
                socket.try(nil, 'refused')
            end)()
        end))
        assert.is_nil(got[1])
        assert.equal('refused', got[2])
    end)

    it('runs a finalizer that waits before protect returns', function()
        local log = {}
        run(function()
            local _, err = socket.protect(function()
                socket.newtry(function()
                    loop.sleep(0)
                    log[#log + 1] = 'finalizer'
                end)(nil, 'failed')
            end)()
            log[#log + 1] = err
        end)
        assert.same({'finalizer', 'failed'}, log)
    end)
end)

describe('a nested coroutine', function()
    support.hooks(before_each, after_each)

    it('yields to its resumer, waits in the loop', function()
        local got = {}
        run(function()
            for value in coroutine.wrap(function()
                for i = 1, 5 do
                    loop.sleep(0)
                    coroutine.yield(i)
                    loop.sleep(0)
                end
            end) do
                got[#got + 1] = value
            end
        end)
        assert.same({1, 2, 3, 4, 5}, got)
    end)

    it('keeps several generators apart in one thread', function()
        local function generator(first)
            return coroutine.wrap(function()
                for i = first, first + 4 do
                    loop.sleep(0)
                    coroutine.yield(i)
                end
            end)
        end
        local got = {}
        run(function()
            local a, b = generator(1), generator(11)
            for _ = 1, 5 do
                got[#got + 1] = a()
                got[#got + 1] = b()
            end
        end)
        assert.same({1, 11, 2, 12, 3, 13, 4, 14, 5, 15}, got)
    end)

    it('may be handed from thread to thread between its waits', function()
        local generate = coroutine.wrap(function()
            for i = 1, 10 do
                loop.sleep(0)
                coroutine.yield(i)
            end
        end)
        local sum = 0
        for _ = 1, 10 do
            run(function() sum = sum + generate() end)
        end
        assert.equal(55, sum)
    end)

    it('can be made before the loop knows of it', function()
        local nested = coroutine.wrap(function(value)
            loop.sleep(0)
            return value
        end)
        assert.equal('x', run(nested, 'x'))
        local co = coroutine.create(function(value)
            loop.sleep(0)
            return value
        end)
        local ok, value = run(coroutine.resume, co, 'y')
        assert.is_true(ok)
        assert.equal('y', value)
    end)

    it('is refused to another thread while it waits', function()
        local ok, err
        run(function()
            local nested = coroutine.create(function() loop.sleep(0) end)
            loop.newthread(function()
                ok = 'not yet'
                loop.sleep(0)
            end)
            loop.newthread(coroutine.resume, nested)
            ok, err = coroutine.resume(nested)
            loop.sleep(0)
            loop.sleep(0)
        end)
        assert.is_false(ok)
        assert.matches('cannot resume', err)
    end)

    it('has the status normal while it waits', function()
        local status
        run(function()
            local nested
            loop.newthread(function()
                nested = coroutine.create(function() loop.sleep(0) end)
                coroutine.resume(nested)
            end)
            status = coroutine.status(nested)
            loop.sleep(0)
            loop.sleep(0)
        end)
        assert.equal('normal', status)
    end)

    it('is alive while it waits, with nothing but its C stack', function()
        -- No table refers to the thread or to the coroutine.
        local done = 0
        local count = some(100)
        for _ = 1, count do
            loop.newthread(function()
                coroutine.wrap(function()
                    coroutine.wrap(function()
                        local text = ('x'):rep(100) .. tostring({})
                        loop.sleep(0)
                        support.collect()
                        assert(#text > 100)
                        done = done + 1
                    end)()
                end)()
            end)
        end
        support.collect()
        drain()
        assert.equal(count, done)
    end)
end)

describe('4000 threads', function()
    support.hooks(before_each, after_each)

    local mix = {
        'pcall', 'a sort comparator', 'a gsub callback', '__index',
        'a for-iterator', 'a nested coroutine', '__lt', 'xpcall',
        'coroutines nested five deep', 'a package.preload loader',
    }

    -- Starts all threads, which wait() suspends in the loop. Every third one
    -- fails after that with an error value of its own.
    local function freeze(wait, count)
        local ended, failed, wrong = 0, 0, 0
        for i = 1, count do
            local name = mix[i % #mix + 1]
            local place, value = giving[name], truth[name] or i
            loop.newthread(function()
                local ok, result = pcall(function()
                    local got = place(function()
                        wait(i)
                        if i % 3 == 0 then error({i}) end
                        return value
                    end)
                    if type(got) == 'table' then error(got) end
                    return got
                end)
                if i % 3 == 0 then
                    failed = failed + 1
                    if ok or result[1] ~= i then wrong = wrong + 1 end
                elseif not ok or result ~= value then
                    wrong = wrong + 1
                end
                ended = ended + 1
            end)
        end
        return function() return ended, failed, wrong end
    end

    it('sleep in non-yieldable places, all at once', function()
        local count = support.stacks(some(4000))
        local results = freeze(function(i) loop.sleep((i % 7) / 1000) end,
                               count)
        support.collect()
        while loop.step(1) do collectgarbage 'step' end
        local ended, failed, wrong = results()
        assert.equal(count, ended)
        assert.equal(math.floor(count / 3), failed)
        assert.equal(0, wrong)
    end)

    it('are suspended there and resumed in another order', function()
        local count, threads = support.stacks(some(4000)), {}
        local results = freeze(function(i)
            threads[i] = loop.current()
            loop.suspend()
        end, count)
        support.collect()
        assert.is_false(loop.step(0))
        assert.equal(0, (results()))
        for offset = 7, 1, -1 do
            for i = offset, count, 7 do
                loop.resume(threads[i])
                threads[i] = nil
            end
            collectgarbage()
        end
        local ended, failed, wrong = results()
        assert.equal(count, ended)
        assert.equal(math.floor(count / 3), failed)
        assert.equal(0, wrong)
    end)

    it('fail there uncaught, and the loop goes on', function()
        local count = some(400)
        for i = 1, count do
            local place = giving[mix[i % #mix + 1]]
            loop.newthread(function()
                place(function() loop.sleep(0) return true end)
                table.sort({1, 2}, function()
                    loop.sleep(0)
                    error({})
                end)
            end)
        end
        local failed = 0
        repeat
            local ok, waiting = pcall(loop.step, 1)
            if not ok then
                failed = failed + 1
                assert.equal('table', type(waiting))
                if failed % 100 == 0 then support.collect() end
            end
        until ok and not waiting
        assert.equal(count, failed)
    end)
end)
