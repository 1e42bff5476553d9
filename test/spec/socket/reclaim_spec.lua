-- Sockets that are garbage hold descriptors. They are collected when the
-- process runs out of descriptors, and before, even if the program's own
-- objects give the collector little to do.

local names = require 'name_service'
local process = require 'process'

local script, host = names.tests(it, pending)

-- The prelude of the scripts is a program of 8 MB or so, whose garbage Lua does
-- not collect just because there are some more sockets.
local prelude = [[
local path = os.tmpname()
os.remove(path)
pcall(require, 'socket.unix')    -- loading takes a descriptor
local program = {}
for i = 1, 80000 do program[i] = {i} end
collectgarbage()

-- Opens files until no descriptors are left.
local held = {}
local function hold_all()
    repeat
        local file = io.open '/dev/null'
        held[#held + 1] = file
    until not file
end

-- Leaves no descriptors but those of sockets that are garbage.
local function run_out()
    for _ = 1, 20 do loop.tcp('127.0.0.1', 0) end
    hold_all()
end

-- Counts the collections. Returns a function that returns their number.
local function count_collections()
    local n = 0
    local function guard()
        local function gone()
            n = n + 1
            guard()
        end
        if newproxy then
            getmetatable(newproxy(true)).__gc = gone
        else
            setmetatable({}, {__gc = gone})
        end
    end
    guard()
    return function() return n end
end
]]

local function scarce(name, code)
    script(name, prelude .. code, 'ulimit -n 64')
end

describe('Without descriptors but for those of garbage', function()
    after_each(process.cleanup)

    local with_listener = [[
        local listener, port = listen '127.0.0.1'
        run(function()
            loop.sleep(0)
            run_out()
            %s
        end)
    ]]

    for name, code in pairs {
        ['connect works'] = [[
            assert(loop.connect('127.0.0.1', port))
        ]],
        ['connect works for a name'] = [[
            assert(loop.connect('wait1+127.0.0.1', port))
        ]],
        ['connect works for a name with several addresses'] = [[
            assert(loop.connect('+127.0.0.1+127.0.0.2', port))
        ]],
        ['connect works with a local address'] = [[
            assert(loop.connect('127.0.0.1', port, '127.0.0.1', 0))
        ]],
        ['connect works with a timeout of 0'] = [[
            local s = loop.tcp()
            s:settimeout(0)
            local ok, err = s:connect('127.0.0.1', port)
            assert(ok or err == 'timeout', err)
        ]],
        ['a wrapped object connects'] = [[
            assert(loop.wrap(socket.tcp()):connect('127.0.0.1', port))
        ]],
        ['a wrapped object binds'] = [[
            assert(loop.wrap(socket.tcp()):bind('127.0.0.1', 0))
        ]],
    } do
        scarce(name, with_listener:format(code))
    end

    for name, code in pairs {
        ['a server can be made'] = [[
            loop.newserver('127.0.0.1', 0, print):close()
        ]],
        ['a server can be made on a path'] = [[
            loop.newserver(path, nil, print):close()
        ]],
        ['a UDP socket can be made'] = [[
            loop.udp('127.0.0.1', 0)
        ]],
        ['a UDP socket can send'] = [[
            assert(loop.udp():sendto('hello', '127.0.0.1', 9))
        ]],
        ['a UDP socket can be connected'] = [[
            assert(loop.udp():setpeername('127.0.0.1', 9))
        ]],
        ['a UDP object can be connected'] = [[
            assert(loop.wrap(socket.udp()):setpeername('127.0.0.1', 9))
        ]],
        ['a unix socket can be bound'] = [[
            assert(loop.unix():bind(path))
            os.remove(path)
        ]],
        ['a unix socket can give its object'] = [[
            assert(loop.unix():getsocket())
        ]],
        ['a name can be looked up'] = [[
            assert(loop.resolve 'wait1+127.0.0.1')
        ]],
        ['another loop can be made'] = [[
            assert(loop.coro)
        ]],
    } do
        scarce(name, ([[
            run(function()
                loop.sleep(0)
                run_out()
                %s
            end)
        ]]):format(code))
    end

    scarce('a path that a server left can be taken over', [[
        local server = loop.unix()
        assert(server:bind(path))
        server:close()
        run_out()
        held[1]:close()    -- one for the server; the probe needs another
        loop.newserver(path, nil, print):close()
    ]])

    for _, timeout in ipairs {'nil', '0', '20'} do
        scarce('accept works with timeout ' .. timeout, ([[
            local listener = loop.tcp('127.0.0.1', 0)
            assert(listener:listen())
            listener:settimeout(%s)
            local _, port = listener:getsockname()
            local client = assert(socket.connect('127.0.0.1', port))
            run(function()
                run_out()
                assert(assert(listener:accept()):send 'hello\n')
            end)
            assert(client:receive())
        ]]):format(timeout))
    end

    scarce('a server goes on', [[
        local done, n = 0, 200
        local server = loop.newserver('127.0.0.1', 0, function(client)
            client:send 'hello\n'    -- drops the socket
        end)
        local _, port = server:getsockname()
        run(function()
            for i = 1, n do
                local client = assert(loop.connect('127.0.0.1', port))
                client:settimeout(20)
                expect('hello', client:receive())
            end
            server:close()
        end)
    ]])

    host('a child gets a poller', 1, 1, 0, prelude .. [[
        loop.newthread(loop.sleep, 0.001)
        local child = fork()
        if child > 0 then
            expect(7, wait(child))
            return
        end
        run_out()
        loop.start()
        quit(7)
    ]], 'ulimit -n 64')
end)

describe('Without descriptors at all', function()
    after_each(process.cleanup)

    scarce('little is collected in vain', [[
        run(function()
            hold_all()
            local collections = count_collections()
            for _ = 1, 1000 do
                local ok, err = loop.connect('127.0.0.1', 9)
                expect(nil, ok)
                assert(err:lower():find 'too many open files', err)
            end
            assert(collections() < 200, collections())
        end)
    ]])

    scarce('accept reports it', [[
        local listener = loop.tcp('127.0.0.1', 0)
        assert(listener:listen())
        local _, port = listener:getsockname()
        local client = assert(socket.connect('127.0.0.1', port))
        run(function()
            hold_all()
            for _ = 1, 5 do
                local s, err = listener:accept()
                expect(nil, s)
                assert(err:lower():find 'too many open files', err)
            end
            held[1]:close()
            assert(assert(listener:accept()):send 'hello\n')
        end)
        expect('hello', client:receive())
    ]])
end)

describe('A program that forgets sockets', function()
    after_each(process.cleanup)

    local forgets = process.max_descriptors() >= 4096 and script or pending
    forgets('has not many more open than before', [[
        local program = {}
        repeat
            program[#program + 1] = {}
        until collectgarbage 'count' > 3000
        collectgarbage()
        for _ = 1, 3000 do
            assert(loop.tcp('127.0.0.1', 0):getfd() < 2000)
        end
    ]], 'ulimit -n 4096')

    script('keeps those it refers to', [[
        local all = {}
        for i = 1, 600 do all[i] = loop.tcp('127.0.0.1', 0) end
        for i = 1, 600 do assert(all[i]:getsockname()) end
    ]], 'ulimit -n 1000')
end)
