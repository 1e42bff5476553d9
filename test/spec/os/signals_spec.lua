-- Signals: thousands a second, from a system timer (preload/faults.c), at every
-- place where the module may block; and SIGPIPE, whose default action ends the
-- process.

local process = require 'process'
local certificates = require 'certificates'
local faulty = require 'faulty'

-- The prelude of each script.
local prelude = [[
local loop = require 'socketloop'

-- Runs f in a thread and steps the loop until nothing waits.
function run(f)
    loop.newthread(f)
    loop.start()
end

-- Asserts that f takes so many seconds: not less, and not much more.
function takes(seconds, f, ...)
    local start = loop.now()
    local a, b, c = f(...)
    local taken = loop.now() - start
    if taken < seconds or taken > seconds + 5 then
        error(('took %.4f s in place of %.4f'):format(taken, seconds), 2)
    end
    return a, b, c
end

-- Returns a new connection to the listener.
function connect(listener)
    local ip, port = listener:getsockname()
    return assert(loop.connect(ip, port))
end

function expect(wanted, got)
    if wanted ~= got then
        error(('expected %s, got %s'):format(tostring(wanted),
              tostring(got)), 2)
    end
end
]]

describe('A storm of signals', function()
    if not faulty.available then
        pending 'the library faults.so is for Linux only'
        return
    end
    after_each(process.cleanup)

    local function script(name, code)
        it(name, function()
            local _, counts = faulty.script('alarm=200', prelude .. code)
            assert.is_true(counts.alarm > 0)
        end)
    end

    it('disturbs no conversation', function()
        local output, counts = faulty.file('alarm=100', 'faults.lua',
            faulty.some(150), faulty.some(100))
        assert.matches(faulty.some(150) .. ' complete, 0 broken', output)
        assert.is_true(counts.alarm > 0)
    end)

    script('shortens no sleep', [[
        for i = 1, 20 do
            loop.newthread(function()
                takes(i / 400, loop.sleep, i / 400)
            end)
        end
        loop.start()
    ]])

    script('shortens no step', [[
        loop.newthread(function() loop.sleep(1000) end)
        expect(true, takes(0.03, loop.step, 0.03))
        expect(true, loop.step(0))
    ]])

    script('shortens no timeout of receive, send and accept', [[
        run(function()
            local listener = loop.tcp('127.0.0.1', 0)
            assert(listener:listen())
            local a = connect(listener)
            local b = assert(listener:accept())
            for _, mode in ipairs {'b', 't'} do
                a:settimeout(nil, 'b')
                a:settimeout(0.03, mode)
                local data, err, partial = takes(0.03, a.receive, a)
                expect('timeout', err)
                local _, err, last = takes(0.03, a.send, a,
                                           ('x'):rep(2^24))
                expect('timeout', err)
                listener:settimeout(0.03, mode)
                local s, err = takes(0.03, listener.accept, listener)
                expect('timeout', err)
            end
            a:close()
            b:close()
            listener:close()
        end)
    ]])

    script('shortens no timeout of connect', [[
        run(function()
            -- Nothing is accepted, and the listener's queue is full.
            local listener = loop.tcp('127.0.0.1', 0)
            assert(listener:listen(0))
            local ip, port = listener:getsockname()
            local queue = {}
            for i = 1, 20 do
                local s = loop.tcp()
                queue[i] = s
                s:settimeout(0.03)
                local start = loop.now()
                local ok, err = s:connect(ip, port)
                if not ok then
                    expect('timeout', err)
                    assert(loop.now() - start >= 0.03)
                    break
                end
            end
            for _, s in ipairs(queue) do s:close() end
            listener:close()
        end)
    ]])

    script('disturbs no connect, accept and close', [[
        local server = loop.newserver('127.0.0.1', 0, function(client)
            client:send(client:receive() .. '\n')
            client:close()
        end)
        run(function()
            local stop = loop.now() + 0.1
            repeat
                local s = connect(server)
                s:send 'hello\n'
                expect('hello', s:receive())
                s:close()
            until loop.now() > stop
            server:close()
        end)
    ]])

    script('disturbs no look-up', [[
        local known = require 'socket'.dns.toip 'localhost'
        local found = 0
        for i = 1, 20 do
            loop.newthread(function()
                for _ = 1, 5 do
                    local list, err = loop.resolve('localhost', i)
                    if known then assert(list, err) end
                    expect(list and i, list and list[1].port)
                    found = found + 1
                end
            end)
        end
        loop.start()
        expect(100, found)
    ]])

    script('disturbs no datagram', [[
        local server = loop.udp('127.0.0.1', 0)
        loop.newthread(function()
            for data, ip, port in function() return server:receivefrom() end do
                assert(server:sendto(data, ip, port))
            end
        end)
        run(function()
            local client = loop.udp()
            local ip, port = server:getsockname()
            assert(client:setpeername(ip, port))
            local stop, i = loop.now() + 0.05, 0
            repeat
                i = i + 1
                assert(client:send(tostring(i)))
                expect(tostring(i), client:receive())
            until loop.now() > stop
            client:close()
            server:close()
        end)
    ]])

    script('disturbs no LuaSocket in a thread', [[
        local socket = require 'socket'
        loop.install()
        run(function()
            local listener = assert(socket.bind('127.0.0.1', 0))
            local _, port = listener:getsockname()
            local client = assert(socket.connect('127.0.0.1', port))
            local server = assert(listener:accept())
            server:settimeout(0.03)
            local _, err = takes(0.03, server.receive, server)
            expect('timeout', err)
            local _, _, err = takes(0.03, socket.select, {server}, nil, 0.03)
            expect('timeout', err)
            takes(0.03, socket.sleep, 0.03)
            local stop = loop.now() + 0.05
            repeat
                client:send 'hello\n'
                expect('hello', server:receive())
            until loop.now() > stop
            for _, s in ipairs {client, server, listener} do s:close() end
        end)
    ]])
end)

