-- The parts that memory.c runs while memory is short.
--
-- A part is a function `body(known)`. It is run once while requests fail: then
-- it may fail in any way but must not hang. After that it is run again, and
-- must work. Objects that outlive the part, such as servers, are put into
-- fields of known.

-- LuaJIT's compiler sometimes loops without progress when memory is short.
if rawget(_G, 'jit') then rawget(_G, 'jit').off() end

local loop, coro
local unpack = table.unpack or unpack       -- luacheck: ignore

-- Whether requests fail; if so, a step may raise.
local short

local function new_known()
    return {server = false, client = false, other = false, thread = false}
end
local known = new_known()

-- LuaJIT's tostring crashes without memory for a number's text.
local function text_of(n)
    return ('%d'):format(n)
end

-- Closes the object in a field of known. Its error is raised if there is
-- memory.
local function drop(name)
    local value = known[name]
    if value and type(value) ~= 'thread' then value:close() end
    known[name] = false     -- unless close has raised
end

local names = {'server', 'client', 'other', 'thread'}

-- If Lua has no memory to call an object's finalizer, it drops the object. So
-- parts that make much garbage keep objects until there is memory.
local kept

local function new_kept()
    kept = {count = 0}
    for i = 1, 1000 do kept[i] = false end    -- room for keep
end
new_kept()

local function keep(object)
    kept.count = kept.count + 1
    kept[kept.count] = object
    return object
end

-- Steps the loop until over() is true or nothing waits.
local function drive(over)
    for _ = 1, short and 10 or 1000 do
        if over and over() then return true end
        local ok, more = pcall(loop.step, short and 0.002 or 0.01)
        if not ok and not short then error(more, 0) end
        if ok and not more then return true end
        if not ok and short and not over then return false end
    end
    if not short then error 'the loop does not come to an end' end
end

-- Runs f(...) in a thread, and the loop until f has ended.
local function run(f, ...)
    local done = false
    loop.newthread(function(...)
        f(...)
        done = true
    end, ...)
    drive(function() return done end)
    assert(done, 'not done')
end

local function port_of(s)
    local _, port = assert(s:getsockname())
    return port
end

local function expect(wanted, got)
    if wanted ~= got then
        error(('expected %s, got %s'):format(tostring(wanted), tostring(got)),
              2)
    end
end

-------------------------------------------------------------------------------
-- Afterwards

-- Errors of threads may still be reported, and some threads may wait for ever.
local function recover()
    loop.onerror = nil
    for _ = 1, 1000 do
        for _, name in ipairs(names) do drop(name) end
        collectgarbage()    -- objects without references
        local ok, more = pcall(loop.step, 0.01)
        if ok and not more then return end
    end
    error 'something waits for ever'
end

local parts = {}

-- Makes a string too long for a luaL_Buffer on the C stack. 5.4 leaves the
-- metatable of such buffers unfinished if memory is short when the first one is
-- made.
local function prepare()
    assert(('x'):rep(100000))
    loop = require 'socketloop'
    coro = require 'socketloop.symmetric'
end

local function part(name, body, before)
    parts[#parts + 1] = {
        name,
        before or prepare,
        function(is_short)
            short = is_short
            body()
        end,
        function()
            short = false
            if not coro then
                for key in pairs(package.loaded) do
                    if key:match '^socketloop' then
                        package.loaded[key] = nil
                    end
                end
                prepare()
            end
            recover()
            known = new_known()
            new_kept()
            body()
            recover()
            collectgarbage()
            collectgarbage()
            expect(false, loop.step(0))
        end,
    }
end

-------------------------------------------------------------------------------
-- Threads

part('loading', function()
    loop = require 'socketloop'
    assert(loop.coro.newthread)
    coro = require 'socketloop.symmetric'
    local done
    loop.newthread(function() loop.sleep(0) done = true end)
    drive()
    expect(true, done)
end, function() end)

part('waiting', function()
    local n = 0
    local function nap() loop.sleep(0) n = n + 1 end
    loop.newthread(nap)
    loop.newthread(loop.sleep, 0.001)
    loop.newthread(pcall, nap)
    loop.newthread(table.sort, {2, 1}, function(a, b) nap() return a < b end)
    loop.newthread(function() coroutine.wrap(nap)() end)
    loop.newthread(function() ('x'):gsub('x', nap) end)
    drive()
    assert(n >= 5)
end)

