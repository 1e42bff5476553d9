-- Deep recursion through C in loop threads, and endless recursion.

local loop = require 'socketloop'
local process = require 'process'
local support = require 'support'

local drain, luajit = support.drain, support.luajit

describe('deep recursion', function()
    support.hooks(before_each, after_each)

    it('waits a hundred C calls deep', function()
        -- Lua's limit is 200 C calls; busted has used some of them.
        local function deep(n)
            if n == 0 then loop.sleep(0) return 'x' end
            return (string.gsub('x', 'x', function() return deep(n - 1) end))
        end
        local done = 0
        for _ = 1, 10 do
            loop.newthread(function()
                assert.equal('x', deep(100))
                done = done + 1
            end)
        end
        support.collect()
        drain()
        assert.equal(10, done)
    end)
end)

-- Each test runs in an interpreter of its own, which it could crash.
describe('recursion without end', function()
    after_each(process.cleanup)

    local prelude = [[
        local loop = require 'socketloop'
        local function report(ok, err)
            assert(not ok, 'no error')
            err = tostring(err):sub(-2000)
            print(err:match 'C stack overflow' or err:match 'stack overflow'
                  or err:match 'too many' or err:match 'error in error'
                  or 'another error: ' .. err)
        end
        local function run(f)
            local ended
            loop.newthread(function()
                loop.sleep(0)
                report(pcall(f))
                -- The thread and its C stack are still usable.
                table.sort({1, 2}, function() loop.sleep(0) end)
                -- LuaJIT is slow to unwind thousands of C functions.
                if not jit then report(pcall(f)) end
                ended = true
            end)
            loop.start()
            assert(ended)
            print 'alive'
        end
    ]]

    local function survives(body)
        local status, output = process.lua(prelude .. body)
        assert.equal(0, status, output)
        assert.matches('alive', output)
        assert.not_matches('another error', output)
    end

    it('in pcall is an error', function()
        survives [[
            local function f()
                local ok, err = pcall(f)
                if not ok then error(err, 0) end
            end
            run(f)
        ]]
    end)

    it('in a sort comparator is an error', function()
        survives [[
            local function f() table.sort({1, 2}, f) end
            run(f)
        ]]
    end)

    it('in a metamethod is an error', function()
        survives [[
            local mt = {}
            function mt.__index(t, k) return t[k + 1] end
            run(function() return setmetatable({}, mt)[1] end)
        ]]
    end)

    it('in Lua itself is an error', function()
        survives [[
            local function f() return 1 + f() end
            run(f)
        ]]
    end)

    it('in coroutine.resume inside Lua functions is an error', function()
        survives [[
            local function f() table.sort({1, 2}, function() f() end) end
            run(function() assert(coroutine.resume(coroutine.create(f))) end)
        ]]
    end)

    it('in require is an error', function()
        survives [[
            local n = 0
            local function f()
                n = n + 1
                local name = 'deeper' .. n
                package.preload[name] = f
                require(name)
            end
            run(f)
        ]]
    end)

    it('in dofile is an error', function()
        local name = process.tempdir() .. '/deeper.lua'
        process.write_file(name, 'deeper()')
        survives(([[
            function deeper() dofile 'NAME' end
            run(deeper)
        ]]):gsub('NAME', name))
    end)

    it('in a reader of load is an error', function()
        survives [[
            local function f() assert(load(function() f() end)) end
            run(f)
        ]]
    end)

    it('in __tostring is an error', function()
        survives [[
            local mt = {}
            function mt.__tostring()
                local object = setmetatable({}, mt)
                return _VERSION == 'Lua 5.1' and not jit and
                       tostring(object) or string.format('%s', object)
            end
            run(function() return tostring(setmetatable({}, mt)) end)
        ]]
    end)

    it('in socket.protect is an error', function()
        survives [[
            local socket = require 'socket'
            local function f()
                local _, err = socket.protect(function() f() end)()
                if err then error(err, 0) end
            end
            run(f)
        ]]
    end)

    it('in a handler of xpcall is an error', function()
        survives [[
            run(function()
                local depth = 0
                local function f()
                    depth = depth + 1
                    if depth < 1e5 then return (xpcall(error, f)) end
                end
                xpcall(error, f)
                error 'stack overflow'      -- where the recursion ends
            end)
        ]]
    end)

    it('in a chunk\'s syntax is an error', function()
        survives [[
            run(function()
                assert((loadstring or load)('return ' .. ('('):rep(5000) ..
                                            '1' .. (')'):rep(5000)))
            end)
        ]]
    end)

    it('in loops of newthread is an error', function()
        survives [[
            local function f() loop.newthread(f) end
            run(f)
        ]]
    end)

    -- Only LuaJIT overruns the C stack of the main program in gsub, too.
    if not luajit then
        it('in a gsub callback is an error', function()
            survives [[
                local function f() string.gsub('x', 'x', f) end
                run(f)
            ]]
        end)

        it('in coroutine.wrap is an error', function()
            survives [[
                local function f() coroutine.wrap(f)() end
                run(f)
            ]]
        end)
    end

    it('in several threads at once is an error', function()
        survives [[
            local count, all = 0, jit and 3 or 100
            local function f() table.sort({1, 2}, f) end
            for i = 1, all do
                loop.newthread(function()
                    table.sort({1, 2}, function() loop.sleep(0) end)
                    assert(not pcall(f))
                    count = count + 1
                end)
            end
            loop.start()
            assert(count == all)
            print 'alive'
        ]]
    end)

    it('in gsub callbacks two hundred deep still works', function()
        survives [[
            local function deep(n)
                if n == 0 then loop.sleep(0) return 'x' end
                return (string.gsub('x', 'x', function()
                    return deep(n - 1)
                end))
            end
            local count = 0
            for i = 1, 20 do
                loop.newthread(function()
                    assert(deep(180) == 'x')
                    count = count + 1
                end)
            end
            collectgarbage()
            loop.start()
            assert(count == 20)
            print 'alive'
        ]]
    end)
end)
