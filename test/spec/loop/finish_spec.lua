-- Ending a wait from outside by one function, in whatever operation a thread
-- waits. The module exports no such function for all threads, so each script is
-- a process with a copy of the module that has one (host/finish.c).

local process = require 'process'
local support = require 'support'

local library = assert(process.helper 'finish.so', 'tools/test.sh builds it')

local prelude = ([[
    local library = %q
    for name, open in pairs {
        socketloop = 'luaopen_socketloop',
        ['socketloop.coro'] = 'luaopen_socketloop_coro',
    } do
        package.preload[name] = assert(package.loadlib(library, open))
    end
    local loop = require 'socketloop'
    local finish, TIMEOUT, CLOSED = assert(
        package.loadlib(library, 'luaopen_finish'))(loop.newthread)
    loop.onerror = function(_, err) print(err) end

    local function yields(f) return f() end

    -- Calls f at a place where a thread can only freeze.
    local function freezes(f)
        local results
        local function keep(...) results = {n = select('#', ...), ...} end
        table.sort({1, 2}, function(a, b)
            if not results then keep(f()) end
            return a < b
        end)
        return (table.unpack or unpack)(results, 1, results.n)
    end

    local function show(...)
        local words = {}
        for i = 1, select('#', ...) do
            words[i] = tostring((select(i, ...)))
        end
        print(table.concat(words, ' '))
    end

    local function pair()
        local listener = assert(loop.tcp('127.0.0.1', 0))
        assert(listener:listen())
        local address, port = listener:getsockname()
        local a = assert(loop.connect(address, port))
        return a, assert(listener:accept()), listener
    end
]]):format(library)

-- Returns the output of a thread that runs the code: its results when the wait
-- has been ended, and whether the first and the second call ended a wait.
local function output_of(how, code, status)
    return process.output(prelude .. ([[
        loop.newthread(function()
            local a, b, listener = pair()
            local how, status = %s, %s
            local thread = loop.newthread(function()
                show(how(function() %s end))
            end)
            show(finish(thread, status), finish(thread, status))
        end)
        loop.start()
        print 'over'
    ]]):format(how, status, code))
end

local function ends(name, code, expected, status)
    for _, how in ipairs {'yields', 'freezes'} do
        it(('of %s ends where a thread %s'):format(name, how), function()
            assert.equal('true false\n' .. expected .. '\nover\n',
                output_of(how, code, status or 'TIMEOUT'))
        end)
    end
end

describe('A wait', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    ends('receive', 'return a:receive()', 'nil timeout ')
    ends('receive that is closed', 'return a:receive()', 'nil closed ',
        'CLOSED')
    ends('send', 'return (select(2, a:send(("x"):rep(2^24))))', 'timeout')
    ends('accept', 'return listener:accept()', 'nil timeout')
    ends('receivefrom', 'return loop.udp("127.0.0.1", 0):receivefrom()',
        'nil timeout')
    ends('call_async',
        'return a:call_async(function() return nil, "wantread" end)',
        'nil timeout')
    ends('resolve', 'return loop.resolve "localhost"', 'nil timeout')
    ends('connect, for a name', 'return loop.connect("localhost", 1)',
        'nil timeout')
    ends('select', [[
        loop.install()
        return select(3, require 'socket'.select({a}, nil))
    ]], 'timeout')
    ends('sleep', 'loop.sleep(60) return "awake"', 'awake')
    ends('a sleep for a turn', 'loop.sleep(0) return "awake"', 'awake')
    ends('suspend', 'return "resumed with", select("#", loop.suspend())',
        'resumed with 0')
    ends('a turn of the others', [[
        b:send(("x\n"):rep(200))
        for i = 1, 200 do
            local line, err = a:receive()
            if not line then return i > 1, err end
        end
    ]], 'true timeout')

    it('that is over does not end again', function()
        assert.equal('false\nnil closed \nover\n', process.output(prelude .. [[
            loop.newthread(function()
                local a = pair()
                local thread = loop.newthread(function() show(a:receive()) end)
                a:close()
                show(finish(thread, TIMEOUT))
            end)
            loop.start()
            print 'over'
        ]]))
    end)

    it('of a suspended thread that was resumed is over', function()
        assert.equal('false\n1\ntrue\n0\n', process.output(prelude .. [[
            local thread = loop.newthread(function()
                show(select('#', loop.suspend()))
                show(select('#', loop.suspend()))
            end)
            show(finish(loop.newthread(function() end), TIMEOUT))
            loop.resume(thread, 'value')
            show(finish(thread, TIMEOUT))
            loop.start()
        ]]))
    end)
end)
