-- A Lua state that is closed inside a thread, by os.exit or by the host. The
-- finalizers then run on the thread's C stack and must not leave it: an
-- operation that would stop the thread there raises, and one that need not wait
-- works.

local support = require 'support'
local process = require 'process'

local prelude = [[
local function finalizer(f)
    if not newproxy then return setmetatable({}, {__gc = f}) end
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = f
    return proxy
end

-- Objects made before the module is loaded are finalized after it.
local attempts, keep = {}, {}
local function attempt(when, try)
    for _, each in ipairs(attempts) do
        local ok, err = pcall(try or each[2], each[2])
        io.write(when, ' ', each[1], ': ', tostring(ok), ' ', tostring(err),
                 '\n')
        io.flush()
    end
end
keep[1] = finalizer(function()
    if later then attempt 'after it' end
end)

local loop = require 'socketloop'
local coro = require 'coro'
local main = coro.running()
local c = assert(package.loadlib(library, 'luaopen_api'))()

local function add(name, f)
    attempts[#attempts + 1] = {name, f}
end
local function nested(f)
    coroutine.wrap(function() f() end)()
end

-- A thread of the other loop, which the test runs.
loop.coro.newthread(loop.coro.sleep, 0)

local listener = loop.tcp('127.0.0.1', 0)
assert(listener:listen())
local ip, port = listener:getsockname()
local function pair()
    return assert(loop.connect(ip, port)), assert(listener:accept())
end

-- Ends the program; its finalizers attempt all the operations.
local function close(when, try)
    keep[2] = finalizer(function() attempt(when, try) end)
    shut(7)
end

-- Adds the operations that would have to wait; runs in a thread.
local function add_waits()
    local a, b = pair()
    keep[3] = {a, b}
    local much = ('x'):rep(2^24)
    local suspended = coro.create(function() coro.yield() end)
    coro.resume(suspended)
    local thread = loop.newthread(loop.suspend)
    add('sleep', function() loop.sleep(0) end)
    add('receive', function() assert(a:receive()) end)
    add('send', function() assert(a:send(much)) end)
    add('connect', function() assert(loop.connect('localhost', port)) end)
    add('accept', function() assert(listener:accept()) end)
    add('resolve', function() assert(loop.resolve 'localhost') end)
    add('suspend', loop.suspend)
    add('resume', function() loop.resume(thread) end)
    add('newthread', function() loop.newthread(loop.sleep, 0) end)
    add('coro.yield', coro.yield)
    add('coro.transfer', function() coro.transfer(main) end)
    add('coro.transfer to one', function() coro.transfer(suspended) end)
    add('coro.resume', function() assert(coro.resume(suspended)) end)
    add('coro.wrap', function() coro.wrap(loop.sleep)(0) end)
    add('step', function() loop.coro.step(0) end)
    if later then return end    -- the C module is already unloaded
    add('wait', function() c.wait(a:getfd(), 'r', 1) end)
    add('C sleep', function() c.sleep(0) end)
end
]]

describe('A Lua state that a thread closes', function()
    after_each(process.cleanup)

    local host = process.helper 'host'

    -- Returns the output of a script that ends itself by shut(7).
    local function script(code)
        local name = process.tempdir() .. '/script.lua'
        process.write_file(name, ('local library = %q\n'):format(
            process.helper 'api.so') .. prelude .. code)
        -- Lua 5.4 does not finalize objects that are made while the state
        -- closes.
        local status, output = process.run(([[
            ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0; export ASAN_OPTIONS
            exec %s 1 1 0 %s]]):format(
            process.quote(host), process.quote(name)))
        if status ~= 7 then error(status .. '\n' .. output, 2) end
        return output
    end

    -- Errors that symmetric coroutines raise before the module can.
    local others = {
        'yielding from a non%-resumed thread', 'cannot resume dead coroutine',
        'trying to transfer to the running thread',
        'trying to transfer to a thread that is not suspended',
        'cannot resume non%-suspended coroutine',
    }

    -- Asserts that each line is such an error, and that there are `wanted`
    -- lines, or 17.
    local function refuses(words, output, wanted)
        local count = 0
        for line in output:gmatch '[^\n]+' do
            assert.matches(': false ', line)
            local found = line:match(words)
            for _, other in ipairs(line:find 'coro%.' and others or {}) do
                found = found or line:match(other)
            end
            assert(found, line)
            count = count + 1
        end
        assert.equal(wanted or 17, count)
    end

    local closing = 'the Lua state is being closed'

    -- Ways to run f in a thread that closes the state.
    local ways = {
        ['that the loop runs'] = [[
            loop.newthread(function()
                loop.sleep(0)
                f()
            end)
            loop.start()
        ]],
        ['that the main program starts'] = 'loop.newthread(f)',
        ['of symmetric coroutines'] = 'coro.transfer(coro.create(f))',
        ['that another thread runs'] = [[
            loop.newthread(function() coro.wrap(f)() end)
        ]],
        ['that a coroutine runs'] = [[
            coroutine.wrap(function() loop.newthread(f) end)()
        ]],
    }

    for name, way in pairs(ways) do
        local function run(close, is_later)
            return script(([[
                %s
                loop.newthread(add_waits)
                loop.start()
                local function f() %s end
            ]]):format(is_later or '', close) .. way)
        end

        it('stops in no finalizer: one ' .. name, function()
            refuses(closing, run "close 'now'")
        end)

        it('stops in no coroutine of a finalizer: one ' .. name, function()
            refuses(closing, run "close('now', nested)")
        end)

        it('stops nowhere once the module is finalized: one ' .. name,
           function()
            refuses('closed', run('shut(7)', 'later = true'), 15)
        end)
    end

    it('sends and receives in finalizers without waiting', function()
        assert.equal('true\tx\ttrue\ttrue\t1\n', script [[
            loop.newthread(function()
                local a, b = pair()
                keep[3] = finalizer(function()
                    local sent = a:send 'x'
                    local got = b:receive(1)
                    print(sent == 1, got, loop.now() > 0,
                          pcall(a.close, a))
                end)
                shut(7)
            end)
            loop.start()
        ]])
    end)

    it('is in the main program then', function()
        local output = script [[
            loop.newthread(function()
                keep[3] = finalizer(function()
                    local thread = loop.current()
                    print(thread == nil or thread == main,
                          coro.running() == main, coro.isyieldable(),
                          c.inthread())
                end)
                shut(7)
            end)
            loop.start()
        ]]
        assert.equal('true\ttrue\tfalse\tfalse\n', output)
    end)

    if support.lua_version > 5.1 or support.luajit then
        it('ends when os.exit closes it', function()
            refuses(closing, script [[
                loop.newthread(function()
                    add_waits()
                    keep[2] = finalizer(function() attempt 'now' end)
                    os.exit(7, true)
                end)
                loop.start()
            ]])
        end)
    end

    if support.lua_version == 5.4 then
        it("stops in no variable's closing", function()
            refuses(closing, script [[
                loop.newthread(function()
                    add_waits()
                    loop.sleep(0)
                    os.exit(7, true)
                end)
                local x <close> = setmetatable({}, {__close = function()
                    attempt('now', nested)
                end})
                loop.start()
            ]])
        end)
    end
end)