part('suspending', function()
    local got
    local many = {}
    for i = 1, 300 do many[i] = i end
    local function body(...)
        got = select('#', ...)
        for _ = 1, 4 do
            got = select('#', loop.suspend())
        end
    end
    local t = loop.newthread(body, unpack(many))
    expect(300, got)
    loop.resume(t)
    expect(0, got)
    loop.resume(t, unpack(many))
    expect(300, got)
    loop.newthread(function() loop.resume(t, 1, 2) end)
    expect(2, got)
    local u = loop.newthread(pcall, loop.suspend)
    loop.resume(u, 1)
    loop.resume(t)
    expect('dead', coroutine.status(t))
end)

part('dropping suspended threads', function()
    for _ = 1, 3 do
        for _ = 1, 10 do
            loop.newthread(loop.suspend)
            loop.newthread(function()
                ('x'):gsub('x', function() loop.suspend() end)
            end)
        end
        collectgarbage()
    end
end)

part('failing threads', function()
    local ok, err = pcall(loop.newthread, error, 'boom')
    expect(false, ok)
    if not short then assert(tostring(err):match 'boom') end
    loop.newthread(function() loop.sleep(0) error 'boom' end)
    loop.newthread(function() loop.sleep(0) error {} end)
    local failures = 0
    for _ = 1, 5 do
        ok = pcall(loop.step, 0)
        if not ok then failures = failures + 1 end
    end
    assert(failures >= 2)
    local told = false
    loop.onerror = function() told = true end
    loop.newthread(function() pcall(loop.sleep, 0) error 'boom' end)
    drive()
    loop.onerror = nil
    expect(true, told)
end)

part('coroutines of the user', function()
    local done
    local co = coroutine.wrap(function()
        loop.sleep(0)
        loop.sleep(0.001)
        done = true
    end)
    co()
    drive()
    expect(true, done)
end)

-------------------------------------------------------------------------------
-- Symmetric coroutines

part('transferring', function()
    local main = coro.running()
    local a, b
    local log = 0
    a = coro.create(function(x)
        for _ = 1, 5 do x = coro.transfer(b, x + 1) end
        coro.transfer(main, x)
    end)
    b = coro.create(function(x)
        while true do log = x x = coro.transfer(a, x + 1) end
    end)
    expect(11, coro.transfer(a, 1))
    expect(10, log)
    local many = {}
    for i = 1, 300 do many[i] = i end
    local c = coro.create(function(...)
        coro.transfer(main, select('#', ...), ...)
        error 'boom'
    end)
    expect(300, (coro.transfer(c, unpack(many))))
    expect(false, (coro.ptransfer(c)))
    expect('dead', coro.status(c))
    local d = coro.create(function() end)
    expect(false, (coro.ptransfer(d)))
end)

part('generators', function()
    local function gen(n) for i = 1, n do coro.yield(i) end end
    local sum = 0
    for i in coro.wrap(function() gen(10) end) do sum = sum + i end
    expect(55, sum)
    local outer = coro.wrap(function()
        for i in coro.wrap(function() gen(3) end) do coro.yield(i) end
        error 'boom'
    end)
    expect(1, outer())
    expect(2, outer())
    expect(3, outer())
    expect(false, (pcall(outer)))
    local t = coro.create(function() gen(1) error 'boom' end)
    expect(true, (coro.resume(t)))
    expect(false, (coro.resume(t)))
    expect(false, (coro.resume(t)))
    local f = coro.safewrap(function(yield)
        for i in coro.wrap(function() yield(7) coro.yield(1) end) do
            yield(i)
        end
    end)
    expect(7, f())
    expect(1, f())
    f()
    expect(false, (pcall(f)))
end)

part('symmetric threads in the loop', function()
    local cloop = loop.coro
    local n = 0
    cloop.newthread(function()
        for i in coro.wrap(function()
            cloop.sleep(0)
            coro.yield(1)
            cloop.sleep(0.001)
            coro.yield(2)
        end) do n = n + i end
    end)
    for _ = 1, 100 do
        local ok, more = pcall(cloop.step, 0.01)
        if not ok and not short then error(more) end
        if ok and not more then break end
    end
    expect(3, n)
end, function() prepare() assert(loop.coro) end)

