-- A loop that is collected while objects of it remain. Its threads then belong
-- to no loop. Its sockets keep it alive, whichever loop's functions were called
-- on them.

local process = require 'process'

local prelude = [[
    local A = require 'socketloop'
    local coro = require 'coro'
    local B, main = A.coro, coro.running()
    A.coro = nil
    package.loaded.socketloop, package.loaded['socketloop.coro'] = nil, nil
    local function collect()
        for _ = 1, 5 do collectgarbage() end
        local junk = {}
        for i = 1, 5000 do junk[i] = ('A'):rep(100 + i % 300) .. i end
    end
]]

local function script(code)
    return process.output(prelude .. code)
end

describe('A loop that is collected', function()
    it('leaves its threads to no loop', function()
        assert.equal('in t\ttrue\tfalse\nslept\n', script [[
            local step, sleep = B.step, B.sleep
            local transfer = coro.transfer
            local t = A.newthread(function()
                transfer(main)
                print('in t', pcall(step, 0))
                sleep(0)
                print 'slept'
                transfer(main)
            end)
            A = nil
            collect()
            transfer(t)
            step(1)
        ]])
    end)

    it('leaves threads that it ran to no loop', function()
        assert.equal('true\tfalse\n', script [[
            local step, transfer = B.step, coro.transfer
            local t
            A.newthread(function()
                t = coro.create(function()
                    transfer(main)
                    print(pcall(step, 0))
                    transfer(main)
                end)
                transfer(t)
            end)
            A = nil
            collect()
            transfer(t)
        ]])
    end)
end)

describe('A socket keeps its loop alive', function()
    local cases = {
        getsocket = 'B.tcp().getsocket(s)',
        setsocket = [[
            local own = require 'socket'.tcp4()
            B.tcp().setsocket(s, own)
        ]],
        fields = 's.field = 1',
        setmaxclients = [[
            s:listen()
            local listening = B.newserver('127.0.0.1', 0, print)
            listening.setmaxclients(s, 5)
            listening:close()
        ]],
    }
    for name, code in pairs(cases) do
        it('when the other loop has called ' .. name, function()
            assert.equal('true\tnumber\ntrue\t1\n', script([[
                local s = A.tcp('127.0.0.1', 0)
            ]] .. code .. [[

                A = nil
                collect()
                local ok, n = pcall(s.getstats, s)
                print(ok, type(n))
                print(pcall(s.close, s))
                s = nil
                collect()
            ]]))
        end)
    end

    it('when the other loop has accepted it', function()
        assert.equal('hello\n', script [[
            local got
            local s = A.tcp('127.0.0.1', 0)
            s:listen()
            s:setmaxclients(1)
            local ip, port = s:getsockname()
            local listening = B.newserver('127.0.0.1', 0, print)
            A.newthread(function()
                local c = A.connect(ip, port)
                c:send 'hello\n'
                c:close()
            end)
            A.newthread(function() got = listening.accept(s) end)
            A.start(1)
            listening:close()
            s:close()
            A, s = nil, nil
            collect()
            B.newthread(function()
                print((got:receive()))
                got:close()
            end)
            got = nil
            collect()
        ]])
    end)
end)

describe('A server whose loop is not referred to', function()
    it('accepts as long as its socket exists', function()
        assert.equal('served\n', script [[
            local server = A.newserver('127.0.0.1', 0, function(client)
                client:send 'served\n'
                client:close()
            end)
            local ip, port = server:getsockname()
            local step = A.step
            B.newthread(function()
                local c = B.connect(ip, port)
                print((c:receive()))
                c:close()
                server:close()
            end)
            A = nil
            collect()
            for _ = 1, 1000 do
                if not step(0.001) then break end
                B.step(0.001)
            end
        ]])
    end)
end)
