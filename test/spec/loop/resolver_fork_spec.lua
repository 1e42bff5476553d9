-- Look-ups after a fork.

local names = require 'name_service'
local process = require 'process'

local _, host = names.tests(it, pending)

describe('after a fork', function()
    after_each(process.cleanup)

    host('the child looks up anew', 1, 1, 0, [[
        run(function() assert(loop.resolve 'wait1+127.0.0.1') end)
        local child = fork()
        run(function()
            expect('127.0.0.2', loop.resolve 'wait1+127.0.0.2'[1].addr)
        end)
        if child == 0 then return 7 end
        expect(7, wait(child))
    ]])

    host('look-ups in progress begin anew in the child', 1, 1, 0, [[
        local found = 0
        for i = 1, 20 do
            loop.newthread(function()
                local list = loop.resolve('wait50+127.0.0.' .. i)
                expect('127.0.0.' .. i, list[1].addr)
                found = found + 1
            end)
        end
        loop.step(0.02)
        local child = fork()
        loop.start()
        expect(20, found)
        if child == 0 then return 7 end
        expect(7, wait(child))
    ]])

    host('the child may look up in the very thread', 1, 1, 0, [[
        run(function()
            assert(loop.resolve 'wait1+127.0.0.1')
            local child = fork()
            expect('127.0.0.2', loop.resolve 'wait20+127.0.0.2'[1].addr)
            if child == 0 then quit(7) end
            expect(7, wait(child))
        end)
    ]])

    host('the child may end at once', 1, 1, 0, [[
        for i = 1, 10 do loop.newthread(loop.resolve, 'wait50+127.0.0.1') end
        loop.step(0.02)
        local child = fork()
        if child == 0 then return 7 end
        expect(7, wait(child))
        loop.start()
    ]])

    host('parent and child have a loop each', 1, 1, 0, [[
        local listener = loop.tcp('127.0.0.1', 0)
        listener:listen(128)
        local _, port = listener:getsockname()
        run(function()    -- the child inherits a poller in use
            local s = assert(loop.connect('127.0.0.1', port))
            assert(listener:accept()):close()
            assert(not s:receive())
            s:close()
        end)
        local child = fork()
        local n = 0
        for i = 1, 20 do
            loop.newthread(function()
                local s = assert(loop.connect('127.0.0.1', port))
                if s:receive() == 'hello' then n = n + 1 end
                s:close()
            end)
        end
        loop.newthread(function()
            for i = 1, 20 do
                local s = assert(listener:accept())
                s:send 'hello\n'
                s:close()
            end
        end)
        loop.start()
        expect(20, n)
        if child == 0 then return 7 end
        expect(7, wait(child))
    ]])
end)