-------------------------------------------------------------------------------
-- Sockets

local function echo(client)
    while true do
        local line = client:receive()
        if not line then break end
        assert(client:send(line .. '\n'))
    end
    client:close()
end

local function serve(handler)
    known.server = loop.newserver('127.0.0.1', 0, handler)
    return port_of(known.server)
end

-- Makes a connection; its ends are known.client and known.other.
local function connect_pair()
    known.server = loop.tcp('127.0.0.1', 0)
    assert(known.server:listen(8))
    known.client = assert(loop.connect('127.0.0.1', port_of(known.server)))
    known.other = assert(known.server:accept())
    known.client:settimeout(0.005)
    known.other:settimeout(0.005)
    if not short then
        known.client:settimeout(5)
        known.other:settimeout(5)
    end
    return known.client, known.other
end

part('an echo server', function()
    local port = serve(echo)
    run(function()
        known.client = assert(loop.connect('127.0.0.1', port))
        known.client:settimeout(short and 0.005 or 5)
        for i = 1, 3 do
            assert(known.client:send('line ' .. i .. '\n'))
            expect('line ' .. i, (assert(known.client:receive())))
        end
        drop 'client'
    end)
    drop 'server'
    drive()
end)

part('a server whose handlers fail', function()
    local n = 0
    local port = serve(function(client)
        n = n + 1
        if n % 2 == 0 then loop.sleep(0) end
        assert(client:send 'x')
        error 'boom'
    end)
    local told = 0
    loop.onerror = function() told = told + 1 end
    run(function()
        for _ = 1, 4 do
            known.client = assert(loop.connect('127.0.0.1', port))
            known.client:settimeout(short and 0.005 or 5)
            expect('x', (assert(known.client:receive '*a')))
            drop 'client'
        end
    end)
    drop 'server'
    drive()
    loop.onerror = nil
    expect(4, told)
end)

