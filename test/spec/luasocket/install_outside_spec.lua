-- install outside of threads: objects that are used there, too, and
-- uninstalling.

local loop = require 'socketloop'
local socket = require 'socket'
local scenes = require 'scenes'
local support = require 'support'
local process = require 'process'

local run, pack, track = support.run, support.pack, support.track
local waits = scenes.waits

-- References that a module keeps: in upvalues, tables, and closures of C
-- functions.
local connect, sleep = socket.connect, socket.sleep
local kept = {deep = {sleep = socket.sleep}}

local names = {
    'bind', 'choose', 'connect', 'connect4', 'connect6', 'gettime', 'newtry',
    'protect', 'select', 'sink', 'skip', 'sleep', 'source', 'tcp', 'tcp4',
    'tcp6', 'try', 'udp', 'udp4', 'udp6',
}

describe('install', function()
    local undo
    support.hooks(before_each, after_each, function()
        if undo then undo() end
        undo = nil
        process.cleanup()
    end)

    describe('is over', function()
        it('when it was undone', function()
            local before = {}
            for _, name in ipairs(names) do before[name] = socket[name] end
            for name, f in pairs(socket.dns) do before[name] = f end
            local class = getmetatable(socket.tcp()).__index
            for name, f in pairs(class) do before['tcp ' .. name] = f end
            loop.install()()
            for _, name in ipairs(names) do
                assert.equal(before[name], socket[name], name)
            end
            for name, f in pairs(socket.dns) do
                assert.equal(before[name], f, name)
            end
            for name, f in pairs(class) do
                assert.equal(before['tcp ' .. name], f, name)
            end
            assert.is_false(waits(function() socket.sleep(0.01) end))
            assert.is_false(waits(function() kept.deep.sleep(0.01) end))
        end)

        it('only when each of several was undone', function()
            local first = loop.install()
            local second = loop.install()
            first()
            first()
            assert.is_true(waits(function() socket.sleep(0.02) end))
            second()
            assert.is_false(waits(function() socket.sleep(0.01) end))
            second()
        end)

        it('and functions kept meanwhile are harmless', function()
            local during
            local client, peer = support.plain.pair()
            undo = loop.install()
            during = string.dump and getmetatable(client).__index.receive
            undo()
            peer:send 'x\n'
            assert.equal('x', during(client))
            assert.equal('x', run(function()
                peer:send 'x\n'
                return during(client)
            end))
            client:close()
            peer:close()
        end)

        it('but may begin again', function()
            for _ = 1, 3 do
                undo = loop.install()
                assert.is_true(waits(function() sleep(0.02) end))
                undo()
                assert.is_false(waits(function() sleep(0.01) end))
            end
        end)

        it('and leaves functions alone that others replaced', function()
            local ours = socket.sleep
            undo = loop.install()
            local function theirs() end
            local before = socket.sleep
            socket.sleep = theirs
            undo()
            undo = nil
            assert.equal(theirs, socket.sleep)
            socket.sleep = before
            socket.sleep = ours
        end)

        it('also for objects in use, which get their timeouts back',
           function()
            local client, peer = support.plain.pair()
            client:settimeout(0.01)
            client:settimeout(7, 't')
            undo = loop.install()
            local result
            loop.newthread(function() result = pack(client:receive()) end)
            undo()
            assert.same({0.01, 7, n = 2}, pack(client:gettimeout()))
            loop.start()
            assert.same({nil, 'timeout', '', n = 3}, result)
            assert.same({0.01, 7, n = 2}, pack(client:gettimeout()))
            client:close()
            peer:close()
        end)
    end)

    describe('outside of threads', function()
        before_each(function() undo = loop.install() end)

        it('lets objects wait by themselves', function()
            local client, peer = support.plain.pair()
            client:settimeout(0.02)
            local seconds, _, err = support.timed(client.receive, client)
            assert.equal('timeout', err)
            assert.is_true(seconds >= 0.019)
            peer:send 'x\n'
            assert.equal('x', client:receive())
            client:close()
            peer:close()
        end)

        it('lets functions wait by themselves', function()
            local seconds = support.timed(socket.sleep, 0.02)
            assert.is_true(seconds >= 0.019)
            local listener, port = support.plain.listen()
            local client = assert(connect('127.0.0.1', port))
            client:close()
            listener:close()
        end)

        it('does not change error messages', function()
            local client, peer = support.plain.pair()
            local function message(f)
                local ok, err = pcall(f)
                assert.is_false(ok)
                return err
            end
            local wrong = {
                function() client:receive 'x' end,
                function() client:receive(-1) end,
                function() client:send({}) end,
                function() client:settimeout('x') end,
                function() socket.tcp():receive() end,
                function() socket.tcp():connect() end,
                function() socket.connect('127.0.0.1') end,
                function() socket.dns.toip() end,
            }
            local inside, outside = {}, {}
            for i, f in ipairs(wrong) do
                outside[i] = message(f)
                inside[i] = run(function() return message(f) end)
            end
            undo()
            undo = nil
            local function words(text)
                -- LuaJIT and 5.4 name some functions with their table.
                return (text:gsub("'[%w_.]-([%w_]+)'", "'%1'")
                    :gsub('no value', 'nil'))
            end
            for i, f in ipairs(wrong) do
                local before = words(message(f))
                assert.equal(before, words(outside[i]))
                assert.equal(before, words(inside[i]))
            end
            client:close()
            peer:close()
        end)
    end)

    describe('and an object that is used in a thread, then outside,',
             function()
        local client, peer
        before_each(function()
            undo = loop.install()
            client, peer = support.plain.pair()
        end)
        after_each(function()
            client:close()
            peer:close()
        end)

        it('keeps its timeout', function()
            client:settimeout(0.02)
            peer:send 'x\n'
            assert.equal('x', run(client.receive, client))
            local seconds, _, err = support.timed(client.receive, client)
            assert.equal('timeout', err)
            assert.is_true(seconds >= 0.019)
            seconds, _, err = run(support.timed, client.receive, client)
            assert.equal('timeout', err)
            assert.is_true(seconds >= 0.019)
        end)

        it('keeps a timeout that was set in the thread', function()
            run(function()
                client:settimeout(0.02)
                assert.equal('timeout', (select(2, client:receive())))
            end)
            assert.same({0.02, -1, n = 2}, pack(client:gettimeout()))
            local seconds = support.timed(client.receive, client)
            assert.is_true(seconds >= 0.019 and seconds < 5)
        end)

        it('keeps having none', function()
            client:settimeout()
            peer:send 'x\n'
            assert.equal('x', run(client.receive, client))
            assert.same({-1, -1, n = 2}, pack(client:gettimeout()))
            -- If connect did not wait, the line would never arrive.
            local listener, port = support.plain.listen()
            local script = process.start(process.script(([[
                local socket = require 'socket'
                local client = socket.connect('127.0.0.1', %d)
                client:receive()
                socket.sleep(0.05)
                client:send 'late\n'
                client:receive '*a'
            ]]):format(port)))
            local s = assert(listener:accept())
            s:settimeout()
            run(s.send, s, 'go on\n')
            assert.equal('late', s:receive())
            s:close()
            listener:close()
            script:wait()
        end)

        it('has the bytes that were not read', function()
            peer:send 'one\ntwo\nthree\nfour'
            assert.equal('one', run(client.receive, client))
            assert.is_true(client:dirty())
            assert.equal('two', client:receive())
            assert.equal('thr', run(client.receive, client, 3))
            assert.equal('ee', client:receive())
            peer:shutdown 'send'
            assert.equal('four', run(client.receive, client, '*a'))
        end)

        it('may be used outside while a thread waits', function()
            local line
            client:settimeout(5)
            loop.newthread(function() line = client:receive() end)
            loop.step(0)
            assert.same({5, -1, n = 2}, pack(client:gettimeout()))
            assert.equal(3, client:send 'abc')
            assert.equal('abc', peer:receive(3))
            assert.is_nil(line)
            peer:send 'x\n'
            loop.start()
            assert.equal('x', line)
        end)

        it('is closed by the main program', function()
            local result
            loop.newthread(function() result = pack(client:receive()) end)
            client:close()
            loop.start()
            assert.same({nil, 'closed', '', n = 3}, result)
        end)

        it('counts its bytes once', function()
            peer:send '12345\n'
            run(client.receive, client)
            client:send 'abc'
            run(client.send, client, 'de')
            local received, sent = client:getstats()
            assert.equal(6, received)
            assert.equal(5, sent)
        end)

        it('goes on to connect', function()
            local listener, port = support.plain.listen()
            local s = track(socket.tcp())
            run(function()
                s:settimeout(0)
                s:connect('127.0.0.1', port)
            end)
            local accepted = assert(listener:accept())
            s:settimeout(5)
            accepted:send 'x\n'
            assert.equal('x', s:receive())
            s:close()
            accepted:close()
            listener:close()
        end)
    end)
end)
