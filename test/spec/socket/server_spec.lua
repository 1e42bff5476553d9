-- newserver: accepting, and running out of descriptors.

local loop = require 'socketloop'
local socket = require 'socket'
local scenes = require 'scenes'
local support = require 'support'
local process = require 'process'

local run = support.run
local failure = support.failure
local echo, ask = scenes.echo, scenes.ask

describe('newserver', function()
    support.hooks(before_each, after_each)
    after_each(function() loop.onerror = nil end)

    it('runs the handler for each client', function()
        local port, listener = support.serve(echo)
        run(function()
            assert.equal('echo one', (ask(port, 'one')))
            assert.equal('echo two', (ask(port, 'two')))
            listener:close()
        end)
    end)

    it('gives the handler the client and nothing else', function()
        local count, type_of, thread
        local port, listener = support.serve(function(...)
            count, type_of = select('#', ...), (...).type
            thread = loop.current()
            echo(...)
        end)
        run(function()
            ask(port, 'x')
            assert.equal(1, count)
            assert.equal('socketloop_socket', type_of)
            assert.equal('thread', type(thread))
            assert.not_equal((loop.current()), thread)
            listener:close()
        end)
    end)

    it('runs each handler in a thread of its own', function()
        local threads = {}
        local port, listener = support.serve(function(client)
            threads[#threads + 1] = loop.current()
            echo(client)
        end)
        run(function()
            local a = assert(loop.connect('127.0.0.1', port))
            local b = assert(loop.connect('127.0.0.1', port))
            b:send 'b\n'
            assert.equal('echo b', (b:receive()))
            a:send 'a\n'
            assert.equal('echo a', (a:receive()))
            assert.equal(2, #threads)
            assert.not_equal(threads[1], threads[2])
            a:close()
            b:close()
            listener:close()
        end)
    end)

    it('listens on all addresses and any port by default', function()
        local listener = support.track(loop.newserver(nil, nil, echo))
        local ip, port = listener:getsockname()
        assert.equal('0.0.0.0', ip)
        assert.is_true(tonumber(port) > 0)
        run(function()
            assert.equal('echo x', (ask(port, 'x')))
            listener:close()
        end)
    end)

    it('takes * for all addresses of IPv4', function()
        local listener = support.track(loop.newserver('*', 0, echo))
        local ip, port = listener:getsockname()
        assert.equal('0.0.0.0', ip)
        run(function()
            assert.equal('echo x', (ask(port, 'x')))
            listener:close()
        end)
    end)

    it('returns a loop socket with its address', function()
        local _, listener = support.serve(echo)
        assert.equal('socketloop_socket', listener.type)
        local ip, port = listener:getsockname()
        assert.equal('127.0.0.1', ip)
        assert.is_true(tonumber(port) > 0)
        listener:close()
    end)

    it('listens on the port it is given', function()
        local port, holder = process.freeport()
        local listener = support.track(loop.newserver('127.0.0.1', port, echo))
        holder:close()
        local _, got = listener:getsockname()
        assert.equal(tonumber(port), tonumber(got))
        listener:close()
    end)

    it('can be the first thing a loop thread does', function()
        run(function()
            local port, listener = support.serve(echo)
            assert.equal('echo x', (ask(port, 'x')))
            listener:close()
        end)
    end)

    it('serves IPv6 clients', function()
        if not support.has_ipv6() then return pending 'no IPv6 here' end
        local listener = support.track(loop.newserver('::1', 0, echo))
        local ip, port = listener:getsockname()
        assert.equal('::1', ip)
        run(function()
            local client = assert(loop.connect('::1', port))
            client:send 'x\n'
            assert.equal('echo x', (client:receive()))
            client:close()
            listener:close()
        end)
    end)

    it('raises when the address is already in use', function()
        local port, listener = support.serve(echo)
        assert.matches('address already in use',
                       failure(loop.newserver, '127.0.0.1', port, echo))
        listener:close()
    end)

    it('raises when the address is not of this host', function()
        failure(loop.newserver, '192.0.2.1', 0, echo)
        failure(loop.newserver, 'not an address', 0, echo)
        assert.is_false(loop.step(0))
    end)

    it('wants a function', function()
        for _, handler in ipairs {1, 'x', {}, true} do
            assert.matches('bad argument #3 .*function expected',
                failure(loop.newserver, '127.0.0.1', 0, handler))
        end
        assert.matches('bad argument #3', failure(loop.newserver))
        assert.is_false(loop.step(0))
    end)

    it('really sets SO_REUSEADDR', function()
        local port, listener = support.serve(function(client)
            client:close()
        end)
        assert.is_true(listener:getoption 'reuseaddr')
        -- The server's end enters TIME_WAIT because it closes first.
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            assert.same({nil, 'closed', ''}, {client:receive()})
            client:close()
            listener:close()
        end)
        listener = support.track(loop.newserver('127.0.0.1', port, echo))
        run(function()
            assert.equal('echo x', (ask(port, 'x')))
            listener:close()
        end)
    end)

    it('accepts hundreds of clients that came before its first step',
       function()
        local port, listener = support.serve(echo)
        local clients, count = {}, os.getenv 'SOCKETLOOP_TEST_GC' and 50 or 300
        for i = 1, count do clients[i] = support.plain.connect(port) end
        for i = 1, count do clients[i]:send(i .. '\n') end
        run(function()
            local right = 0
            for i = 1, count do
                local client = loop.wrap(clients[i])
                client:settimeout(support.limit)
                if client:receive() == 'echo ' .. i then right = right + 1 end
                client:close()
            end
            assert.equal(count, right)
            listener:close()
        end)
    end)

    it('lives on without references', function()
        local weak = setmetatable({}, {__mode = 'v'})
        local port
        port, weak[1] = support.serve(echo)
        run(function()
            support.collect()
            assert.equal('echo x', (ask(port, 'x')))
            assert.is_truthy(weak[1])
            weak[1]:close()
        end)
    end)

    it('stops accepting when it is closed', function()
        local port, listener = support.serve(echo)
        run(function()
            assert.equal('echo x', (ask(port, 'x')))
            listener:close()
            local client, err = loop.connect('127.0.0.1', port)
            assert.is_nil(client)
            assert.equal('connection refused', err)
        end)
        assert.is_false(loop.step(0))
    end)

    it('can be closed before the first step', function()
        local _, listener = support.serve(echo)
        listener:close()
        for _ = 1, 10 do
            if not loop.step(0) then break end
        end
        assert.is_false(loop.step(0))
    end)

    it('can be closed by a handler', function()
        local listener, port
        port, listener = support.serve(function(client)
            listener:close()
            echo(client)
        end)
        run(function()
            assert.equal('echo x', (ask(port, 'x')))
            assert.is_nil((loop.connect('127.0.0.1', port)))
        end)
    end)

    it('leaves its clients connected when it is closed', function()
        local port, listener = support.serve(echo)
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            client:send 'one\n'
            assert.equal('echo one', (client:receive()))
            listener:close()
            client:send 'two\n'
            assert.equal('echo two', (client:receive()))
            client:close()
        end)
    end)

    it('does not close the client when the handler returns', function()
        local kept
        local port, listener = support.serve(function(client)
            kept = client
        end)
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            assert(support.eventually(function() return kept end))
            support.collect()
            kept:send 'still here\n'
            assert.equal('still here', (client:receive()))
            kept:close()
            client:close()
            listener:close()
        end)
    end)

    it('leaves a client without references to the collector', function()
        local handled
        local port, listener = support.serve(function() handled = true end)
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            assert(support.eventually(function() return handled end))
            local got
            loop.newthread(function() got = {client:receive()} end)
            assert(support.eventually(function()
                collectgarbage()
                return got
            end))
            assert.same({nil, 'closed', ''}, got)
            client:close()
            listener:close()
        end)
    end)

    it('outlives clients that reset before they are accepted', function()
        local port, listener = support.serve(echo)
        for _ = 1, 20 do
            local client = support.plain.connect(port)
            client:setoption('linger', {on = true, timeout = 0})
            client:close()
        end
        run(function()
            assert.equal('echo x', (ask(port, 'x')))
            listener:close()
        end)
    end)
