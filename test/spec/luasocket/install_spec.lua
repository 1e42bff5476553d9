-- install is in effect exactly where and while it should be, whichever
-- functions were loaded and kept before.

local loop = require 'socketloop'
local coro = require 'coro'
local socket = require 'socket'
local scenes = require 'scenes'
local support = require 'support'
local process = require 'process'

local coro_loop = loop.coro     -- so that no test seems to leak it

local run = support.run
local waits = scenes.waits

-- References that a module keeps: in upvalues, tables, and closures of C
-- functions.
local sleep = socket.sleep
local kept = {deep = {sleep = socket.sleep}}
local protected = socket.protect(function(...) return sleep(...) end)
local receive = socket.tcp4().receive
local methods = {}
for name, f in pairs(getmetatable(socket.tcp4()).__index) do
    methods[name] = f
end

describe('install', function()
    local undo
    support.hooks(before_each, after_each, function()
        if undo then undo() end
        undo = nil
        process.cleanup()
    end)

    describe('reaches', function()
        before_each(function() undo = loop.install() end)

        it('socket.sleep', function()
            assert.is_true(waits(function() socket.sleep(0.02) end))
        end)

        it('a function kept in an upvalue', function()
            assert.is_true(waits(function() sleep(0.02) end))
        end)

        it('a function kept in a table', function()
            assert.is_true(waits(function() kept.deep.sleep(0.02) end))
        end)

        it('a function kept behind a C function', function()
            assert.is_true(waits(function() protected(0.02) end))
        end)
    end)

    it('reaches methods kept in a local', function()
        local client, peer = support.plain.pair()
        client:settimeout(5)
        undo = loop.install()
        assert.is_true(waits(function()
            loop.newthread(function()
                loop.sleep(0.02)
                peer:send 'x\n'
            end)
            assert.equal('x', receive(client))
        end))
        assert.is_true(waits(function()
            loop.newthread(function()
                loop.sleep(0.02)
                methods.send(peer, 'y\n')
            end)
            assert.equal('y', methods.receive(client))
        end))
        undo()
        undo = nil
        peer:send 'z\n'
        assert.equal(socket.tcp4().receive, receive)
        assert.equal('z', receive(client))
        client:close()
        peer:close()
    end)

    it('reaches a local of the function that calls it', function()
        undo = nil
        local nap = socket.sleep
        undo = loop.install()
        assert.equal(socket.sleep, nap)
        assert.is_true(waits(function() nap(0.02) end))
    end)

    it('reaches a local of a suspended thread', function()
        local thread = loop.newthread(function()
            local nap = socket.sleep
            loop.suspend()
            assert.is_true(nap == socket.sleep)
            nap(0.02)
        end)
        undo = loop.install()
        assert.is_true(waits(function()
            loop.resume(thread)
            while coroutine.status(thread) ~= 'dead' do loop.sleep(0) end
        end))
    end)

    it('reaches a local of a frozen thread', function()
        local ended = false
        loop.newthread(function()
            local nap = socket.sleep
            table.sort({1, 2}, function(a, b)
                if not ended then loop.sleep(0.005) end
                ended = true
                return a < b
            end)
            nap(0)
            ended = nap == socket.sleep
        end)
        undo = loop.install()
        loop.start()
        assert.is_true(ended)
    end)

    it('reaches objects made before it', function()
        local client, peer = support.plain.pair()
        undo = loop.install()
        assert.is_true(waits(function()
            loop.newthread(function()
                loop.sleep(0.02)
                peer:send 'x\n'
            end)
            assert.equal('x', client:receive())
        end))
        client:close()
        peer:close()
    end)

    it('leaves constructors as they are', function()
        local before = {socket.tcp, socket.tcp4, socket.udp, socket.bind}
        undo = loop.install()
        assert.same(before, {socket.tcp, socket.tcp4, socket.udp,
                             socket.bind})
    end)

    it('does not reach threads of the other loop', function()
        undo = loop.install()
        assert.is_false(waits(function() socket.sleep(0.01) end, coro_loop))
    end)

    it('works for the coro loop', function()
        undo = coro_loop.install()
        assert.is_false(waits(function() socket.sleep(0.01) end))
        assert.is_true(waits(function() socket.sleep(0.02) end, coro_loop))
    end)

    it('works for both loops at once', function()
        undo = loop.install()
        local undo_coro = coro_loop.install()
        assert.is_true(waits(function() socket.sleep(0.02) end))
        assert.is_true(waits(function() socket.sleep(0.02) end, coro_loop))
        undo_coro()
        assert.is_false(waits(function() socket.sleep(0.01) end, coro_loop))
        assert.is_true(waits(function() socket.sleep(0.02) end))
    end)

    it('leaves loop sockets and their objects as they are', function()
        undo = loop.install()
        support.with_mixed(function(client, peer)
            local object = client:getsocket()
            assert.equal('timeout', (select(2, object:receive())))
            loop.newthread(function()
                loop.sleep(0.005)
                peer:send 'x\ny\n'
            end)
            assert.equal('x', client:receive())
            assert.equal('y', client:receive())
            assert.equal(1, client:setoption('tcp-nodelay', true))
        end)
    end)

    it('works in iterators of coroutine.wrap, in both loops', function()
        undo = loop.install()
        local undo_coro = coro_loop.install()
        local old = coro.install()
        finally(function()
            _G.coroutine = old
            undo_coro()
        end)
        for _, which in ipairs {loop, coro_loop} do
            local lines, others = {}, 0
            local server = which.newserver('127.0.0.1', 0, function(client)
                for i = 1, 5 do
                    which.sleep(0.002)
                    client:send(i .. '\n')
                end
                client:close()
            end)
            local port = support.port(server)
            which.newthread(function()
                local client = assert(socket.connect('127.0.0.1', port))
                local messages = coroutine.wrap(function()
                    repeat
                        local line = client:receive()
                        coroutine.yield(line)
                    until not line
                end)
                for line in messages do lines[#lines + 1] = line end
                client:close()
                server:close()
            end)
            which.newthread(function()
                while #lines < 5 do
                    others = others + 1
                    which.sleep(0.001)
                end
            end)
            while which.step() do end
            assert.equal('1 2 3 4 5', table.concat(lines, ' '))
            assert.is_true(others > 5)
        end
    end)

    it('works for coroutines that control was transferred to', function()
        undo = coro_loop.install()
        local client, peer = support.plain.pair()
        local result
        coro_loop.newthread(function()
            coro_loop.sleep(0)
            local me = coro.running()
            local other = coro.create(function()
                coro.transfer(me, (client:receive()))
            end)
            result = coro.transfer(other)
        end)
        coro_loop.newthread(function()
            coro_loop.sleep(0.005)
            peer:send 'x\n'
        end)
        coro_loop.start()
        assert.equal('x', result)
        client:close()
        peer:close()
    end)

    it('does not keep garbage', function()
        undo = loop.install()
        local seen = setmetatable({}, {__mode = 'k'})
        run(function()
            local listener, port = support.plain.listen()
            local client = assert(socket.connect('127.0.0.1', port))
            local accepted = assert(listener:accept())
            accepted:send 'x\n'
            client:receive()
            seen[client], seen[accepted], seen[listener] = true, true, true
        end)
        support.collect()
        assert.is_nil(next(seen))
    end)

    -- In a process of its own, since a module is loaded only once.
    local program = [[
        local socket, loop
        local function load_all()
            socket = require 'socket'
            http = require 'socket.http'
            -- A library that keeps the functions it uses.
            library = (function()
                local connect, select, sleep, getaddrinfo = socket.connect,
                    socket.select, socket.sleep, socket.dns.getaddrinfo
                return function(port)
                    sleep(0.01)
                    assert(getaddrinfo '127.0.0.1')
                    local s = assert(connect('127.0.0.1', port))
                    s:send 'GET / HTTP/1.0\r\n\r\n'
                    assert(select({s}, nil, 5)[s])
                    local all = s:receive '*a'
                    s:close()
                    return all:match 'hello'
                end
            end)()
        end
        BEFORE
        loop = require 'socketloop'
        loop.install()
        AFTER
        local here, most = 0, 0
        local server = loop.newserver('127.0.0.1', 0, function(client)
            repeat until client:receive() == ''
            here = here + 1
            most = math.max(here, most)
            while most < 20 do loop.sleep(0.001) end
            client:send 'HTTP/1.0 200 OK\r\n\r\nhello'
            client:close()
        end)
        local _, port = server:getsockname()
        local ended = 0
        for i = 1, 20 do
            loop.newthread(function()
                local body = i % 2 == 0 and library(port) or
                    http.request(('http://127.0.0.1:%d/'):format(port))
                assert(body == 'hello')
                ended = ended + 1
                if ended == 20 then server:close() end
            end)
        end
        loop.start()
        print(ended, most)
    ]]

    for when, code in pairs {
        before = program:gsub('BEFORE', 'load_all()'):gsub('AFTER', ''),
        after = program:gsub('BEFORE', ''):gsub('AFTER', 'load_all()'),
    } do
        it('works for modules loaded ' .. when .. ' it', function()
            local status, output = process.lua(code)
            assert.equal(0, status, output)
            assert.equal('20\t20\n', output)
        end)
    end

    it('works without the debug library', function()
        local code = program:gsub('BEFORE', ''):gsub('AFTER', 'load_all()')
        local status, output = process.lua('debug = nil\n' ..
            'package.loaded.debug = nil\n' .. code)
        assert.equal(0, status, output)
        assert.equal('20\t20\n', output)
    end)

    it('says when there is no LuaSocket', function()
        local status, output = process.lua [[
            package.path = package.path:gsub(';/usr[^;]*', '')
            package.preload['socket'] = function() error 'not here' end
            print(pcall(require 'socketloop'.install))
        ]]
        assert.equal(0, status, output)
        assert.matches('^false\tinstall needs LuaSocket: ', output)
    end)

    it('may be in effect when the program ends', function()
        local status, output = process.lua [[
            local loop = require 'socketloop'
            loop.install()
            local socket = require 'socket'
            local s = socket.bind('127.0.0.1', 0)
            loop.newthread(function() s:accept() end)
            loop.newthread(function() socket.select({s}, nil, 100) end)
            loop.step(0)
            print 'done'
        ]]
        assert.equal(0, status, output)
        assert.equal('done\n', output)
    end)
end)
