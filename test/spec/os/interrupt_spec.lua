-- Ctrl-C and other debug hooks that are set in a signal handler while the loop
-- runs. Each script is a process of its own, which gets the signal.

local process = require 'process'
local socket = require 'socket'

local prelude = [[
    local loop = require 'socketloop'
    io.stdout:setvbuf 'no'

    -- Computes for so many seconds.
    local function busy(seconds)
        local stop = loop.now() + seconds
        while loop.now() < stop do end
    end
    local function pid()
        return (io.open '/proc/self/stat':read '*l':match '%d+')
    end
]]

local in_proc = io.open '/proc/self/stat'
if not in_proc then return end    -- scripts read their process ID there
in_proc:close()

-- Runs a script that prints its process ID when it can be interrupted, and
-- interrupts it after so many seconds. Returns its status and the output after
-- that.
local function interrupt(code, delay)
    local program = process.start(process.script(prelude .. code))
    local pid = program:expect(function(output)
        return output:match '^pid (%d+)\n'
    end)
    socket.sleep(delay or 0)
    os.execute('kill -INT ' .. pid)
    local status, output = program:wait()
    return status, output:gsub('^pid %d+\n', '')
end

-- Asserts that the script ends with the interpreter's error.
local function is_interrupted(code, delay)
    local status, output = interrupt(code, delay)
    assert.equal(1, status, output)
    assert.matches('interrupted!', output)
    assert.is_nil(output:find('onerror', 1, true), output)
end

describe('Ctrl-C', function()
    after_each(process.cleanup)

    it('ends a loop in which nothing happens', function()
        is_interrupted [[
            loop.newthread(function()
                print('pid ' .. pid())
                loop.sleep(1e6)
            end)
            loop.start()
        ]]
    end)

    it('ends a loop that waits after a thread has computed', function()
        is_interrupted [[
            loop.newthread(function()
                loop.sleep(0)
                print('pid ' .. pid())
                busy(0.3)
                loop.sleep(1e6)
            end)
            loop.start()
        ]]
    end)

    it('ends a loop that never waits', function()
        is_interrupted [[
            loop.newthread(function()
                loop.sleep(0)
                print('pid ' .. pid())
                while true do loop.sleep(0) end
            end)
            loop.start()
        ]]
    end)

    it('ends a loop of steps that only poll', function()
        is_interrupted [[
            loop.newthread(function()
                loop.sleep(0)
                print('pid ' .. pid())
                loop.sleep(1e6)
            end)
            while loop.step(0) do end
        ]]
    end)

    it('ends the loop that has onerror', function()
        for delay = 0, 0.04, 0.01 do
            is_interrupted([[
                loop.onerror = function(_, err) print('onerror', err) end
                loop.newthread(function()
                    loop.sleep(0)
                    print('pid ' .. pid())
                    while true do busy(0.01) loop.sleep(0.001) end
                end)
                loop.newthread(function() while true do loop.sleep(0) end end)
                loop.start()
            ]], delay)
        end
    end)

    it('ends the loop when it comes in a server\'s handler', function()
        is_interrupted [[
            loop.onerror = function(_, err) print('onerror', err) end
            local server = loop.newserver('127.0.0.1', 0, function()
                print('pid ' .. pid())
                busy(0.3)
                loop.sleep(1e6)
            end)
            loop.newthread(function()
                local _, port = server:getsockname()
                assert(loop.connect('127.0.0.1', port))
                loop.sleep(1e6)
            end)
            loop.start()
        ]]
    end)

    it('leaves a loop that can be run again', function()
        local status, output = interrupt [[
            loop.onerror = function(_, err) print('onerror', err) end
            local ended = 0
            for _ = 1, 3 do
                loop.newthread(function()
                    loop.sleep(1)
                    ended = ended + 1
                end)
            end
            loop.newthread(function()
                loop.sleep(0)
                print('pid ' .. pid())
                busy(0.3)
            end)
            local ok, err = pcall(loop.start)
            print(ok, (err:match 'interrupted!'))
            loop.start()
            print(ended)
        ]]
        assert.equal(0, status)
        assert.equal('false\tinterrupted!\n3\n', output)
    end)
end)

-- The hook is set by a thread, not by a signal, so that it comes at a known
-- place.
describe('A hook that is set while the loop runs', function()
    after_each(process.cleanup)

    local function script(code)
        local status, output = process.lua(prelude .. [[
            local main = require 'coro'.running()
            local function in_main()
                local thread, is_main = loop.current()
                return not thread or is_main
            end
        ]] .. code)
        assert.equal(0, status, output)
        return output
    end

    it('is called before the loop waits', function()
        assert.equal('false\tstop\n', script [[
            loop.newthread(function()
                loop.sleep(0)
                debug.sethook(main, function()
                    if not in_main() then return end
                    debug.sethook(main)
                    error('stop', 0)
                end, 'c')
                loop.sleep(1e6)
            end)
            print(pcall(loop.start))
        ]])
    end)

    it('is called in each step', function()
        assert.equal('true\n', script [[
            local calls, turns = 0, 0
            loop.newthread(function()
                loop.sleep(0)
                debug.sethook(main, function()
                    if in_main() then calls = calls + 1 end
                end, 'c')
                for _ = 1, 50 do
                    loop.sleep(0)
                    turns = turns + 1
                end
                debug.sethook(main)
            end)
            loop.start()
            print(calls >= turns and turns == 50)
        ]])
    end)

    it('can stop the loop', function()
        assert.equal('stopped\n', script [[
            loop.newthread(function()
                loop.sleep(0)
                debug.sethook(main, function()
                    if not in_main() then return end
                    debug.sethook(main)
                    loop.stop()
                end, 'c')
                loop.sleep(1e6)
            end)
            loop.start()
            print 'stopped'
        ]])
    end)

    it('can start threads', function()
        assert.equal('started\n', script [[
            loop.newthread(function()
                loop.sleep(0)
                debug.sethook(main, function()
                    if not in_main() then return end
                    debug.sethook(main)
                    loop.newthread(function()
                        loop.sleep(0.001)
                        loop.stop()
                    end)
                end, 'c')
                loop.sleep(1e6)
            end)
            loop.start()
            print 'started'
        ]])
    end)
end)

describe('Threads of the system that look names up', function()
    after_each(process.cleanup)

    it('handle no signals', function()
        local output = process.output(prelude .. [[
            loop.newthread(function()
                for _ = 1, 3 do
                    loop.newthread(function() loop.resolve 'localhost' end)
                end
                loop.resolve 'localhost'
                local tasks = io.popen('ls /proc/' .. pid() .. '/task')
                for task in tasks:lines() do
                    local status = io.open('/proc/' .. pid() .. '/task/' ..
                                           task .. '/status')
                    local blocked = status:read '*a':match 'SigBlk:%s*(%x+)'
                    status:close()
                    if task ~= pid() then io.write(blocked, ' ') end
                end
                tasks:close()
            end)
            loop.start()
        ]])
        assert.matches('%x', output)
        for mask in output:gmatch '%x+' do
            assert.equal('f', mask:sub(-1))         -- SIGHUP to SIGILL
            assert.equal('f', mask:sub(-4, -4))     -- SIGPIPE to SIGTERM
        end
    end)
end)
