-- A network that loses, delays and reorders packets (host/lossy.c): all bytes
-- arrive, and timeouts hold.

local process = require 'process'
local faulty = require 'faulty'
local names = require 'name_service'

local prelude = [[
local loop = require 'socketloop'
local host = '10.99.0.2'
local server = loop.newserver('*', 0, function(client)
    local line = client:receive()
    if line ~= 'say nothing' then client:send(line .. '\n') end
    client:receive()
    client:close()
end)
local _, port = server:getsockname()

-- Asserts that f fails with a timeout after so many seconds, and not much
-- later.
function times_out(seconds, f, ...)
    local start = loop.now()
    local ok, err = f(...)
    local taken = loop.now() - start
    assert(not ok and err == 'timeout', err)
    assert(taken >= seconds and taken < seconds + 5, taken)
end
]]

describe('A network that loses packets', function()
    local lossy = process.helper 'lossy'
    if not lossy then
        pending 'the program lossy is for Linux only'
        return
    end
    after_each(process.cleanup)

    -- Runs the shell command in that network. Returns its output, or nil where
    -- no such network can be made.
    local function run(loss, delay, command)
        local status, output = process.run(('exec %s %d %d %d %s'):format(
            lossy, loss, delay, faulty.seed, command))
        if status == 77 then
            pending(output)
            return nil
        end
        if status ~= 0 then
            error(('SOCKETLOOP_TEST_SEED=%d: status %d\n%s')
                :format(faulty.seed, status, output), 3)
        end
        return output
    end

    local function script(loss, delay, code)
        return run(loss, delay, 'sh -c ' .. process.quote(
            process.script(prelude .. code)))
    end

    it('loses no byte of a conversation', function()
        local output = run(30, 8, ('env HOST=10.99.0.2 %s %s %d %d'):format(
            process.quote(process.interpreter),
            process.folder .. '/preload/faults.lua', 10, 10))
        if output then assert.matches('10 complete, 0 broken', output) end
    end)

    it('does not make a limit end early or late', function()
        script(20, 5, [[
            loop.newthread(function()
                local s = assert(loop.connect(host, port))
                assert(s:send 'say nothing\n')
                for _, mode in ipairs {'b', 't'} do
                    s:settimeout(nil, 'b')
                    s:settimeout(0.1, mode)
                    times_out(0.1, s.receive, s)
                end
                s:close()
                server:close()
            end)
            loop.start()
        ]])
    end)

    it('and brings none makes connect run out of time', function()
        script(1000, 0, [[
            loop.newthread(function()
                local s = loop.tcp()
                s:settimeout(0.1)
                times_out(0.1, s.connect, s, host, port)
                s:close()
                server:close()
            end)
            loop.start()
        ]])
    end)

    -- The system repeats a lost SYN after a second, and then after two.
    it('and brings none makes the next address be tried', function()
        if not names.available then return pending 'no names here' end
        local output = run(1000, 0, 'sh -c ' .. process.quote(process.script([[
            local loop, socket = require 'socketloop', require 'socket'
            local name = '/proc/sys/net/ipv4/tcp_syn_retries'
            local file = io.open(name, 'w')
            if not (file and file:write '1' and file:close()) then
                print 'skipped'
                os.exit(0)
            end
            local server = loop.newserver('127.0.0.1', 0, function(client)
                client:close()
            end)
            local _, port = server:getsockname()
            loop.install()
            local left = 3
            local function start(f)
                loop.newthread(function()
                    f()
                    left = left - 1
                    if left == 0 then server:close() end
                end)
            end
            start(function()
                local s, err = socket.connect('10.99.0.2', port)
                assert(not s and err == 'timeout', err)
            end)
            for _, make in ipairs {socket.tcp, socket.tcp4} do
                start(function()
                    local s = make()
                    assert(s:connect('10.99.0.2+127.0.0.1', port))
                    assert(s:getpeername() == '127.0.0.1')
                    s:close()
                end)
            end
            loop.start()
            print 'done'
        ]], names.preload)))
        if output and output:match 'skipped' then
            pending 'the number of tries cannot be set here'
        elseif output then
            assert.matches('done', output)
        end
    end)
end)
