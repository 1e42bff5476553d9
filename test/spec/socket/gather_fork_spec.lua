-- Gathered and unsent bytes when the process forks.

local names = require 'name_service'
local process = require 'process'

describe('After a fork', function()
    after_each(process.cleanup)

    local function forked(name, code)
        if names.available and names.forks_in_threads then
            it(name, function() names.host(1, 1, 0, code) end)
        else
            pending(name)
        end
    end

    local start = [[
        local listener = loop.tcp('127.0.0.1', 0)
        listener:setoption('send-buffer-size', 4096)
        listener:listen(1)
        local _, port = listener:getsockname()
        local peer = socket.tcp4()
        peer:setoption('recv-buffer-size', 4096)
        peer:connect('127.0.0.1', port)
        local s
        run(function() s = listener:accept() end)
        -- Receives the first of two lines and sends x.
        local function answer()
            loop.sleep(0)
            peer:send 'one\ntwo\n'
            s:receive()
            s:send 'x'
        end
        -- Returns all bytes that the peer can read, with pauses in between.
        local function read()
            local all, data, err, partial = ''
            peer:settimeout(0)
            repeat
                data, err, partial = peer:receive(1e9)
                all = all .. (data or partial)
                loop.sleep(0.001)
            until err == 'closed'
            return all
        end
    ]]

    forked('what was gathered is the parent\'s', start .. [[
        run(function()
            answer()
            local child = fork()
            if child == 0 then
                s:close()
                return
            end
            expect(0, wait(child))
            expect(nil, socket.select({peer}, nil, 0)[1])
            s:close()
            expect('x', peer:receive '*a')
        end)
        return 0
    ]])

    forked('the child gathers its own', start .. [[
        run(function()
            answer()
            local child = fork()
            if child == 0 then
                s:send 'y'
                s:close()
                return
            end
            expect(0, wait(child))
            s:close()
            expect('yx', peer:receive '*a')
        end)
        return 0
    ]])

    forked('what is unsent is the parent\'s', start .. [[
        local filled = 0
        run(function()
            loop.sleep(0)
            peer:send 'one\ntwo\n'
            s:settimeout(0)
            local tries = 0
            while tries < 3 do
                local n, err, last = s:send(('f'):rep(1000))
                filled = filled + (n or last)
                tries = (n or last) > 0 and 0 or tries + 1
                if err then loop.sleep(0.001) end
            end
            s:receive()
            s:send 'x'
            loop.stop()
        end)
        for i = 1, 2 do
            local child = fork()
            if child == 0 then
                expect(false, loop.step(0))
                s:close()
                expect(false, loop.step(0))
                return 7
            end
            expect(7, wait(child))
            s:close()
        end
        run(function()
            local got = read()
            expect(('f'):rep(filled) .. 'x', got)
        end)
        return 0
    ]])
end)
