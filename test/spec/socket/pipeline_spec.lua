-- Requests that arrive together, and their answers.

local loop = require 'socketloop'
local faulty = require 'faulty'
local process = require 'process'
local support = require 'support'

local run, plain, track = support.run, support.plain, support.track

assert(loop.coro)       -- which opens a descriptor

describe('Pipelined lines', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    -- Sends lines of many lengths, one after another, through an echo server.
    local function echo(connect_to)
        local server, make = connect_to(function(client)
            for line in function() return (client:receive()) end do
                assert(client:send(line .. '\n'))
            end
            client:close()
        end)
        local sent, got = {}, {}
        math.randomseed(7)
        for i = 1, 400 do
            local most = math.random(10) == 1 and 1200 or 50
            sent[i] = i .. (' %x'):format(i):rep(math.random(0, most))
        end
        run(function()
            local client = track(assert(make()))
            local done
            loop.newthread(function()
                local i = 1
                while i <= #sent do
                    local last = math.min(i + math.random(0, 40), #sent)
                    local lines = table.concat(sent, '\n', i, last) .. '\n'
                    local middle = math.random(#lines)
                    client:send(lines, 1, middle)
                    if math.random(3) == 1 then loop.sleep(0) end
                    client:send(lines, middle + 1)
                    i = last + 1
                end
                done = true
            end)
            for i = 1, #sent do
                got[i] = assert(client:receive())
                if math.random(20) == 1 then loop.sleep(0.001) end
            end
            assert.is_true(done)
            client:close()
        end)
        server:close()
        assert.same(sent, got)
    end

    it('are answered in order', function()
        echo(function(handler)
            local port, server = support.serve(handler)
            return server, function()
                return loop.connect('127.0.0.1', port)
            end
        end)
    end)

    it('are answered in order through a unix socket', function()
        echo(function(handler)
            local path = process.tempdir() .. '/s'
            return track(loop.newserver(path, nil, handler)), function()
                local s = loop.unix()
                return s:connect(path) and s
            end
        end)
    end)

    it('are answered in order through narrow windows', function()
        echo(function(handler)
            local listener = track(loop.tcp('127.0.0.1', 0))
            listener:setoption('send-buffer-size', 4096)
            listener:setoption('recv-buffer-size', 4096)
            listener:listen(1)
            loop.newthread(function() handler(listener:accept()) end)
            local port = support.port(listener)
            return listener, function()
                return loop.connect('127.0.0.1', port)
            end
        end)
    end)

    it('are answered in order while system calls fail', function()
        if not faulty.available then
            return pending 'the library faults.so is for Linux only'
        end
        local settings = 'interrupt=100 again=300 short=300'
        local _, counts = faulty.script(settings, ([[
            local loop = require 'socketloop'
            local server = loop.newserver('127.0.0.1', 0, function(client)
                for line in function() return (client:receive()) end do
                    assert(client:send(line .. '\n'))
                end
                client:close()
            end)
            local _, port = server:getsockname()
            local over = 0
            local function talk()
                local client = assert(loop.connect('127.0.0.1', port))
                client:settimeout(30)
                for i = 1, %d do
                    local sent = {}
                    for j = 1, 30 do
                        sent[j] = i .. (' %%d'):format(j):rep(j)
                    end
                    local lines = table.concat(sent, '\n') .. '\n'
                    assert(client:send(lines))
                    local got = assert(client:receive(#lines))
                    assert(got == lines)
                end
                client:shutdown 'send'
                assert(select(2, client:receive()) == 'closed')
                client:close()
                over = over + 1
                if over == 10 then server:close() end
            end
            for i = 1, 10 do loop.newthread(talk) end
            loop.start()
            assert(over == 10)
        ]]):format(faulty.some(20)))
        assert.is_true(counts.again > 0 and counts.short > 0)
    end)

    it('take few system calls', function()
        local calls, why = process.strace [[
            local loop = require 'socketloop'
            local server = loop.newserver('127.0.0.1', 0, function(client)
                for line in function() return (client:receive()) end do
                    client:send(line .. '\n')
                end
            end)
            loop.newthread(function()
                local _, port = server:getsockname()
                local client = loop.connect('127.0.0.1', port)
                client:settimeout(30)
                for i = 1, 22 do
                    if i == 3 then io.stderr:write 'starts here\n' end
                    client:send(('line\n'):rep(16))
                    client:receive(16 * 5)
                end
                io.stderr:write 'ends here\n'
                os.exit(0)
            end)
            loop.start()
        ]]
        if not calls then return pending(why) end
        -- The requests, and their answers: gathered ones leave with the last
        -- one.
        assert.equal(20, select(2, calls:gsub('sendto%(', '')))
        assert.equal(20, select(2, calls:gsub('sendmsg%(', '')))
    end)

    for _, exit in ipairs {
        'os.exit(0)', 'os.exit(0, true)', 'error "the end"',
    } do
        it('go out before ' .. exit .. ' in the same turn', function()
            local program = process.start(process.script(([[
                local loop = require 'socketloop'
                local server = loop.newserver('127.0.0.1', 0, function(client)
                    while client:receive() ~= 'end' do client:send 'line\n' end
                    client:send 'bye\n'
                    %s
                end)
                print('port ' .. select(2, server:getsockname()))
                io.stdout:flush()
                loop.start()
            ]]):format(exit)))
            local client = plain.connect(program:expect(function(text)
                return text:match 'port (%d+)\n'
            end))
            client:send '1\n2\n3\nend\nand more\n'
            assert.equal('line\nline\nline\nbye\n', (client:receive(19)))
            client:close()
        end)
    end
end)
