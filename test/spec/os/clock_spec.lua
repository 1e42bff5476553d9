-- Time: a wall clock that is set while the loop waits (preload/clock.c), how
-- exactly deadlines are met, and the CPU time that waiting takes.

local loop = require 'socketloop'
local names = require 'name_service'
local process = require 'process'
local support = require 'support'

local library = process.helper 'clock.so'

-- Builds with a sanitizer or an emulator take more time.
local eased = os.getenv 'SOCKETLOOP_TEST_LIMIT' ~= nil

-- A test that runs a script with clock.c preloaded and the Lua modules that
-- scripts with a name service have.
local function script(name, code)
    if not (library and names.available) then return pending(name) end
    it(name, function()
        names.script(code, nil, function(command)
            return (command:gsub('exec ', ('LD_PRELOAD="$LD_PRELOAD %s"; ' ..
                'exec '):format(library), 1))
        end)
    end)
end

-- Asserts that f(...) takes at least so many seconds. There is no upper bound:
-- it would depend on the machine's load.
local prelude = [[
local function takes(least, f, ...)
    local start = loop.now()
    local a, b = f(...)
    local took = loop.now() - start
    -- Sums of times are not exact in floating point.
    assert(took >= least - 1e-9, ('%.9f of %.9f s'):format(took, least))
    return a, b
end

local function waits() return tonumber(os.getenv 'WAITS') or 0 end
]]

describe('When the clock is set', function()
    after_each(process.cleanup)

    script('no thread is woken early', prelude .. [[
        local first, second = socket.gettime(), socket.gettime()
        assert(math.abs(first - second) > 100000)
        run(function()
            for _, time in ipairs {0.0001, 0.001, 0.0103, 0.05} do
                takes(time, loop.sleep, time)
                takes(time, pcall, loop.sleep, time)
                table.sort({2, 1}, function(a, b)
                    takes(time, loop.sleep, time)
                    return a < b
                end)
            end
        end)
    ]])

    script('timeouts are not early and come', prelude .. [[
        local listener = loop.tcp('127.0.0.1', 0)
        listener:listen(8)
        local _, port = listener:getsockname()
        run(function()
            local s = assert(loop.connect('127.0.0.1', port))
            local a = loop.udp('127.0.0.1', 0)
            local client = listener:accept()
            for _, mode in ipairs {'b', 't'} do
                for _, x in ipairs {s, a, listener} do
                    x:settimeout(-1, 'b')
                    x:settimeout(-1, 't')
                    x:settimeout(0.0205, mode)
                end
                expect_error('timeout', takes(0.0205, s.receive, s))
                expect_error('timeout', takes(0.0205, a.receive, a))
                expect_error('timeout', takes(0.0205, listener.accept,
                                              listener))
            end
            expect_error('timeout', takes(0.0205, loop.resolve,
                                          'wait5000+127.0.0.1', 80, 0.0205))
            s:close()
            client:close()
        end)
    ]])

    script('names are looked up, and workers end', [[
        run(function()
            for _ = 1, 5 do
                local waits = {}
                for i = 1, 10 do
                    waits[i] = async(loop.resolve, 'wait1+127.0.0.1')
                end
                for i = 1, 10 do expect('127.0.0.1', waits[i]()[1].addr) end
            end
        end)
    ]])
end)

describe('A deadline', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    script('takes one wait and no spinning', prelude .. [[
        run(function()
            loop.sleep(0)
            for _, time in ipairs {0.05, 0.0503, 0.0107, 0.0012, 0.0003} do
                local before = waits()
                loop.sleep(time)
                local count = waits() - before
                assert(count >= 1 and count <= 2, count .. ' waits')
            end
            local listener = loop.tcp('127.0.0.1', 0)
            listener:listen(8)
            for _, time in ipairs {0.0503, 0.0107, 0.0003} do
                listener:settimeout(time)
                local before = waits()
                expect_error('timeout', listener:accept())
                local count = waits() - before
                assert(count >= 1 and count <= 2, count .. ' waits')
            end
        end)
    ]])

    script('of a step takes one wait, too', prelude .. [[
        loop.newthread(loop.sleep, 100)
        for _, time in ipairs {0.05, 0.0503, 0.0107, 0.0003} do
            local before = waits()
            takes(time, loop.step, time)
            expect(1, waits() - before)
        end
    ]])

    it('that has passed takes one step more', function()
        local due, woken = loop.now() + 0.01, false
        loop.newthread(function()
            loop.sleep(0.01)
            woken = true
        end)
        local later = loop.now() + 0.01
        repeat until loop.now() >= later
        assert.is_true(loop.now() >= due)
        loop.step(0)
        assert.is_true(woken)
    end)

    it('may be one of a hundred thousand', function()
        -- On 5.1 and 5.2 each thread has a C stack of its own.
        local freezes = support.lua_version < 5.3 and not support.luajit
        local count = (eased or freezes) and 5000 or 100000
        local ended, early = 0, 0
        local function nap(time)
            local due = loop.now() + time
            loop.sleep(time)
            if loop.now() < due then early = early + 1 end
            ended = ended + 1
        end
        for i = 1, count do
            loop.newthread(nap, i * 7919 % count / count / 5)
        end
        local deadline = loop.now() + 60
        while ended < count and loop.now() < deadline do loop.step(1) end
        assert.equal(count, ended)
        assert.equal(0, early)
    end)
end)