describe('SIGPIPE with its default action', function()
    if not faulty.available then
        pending 'the library faults.so is for Linux only'
        return
    end
    after_each(process.cleanup)

    -- talk(make) sends through make(socket), whose peer has gone, until a send
    -- returns an error.
    local pipe_prelude = prelude .. [[
        function talk(make, any_error)
            run(function()
                local listener = loop.tcp('127.0.0.1', 0)
                assert(listener:listen())
                local a = connect(listener)
                local b = assert(listener:accept())
                local s = make and make(a, b) or a
                b:setoption('linger', {on = true, timeout = 0})
                b:close()
                local failed = 0
                for _ = 1, 1000 do
                    local ok, err = s:send('hello\n')
                    if not ok then
                        expect('closed', any_error and 'closed' or err)
                        failed = failed + 1
                        if failed == 3 then break end
                    end
                    loop.sleep(0.001)
                end
                expect(3, failed)
                s:close()
                listener:close()
            end)
            io.write 'alive\n'
        end
    ]]

    local function script(name, code)
        it(name, function()
            assert.matches('alive\n',
                (faulty.script('pipe=1', pipe_prelude .. code)))
        end)
    end

    it('ends a process that writes to a broken pipe', function()
        local ok, err = pcall(faulty.script, 'pipe=1', [[
            local pipe = io.popen('exec true', 'w')
            for _ = 1, 1e6 do
                pipe:write(('x'):rep(4096))
                pipe:flush()
            end
        ]])
        assert.is_false(ok)
        assert.matches('status 141', err)    -- 128 + SIGPIPE
    end)

    script('does not end one that sends', 'talk()')

    script('does not end one that has LuaSocket\'s object', [[
        require 'socket'
        talk(function(a)
            a:getsocket()
            return a
        end)
    ]])

    script('does not end one that sends to a unix socket', [[
        run(function()
            local path = os.tmpname()
            os.remove(path)
            local server = loop.newserver(path, nil, function(client)
                client:close()
            end)
            local s = loop.unix()
            assert(s:connect(path))
            expect('closed', select(2, s:receive()))
            for _ = 1, 3 do
                local _, err = s:send 'hello'
                expect('closed', err)
            end
            s:close()
            server:close()
        end)
        io.write 'alive\n'
    ]])

    -- LuaSocket's own send relies on SIGPIPE being ignored.
    script('does not end one that sends through a foreign object', [[
        local socket = require 'socket'
        talk(function(a)
            local object = a:getsocket()
            return loop.wrap {
                getfd = function() return object:getfd() end,
                settimeout = function(_, t) return object:settimeout(t) end,
                receive = function(_, ...) return object:receive(...) end,
                send = function(_, ...) return object:send(...) end,
                close = function() return object:close() end,
                dirty = function() return object:dirty() end,
            }
        end)
    ]])

    if not certificates.possible then return end

    it('does not end one that sends through TLS', function()
        local certs = certificates.make()
        local code = ([[
            talk(function(a, b)
                local ready
                loop.newthread(function()
                    ready = assert(b:starttls {key = %q, certificate = %q})
                end)
                assert(a:starttls {verify = 'none'})
                while not ready do loop.sleep(0.001) end
                return a
            end, true)    -- OpenSSL has its own words
        ]]):format(certs.good.key, certs.good.certificate)
        assert.matches('alive\n',
            (faulty.script('pipe=1', pipe_prelude .. code)))
    end)
end)