end)

describe('a server without descriptors left', function()
    after_each(process.cleanup)

    -- Greets every client, and answers 'cpu' with the CPU time used.
    local server = [[
        local loop = require 'socketloop'
        local listener = loop.newserver('127.0.0.1', 0, function(client)
            client:send 'hello\n'
            while true do
                local line = client:receive()
                if not line then break end
                client:send(os.clock() .. '\n')
            end
            client:close()
        end)
        local _, port = listener:getsockname()
        io.write('port ', port, '\n')
        io.flush()
        loop.start()
    ]]

    it('stays alive, does not spin, and recovers', function()
        local program = process.start(process.script(server, 'ulimit -n 64'))
        local port = program:expect(function(text)
            return text:match 'port (%d+)\n'
        end)

        local clients, greeted = {}, {}
        for i = 1, 200 do clients[i] = support.plain.connect(port) end
        -- The first client is certainly accepted and greeted. No client
        -- connects after this.
        assert.equal('hello', (clients[1]:receive()))
        local function cpu()
            assert(clients[1]:send 'cpu\n')
            return tonumber((assert(clients[1]:receive())))
        end
        local start = cpu()
        -- CPU time is measured over this many seconds.
        local window = 0.3
        socket.sleep(window)
        local used = cpu() - start
        assert.is_true(used < window / 3, used)

        local count = 0
        for i = 2, 200 do
            clients[i]:settimeout(0)
            if clients[i]:receive() == 'hello' then
                greeted[i] = true
                count = count + 1
            end
        end
        assert.is_true(count > 20 and count < 64, count)

        -- Accepted clients leave, so waiting ones are accepted, in as many
        -- rounds as needed.
        clients[1]:close()
        for i = 2, 200 do
            if greeted[i] then clients[i]:close() end
        end
        local late = 0
        for i = 2, 200 do
            if not greeted[i] then
                clients[i]:settimeout(5)
                if clients[i]:receive() == 'hello' then late = late + 1 end
                clients[i]:close()
            end
        end
        assert.equal(199 - count, late)

        -- The server also accepts new clients.
        local client = support.plain.connect(port)
        assert.equal('hello', (client:receive()))
        client:close()
        assert.is_nil(program:status())
        program:stop()
    end)

    it('takes no time from the clients it has', function()
        local program = process.start(process.script(server, 'ulimit -n 64'))
        local port = program:expect(function(text)
            return text:match 'port (%d+)\n'
        end)
        local clients = {}
        for i = 1, 100 do clients[i] = support.plain.connect(port) end
        assert.equal('hello', (clients[1]:receive()))
        local elapsed = support.timed(function()
            for _ = 1, 200 do
                assert(clients[1]:send 'cpu\n')
                assert(clients[1]:receive())
            end
        end)
        assert.is_true(elapsed < 5, elapsed)
        for i = 1, 100 do clients[i]:close() end
        program:stop()
    end)
end)