part('all ways to receive', function()
    local long = ('x'):rep(200000)
    run(function()
        local a, b = connect_pair()
        loop.newthread(function()
            assert(b:send(long .. '\n'))
            assert(b:send {'12', '34', '5'})
            loop.sleep(0)
            assert(b:send(long, 1, 100000))
            b:shutdown 'send'
            assert(b:receive(3))
            drop 'other'
        end)
        expect(#long, #assert(a:receive '*l'))
        expect('0012345', (assert(a:receive(7, '00'))))
        expect(100000, #assert(a:receive '*a'))
        a:send 'bye'
        a:receive()
        drop 'client'
    end)
    drop 'server'
    drive()
end)

part('limits', function()
    local port = serve(function(client)
        if not short then client:settimeout(5) end
        local line, err = client:receive()
        client:send((line or err) .. '\n')
        client:close()
    end)
    known.server:setmaxclients(1)
    known.server:setmaxline(100)
    run(function()
        local over = 0
        local function ask(size, wanted)
            local client = assert(loop.connect('127.0.0.1', port))
            client:settimeout(short and 0.005 or 5)
            client:send(('x'):rep(size) .. '\n')
            expect(wanted, (assert(client:receive())))
            client:close()
            over = over + 1
        end
        for _ = 1, 2 do
            loop.newthread(ask, 3, 'xxx')
            loop.newthread(ask, 3000, 'line too long')
        end
        for _ = 1, short and 5 or 5000 do
            if over == 4 then break end
            loop.sleep(0.001)
        end
        assert(over == 4, 'the server does not go on')
    end)
    drop 'server'
    drive()
end)

part('gathered sends', function()
    run(function()
        local a, b = connect_pair()
        loop.sleep(0)
        a:send '1\n2\n3\n'
        for i = 1, 3 do
            expect(text_of(i), (assert(b:receive())))
            assert(b:send(i .. '\n'))
        end
        for i = 1, 3 do expect(text_of(i), (assert(a:receive()))) end
        a:send '1\n2\n3\n'
        b:settimeout(0)
        while b:send(('x'):rep(100000)) do end    -- the window is full
        for i = 1, 2 do
            b:receive()
            b:send(('x'):rep(2000))
            if i == 1 then loop.sleep(0) end
        end
        drop 'other'
        while a:receive(1e6, nil, true) do end
        drop 'client'
    end)
    drop 'server'
    drive()
end)

-- Runs f(litter) with a collector that is always active and fast.
-- litter(finalizer) makes garbage with a finalizer.
local function with_litter(speed, f)
    local function litter(finalizer)
        local newproxy = rawget(_G, 'newproxy')
        local object = newproxy and newproxy(true)
        local mt = object and getmetatable(object) or {}
        mt.__gc = function() pcall(finalizer) end
        if not object then setmetatable({}, mt) end
    end
    local function set(name, value)
        if _VERSION == 'Lua 5.5' then
            return collectgarbage('param', name, value)
        end
        return collectgarbage('set' .. name, value)
    end
    local pause, stepmul = set('pause', 0), set('stepmul', speed)
    collectgarbage()
    local ok, err = pcall(f, litter)
    set('pause', pause)
    set('stepmul', stepmul)
    if not ok then error(err, 0) end
end

part('finalizers that take stacks', function()
    local frozen = {}
    local function freeze()
        frozen[#frozen + 1] = loop.current()
        string.gsub('x', 'x', function() loop.suspend() end)
    end
    with_litter(1000, function(litter)
        run(function()
            local a, b = connect_pair()
            for i = 1, 20 do
                loop.newthread(function()
                    loop.sleep(0)
                    for _ = 1, 3 do
                        litter(function() loop.newthread(freeze) end)
                    end
                    assert(b:send(i .. '\n'))
                end)
                expect(text_of(i), (assert(a:receive())))
            end
            drop 'client'
            drop 'other'
        end)
    end)
    drop 'server'
    drive()
end)

part('finalizers in the middle of resuming', function()
    local many, threads = {}, {}
    for i = 1, 300 do many[i] = i end
    local function body()
        coroutine.yield()
        string.gsub('x', 'x', function() loop.suspend() end)
    end
    with_litter(100000, function(litter)
        for i = 1, 20 do
            local got
            threads[i] = loop.newthread(function(...)
                got = select('#', ...)
                loop.suspend()
            end, unpack(many))
            expect(300, got)
            local t = coroutine.create(body)
            coroutine.resume(t)
            litter(function() loop.resume(t, 1) end)
            pcall(loop.resume, t, unpack(many))    -- the first one resumes
            threads[-i] = t
        end
    end)
    for i = 1, 20 do
        if short and not threads[-i] then break end
        while coroutine.status(threads[-i]) ~= 'dead' do
            loop.resume(threads[-i])
        end
        loop.resume(threads[i])
        expect('dead', coroutine.status(threads[i]))
    end
end)

-- Returns the two ends of a connection, to which nothing else refers.
local function make_pair()
    local server = loop.tcp('127.0.0.1', 0)
    assert(server:listen(8))
    local a = assert(loop.connect('127.0.0.1', port_of(server)))
    local b = assert(server:accept())
    server:close()
    return a, b
end

part('finalizers that receive', function()
    local wanted = ('x'):rep(100)
    run(function()
        local a, b = connect_pair()
        local other, far = make_pair()
        other:settimeout(0)
        far:settimeout(0)
        local function use_scratch()
            far:send(('y'):rep(300) .. '\n')
            other:receive(200)
            other:receive()
        end
        with_litter(10000, function(litter)
            for i = 1, 40 do
                assert(b:send(wanted .. '\n' .. wanted .. '\n'))
                litter(use_scratch)
                local read = i % 2 == 0 and a.receive or function()
                    local line
                    string.gsub('x', 'x', function()
                        line = a:receive()
                    end)
                    return line
                end
                expect(wanted, (assert(read(a))))
                litter(use_scratch)
                expect(wanted, (assert(read(a))))
            end
            local udp = loop.udp('127.0.0.1', 0)
            for _ = 1, 10 do
                assert(udp:sendto(wanted, '127.0.0.1', port_of(udp)))
                litter(use_scratch)
                expect(wanted, (assert(udp:receive())))
            end
            assert(b:send(wanted .. '\n' .. wanted .. '\n'))
            litter(function() a:close() end)
            for _ = 1, 100 do
                local line, err = a:receive()
                if err == 'closed' then break end
                if line then expect(wanted, line) end
                b:send(wanted .. '\n')
            end
        end)
        other:close()
        far:close()
        drop 'client'
        drop 'other'
    end)
    drop 'server'
    drive()
end)

-- Calls use(s, i) on sockets from make(), on which finalizers call f(s, i)
-- meanwhile. Calls judge(s, i, result of use) if a finalizer has run during
-- use.
local function with_intruders(make, f, use, judge, rounds)
    with_litter(200, function(litter)
        for i = 1, rounds or 16 do
            local s = keep(make())
            local inside, came = true, false
            for _ = 1, i % 4 do
                litter(function()
                    if not inside then return end
                    came = true
                    f(s, i)
                end)
            end
            local result = use(s, i)
            inside = false
            if came then judge(s, i, result) end
            pcall(s.close, s)
        end
    end)
end

-- `method` of an object from make() returns two values, each once, to whichever
-- caller; finalizers call the method so many times.
local function gives_two(make, method, times)
    local got
    local function ask(s)
        local value = s[method](s)
        if value then got[#got + 1] = keep(value) end
    end
    with_intruders(function()
        got = {}
        local s = make()
        s:settimeout(short and 0.005 or 5)
        return s
    end, function(s)
        s:settimeout(0)
        for _ = 1, times do ask(s) end
    end, function(s)
        pcall(ask, s)    -- raises if it is second
    end, function(s)
        s:settimeout(short and 0.005 or 5)
        for _ = #got + 1, 2 do ask(s) end
        assert(got[1] ~= got[2])
        s:settimeout(0)
        expect(nil, (s[method](s)))
        for _, value in ipairs(got) do
            if type(value) ~= 'string' then value:close() end
        end
    end, 8)
end

part('finalizers that receive from the socket in use', function()
    local function make_udp()
        local s = loop.udp('127.0.0.1', 0)
        for _, data in ipairs {'one', 'two'} do
            assert(s:sendto(data, '127.0.0.1', port_of(s)))
        end
        return s
    end
    local function make_stream()
        local a, b = make_pair()
        keep(b)
        assert(b:send 'one\ntwo\n')
        return a
    end
    -- The unread bytes are no longer in the loop's read buffer: those of
    -- another socket are.
    local function make_evicted()
        local a, b = make_pair()
        keep(b)
        assert(b:send 'zero\none\ntwo\n')
        expect('zero', (a:receive()))
        local c, d = make_pair()
        assert(keep(d):send 'three\nfour\n')
        expect('three', (keep(c):receive()))
        return a
    end
    local function make_listener()
        local s = loop.tcp('127.0.0.1', 0)
        assert(s:listen(8))
        for _ = 1, 2 do
            assert(keep(loop.connect('127.0.0.1', port_of(s))))
        end
        return s
    end
    run(function()
        for times = 1, 2 do
            gives_two(make_udp, 'receive', times)
            gives_two(make_udp, 'receivefrom', times)
            gives_two(make_stream, 'receive', times)
            gives_two(make_evicted, 'receive', times)
            gives_two(make_listener, 'accept', times)
        end
        with_intruders(make_stream, function(s)
            s:settimeout(0)
            s:receive(100, 'theirs')
        end, function(s)
            s:settimeout(0)
            local ok, _, _, partial = pcall(s.receive, s, 100, 'ours')
            return ok and partial
        end, function(_, _, result)
            if result then expect('ours', result:sub(1, 4)) end
        end)
    end)
    drive()
end)

part('timeouts', function()
    run(function()
        local a, b = connect_pair()
        a:settimeout(0.001)
        local data, err, partial = a:receive()
        if not short then
            expect(nil, data)
            expect('timeout', err)
            expect('', partial)
        end
        b:send 'some'
        a:settimeout(0.001, 't')
        data, err, partial = a:receive(10)
        if not short then
            expect(nil, data)
            expect('timeout', err)
            expect('some', partial)
        end
        pcall(function() a:receive() end)
        table.sort({1, 2}, function() a:receive() end)
        drop 'client'
        drop 'other'
    end)
    drop 'server'
    drive()
end)

-- Most allocations are those of a thread that alone refers to a socket.
part('a thread that fails', function()
    local why
    run(function()
        local a, b = connect_pair()
        known.client, known.other = false, false
        b:settimeout(nil)
        loop.newthread(function(s) why = select(2, s:receive()) end, b)
        loop.newthread(function(s)
            loop.sleep(0)
            for i = 1, 200 do s.last = {i} end
            s:close()
        end, a)
    end)
    drive()
    expect('closed', why)
end)

part('closing on waiting threads', function()
    run(function()
        local a = connect_pair()
        a:settimeout(short and 0.01 or 5)
        local over = 0
        loop.newthread(function()
            a:receive()
            over = over + 1
        end)
        loop.newthread(function()
            local _, err = a:send(('x'):rep(10000000))
            if not short then expect('closed', err) end
            over = over + 1
        end)
        loop.sleep(0)
        drop 'client'
        for _ = 1, short and 50 or 5000 do
            if over == 2 then break end
            loop.sleep(0.001)
        end
    end)
    drop 'server'
    drop 'other'
    drive()
end)

part('names', function()
    local port = serve(echo)
    run(function()
        local list = assert(loop.resolve('twice', port))
        expect('127.0.0.2', list[1].addr)
        expect('127.0.0.1', list[2].addr)
        expect(nil, (loop.resolve 'nobody'))
        known.client = assert(loop.connect('twice', port))
        known.client:settimeout(short and 0.005 or 5)
        assert(known.client:send 'hello\n')
        expect('hello', (known.client:receive()))
        drop 'client'
        known.client = loop.tcp()
        known.client:settimeout(short and 0.005 or 5)
        assert(known.client:connect('twice', port))
        drop 'client'
        loop.newthread(loop.resolve, 'twice')
    end)
    drop 'server'
    drive()
end)

part('names for coroutines of the user', function()
    local done
    coroutine.wrap(function()
        assert(loop.resolve 'twice')
        done = true
    end)()
    drive()
    expect(true, done)
end)

part('datagrams', function()
    run(function()
        known.client = loop.udp('127.0.0.1', 0)
        known.other = loop.udp()
        known.client:settimeout(short and 0.005 or 5)
        local port = port_of(known.client)
        loop.newthread(function()
            assert(known.other:sendto('hello', '127.0.0.1', port))
            assert(known.other:setpeername('127.0.0.1', port))
            assert(known.other:send('again'))
        end)
        local data, host = assert(known.client:receivefrom())
        expect('hello', data)
        expect('127.0.0.1', host)
        expect('again', (assert(known.client:receive())))
        drop 'client'
        drop 'other'
    end)
    drive()
end)

part('a server with limits', function()
    local port = serve(echo)
    known.server:setmaxclients(1)
    known.server:setmaxline(5)
    run(function()
        known.client = assert(loop.connect('127.0.0.1', port))
        known.other = assert(loop.connect('127.0.0.1', port))
        known.client:settimeout(short and 0.005 or 5)
        known.other:settimeout(short and 0.005 or 5)
        assert(known.client:send 'hello\n')
        expect('hello', (assert(known.client:receive())))
        assert(known.client:send(('x'):rep(10000)))
        expect('closed', select(2, known.client:receive()))
        drop 'client'
        assert(known.other:send 'hello\n')
        expect('hello', (assert(known.other:receive())))
        drop 'other'
    end)
    drop 'server'
    drive()
end)

part('a path', function()
    local path = '\0socketloop-memory-' .. tostring({}):match '%x+$'
    known.server = loop.newserver(path, nil, echo)
    run(function()
        known.client = loop.unix()
        known.client:settimeout(short and 0.005 or 5)
        assert(known.client:connect(path))
        assert(known.client:send 'hello\n')
        expect('hello', (known.client:receive()))
        drop 'client'
    end)
    drop 'server'
    drive()
end)

-------------------------------------------------------------------------------
-- LuaSocket

local function prepare_luasocket()
    prepare()
    require 'socket'
end

part('LuaSocket\'s objects', function()
    local socket = require 'socket'
    local port = serve(echo)
    run(function()
        known.client = socket.tcp()
        known.client = loop.wrap(known.client)
        known.client:settimeout(short and 0.005 or 5)
        assert(known.client:connect('127.0.0.1', port))
        known.client.field = 'mine'
        assert(tostring(known.client))
        assert(known.client:send 'hello\n')
        expect('hello', (known.client:receive()))
        drop 'client'
        known.other = assert(loop.connect('127.0.0.1', port))
        known.other:settimeout(short and 0.005 or 5)
        assert(known.other.socket:getfd() >= 0)
        assert(known.other:setoption('tcp-nodelay', true))
        assert(known.other:send 'hello\n')
        expect('hello', (known.other:receive()))
        drop 'other'
    end)
    drop 'server'
    drive()
end, prepare_luasocket)

part('finalizers that use the socket in use', function()
    local function make() return loop.tcp('127.0.0.1', 0) end
    local function set_mine(s, i) s.mine = i end
    local function set_other(s, i) s.other = i end
    local function get(s) return (s:getsocket()) end
    local object
    local function get_one(s) object = s:getsocket() end
    run(function()
        with_intruders(make, set_mine, set_other, function(s, i)
            expect(i, s.other)
            expect(i, s.mine)
        end)
        with_intruders(make, get_one, set_other, function(s, i)
            expect(i, s.other)
            expect(object, s:getsocket())
        end)
        with_intruders(make, set_mine, get, function(s, i, result)
            expect(i, s.mine)
            expect(result, s:getsocket())
        end)
        with_intruders(make, get_one, get, function(s, _, result)
            expect(object, result)
            expect(result, s:getsocket())
        end)
        with_intruders(make, function(s) s:close() end, get,
            function(_, _, result) expect(-1, result:getfd()) end)
        local function make_udp() return loop.wrap(require 'socket'.udp()) end
        with_intruders(make_udp, function(s) s:setpeername('127.0.0.1', 9) end,
            function(s) return (s:setpeername('255.255.255.255', 9)) end,
            function(_, _, result) expect(nil, result) end)
    end)
end, prepare_luasocket)

part('finalizers that use a socket that is connected', function()
    local function close(s) s:close() end
    local function ask(s) s:getsocket() end
    local function make_wrapped()
        return loop.wrap(require 'socket'.tcp())
    end
    known.other = loop.tcp('127.0.0.1', 0)      -- does not listen
    local port = port_of(known.other)
    local function connect(s)
        s:settimeout(5)
        return select(2, s:connect('127.0.0.1', port))
    end
    local function connect_anew(s)
        s:settimeout(0)
        s:connect('127.0.0.1', port)
    end
    local function judge(_, _, result) assert(result) end
    run(function()
        for _, intrude in ipairs {close, connect_anew, ask} do
            with_intruders(loop.tcp, intrude, connect, judge, 16)
            with_intruders(make_wrapped, intrude, connect, judge, 16)
        end
    end)
    drop 'other'
end, prepare_luasocket)

part('LuaSocket made cooperative', function()
    local socket = require 'socket'
    local port = serve(echo)
    local undo = loop.install()
    local ok, err = pcall(run, function()
        known.client = assert(socket.tcp4())
        known.client:setoption('linger', {on = true, timeout = 0})
        known.client:settimeout(short and 0.005 or 5)
        assert(known.client:connect('127.0.0.1', port))
        assert(known.client:send 'hello\n')
        socket.select({known.client}, nil, short and 0.005 or 5)
        expect('hello', (known.client:receive()))
        socket.sleep(0.001)
        drop 'client'
        known.client = assert(socket.tcp())
        known.client:settimeout(short and 0.005 or 5)
        assert(known.client:connect('twice', port))
        drop 'client'
        known.other = assert(socket.udp())
        assert(known.other:setpeername('twice', port))
        drop 'other'
        known.client = loop.wrap(assert(socket.tcp()))
        assert(known.client:bind('twice', 0))
        drop 'client'
    end)
    undo()
    assert(ok, err)
    drop 'server'
    drive()
end, function()
    prepare_luasocket()
    loop.install()()
end)

local api

part('waiting in another C module', function()
    local socket = require 'socket'
    known.other = assert(socket.udp())
    assert(known.other:setsockname('127.0.0.1', 0))
    local ip, port = known.other:getsockname()
    local fd, got = known.other:getfd()
    loop.newthread(function()
        got = api.wait(fd, 'r', short and 0.005 or 5)
    end)
    loop.newthread(function()
        api.sleep(0.001)
        assert(known.other:sendto('x', ip, port))
    end)
    drive(function() return got end)
    expect('r', got)
    drop 'other'
end, function()
    prepare_luasocket()
    local library = os.getenv 'LUA_CPATH':match '([^;]*)/%?%.so' ..
        '/test/api.so'
    api = assert(package.loadlib(library, 'luaopen_api'))()
end)

return parts
