-- Programs that use coro: the places where they load it, and their ends.

local process = require 'process'

local output = process.output

describe('A script', function()
    teardown(process.cleanup)

    -- Uses coro, wherever it was loaded, and prints ok.
    local use = [[
        local function use(coro)
            local sum = 0
            for value in coro.wrap(function()
                table.sort({1, 2}, function() coro.yield(1) return false end)
                pcall(coro.yield, 10)
                for k in coro.wrap(function() coro.yield(100) end) do
                    coro.yield(k)
                end
            end) do
                sum = sum + value
            end
            assert(sum == 111)
            local here = coro.running()
            assert(type(here) == 'thread')
            local thread = coro.create(function(...)
                coro.transfer(here, coro.transfer(here, ...))
            end)
            assert(coro.transfer(thread, 1) == 1)
            assert(coro.transfer(thread, 2) == 2)
            io.write 'ok '
        end
    ]]

    it('needs no LuaSocket', function()
        assert.equal('ok ', output(use .. [[
            for _, name in ipairs {'socket', 'socket.core'} do
                package.preload[name] = function() error 'not here' end
            end
            use(require 'coro')
        ]]))
    end)

    it('may load coro in a coroutine', function()
        assert.equal('ok ', output(use .. [[
            local coro = coroutine.wrap(function() return require 'coro' end)()
            local thread, ismain = coro.running()
            assert(type(thread) == 'thread' and ismain == true)
            use(coro)
        ]]))
    end)

    it('may load coro in a coroutine and use it there', function()
        assert.equal('ok ok ', output(use .. [[
            coroutine.wrap(function() use(require 'coro') end)()
            use(require 'coro')
        ]]))
    end)

    it('may load coro in a coroutine that is then garbage', function()
        assert.equal('ok ok ', output(use .. [[
            coroutine.wrap(function() require 'coro' end)()
            collectgarbage()
            collectgarbage()
            use(require 'coro')
            coroutine.wrap(function() use(require 'coro') end)()
        ]]))
    end)

    it('may load coro in a coroutine and use it in another', function()
        assert.equal('ok ok ok ', output(use .. [[
            local co = coroutine.create(function()
                require 'coro'
                coroutine.yield()
                use(require 'coro')
            end)
            coroutine.resume(co)
            coroutine.wrap(function() use(require 'coro') end)()
            assert(coroutine.resume(co))
            use(require 'coro')
        ]]))
    end)

    it('may load coro before socketloop', function()
        assert.equal('ok ', output(use .. [[
            local coro = require 'coro'
            local loop = require 'socketloop'
            use(coro)
            local running
            local thread = loop.coro.newthread(function()
                running = coro.running()
            end)
            assert(thread == running)
        ]]))
    end)

    it('may load coro after socketloop', function()
        assert.equal('ok ', output(use .. [[
            local loop = require 'socketloop'
            local thread = loop.coro.newthread(function(...)
                loop.coro.suspend(...)
            end)
            local coro = require 'coro'
            assert(coro.status(thread) == 'suspended')
            use(coro)
        ]]))
    end)

    it('may load coro in a loop thread', function()
        for _, name in ipairs {'socketloop', 'socketloop.coro'} do
            assert.equal('ok ok ok ', output(use .. [[
                local loop = require ']] .. name .. [['
                loop.newthread(function()
                    use(require 'coro')
                    loop.sleep(0)
                    use(require 'coro')
                end)
                loop.start()
                use(require 'coro')
            ]]))
        end
    end)

    it('may load coro alone, then socketloop in one of its threads',
    function()
        assert.equal('ok slept ', output(use .. [[
            local coro = require 'coro'
            coro.wrap(function()
                local loop = require 'socketloop'
                loop.newthread(function()
                    loop.sleep(0)
                    io.write 'slept '
                end)
                use(coro)
            end)()
            require 'socketloop'.start()
        ]]))
    end)

    it('may load it twice, as two names do', function()
        assert.equal('ok ok ', output(use .. [[
            local coro = require 'coro'
            package.loaded.coro = nil
            local again = require 'coro'
            local main = coro.running()
            assert(main == again.running())
            coro.transfer(coro.create(function()
                local value
                for v in again.wrap(function() coro.yield(7) end) do
                    value = v
                end
                assert(value == 7)
                assert(coro.running() == again.running())
                again.transfer(main)
            end))
            use(coro)
            use(again)
        ]]))
    end)

    -- Leaves threads of all kinds behind at the end of the script.
    local leave = [[
        local coro = require 'coro'
        local main = coro.running()
        kept = {}
        for i = 1, 40 do
            local function handler()
                if i % 4 == 0 then coro.transfer(main)
                elseif i % 4 == 1 then
                    table.sort({1, 2}, function() coro.transfer(main) end)
                elseif i % 4 == 2 then
                    coro.wrap(function()
                        pcall(function() coro.transfer(main) end)
                    end)()
                else
                    coroutine.wrap(function() coro.transfer(main) end)()
                end
            end
            local thread = coro.create(handler)
            if i % 2 == 0 then kept[i] = thread end
            coro.transfer(thread)
        end
    ]]

    it('may end with threads suspended', function()
        assert.equal('end', output(leave .. "io.write 'end'"))
    end)

    it('may fail with threads suspended', function()
        local status, text = process.lua(leave .. "error 'on purpose'")
        assert.equal(1, status, text)
        assert.matches('on purpose', text)
    end)

    it('may exit from a thread', function()
        for _, exit in ipairs {'os.exit(7)', 'os.exit(7, true)'} do
            local status, text = process.lua(leave .. [[
                coro.transfer(coro.create(function()
                    table.sort({1, 2}, function() ]] .. exit .. [[ end)
                end))
            ]])
            assert.equal(7, status, text)
        end
    end)

    it('may be ended by an error in a thread', function()
        local status, text = process.lua(leave .. [[
            coro.transfer(coro.create(function() error 'on purpose' end))
        ]])
        assert.equal(1, status, text)
        assert.matches('on purpose', text)
    end)

    it('may have finalizers that transfer when it ends', function()
        local status, text = process.lua(leave .. [[
            local function finalizer()
                pcall(function()
                    for _ in coro.wrap(function() coro.yield(1) end) do end
                end)
                for _, thread in pairs(kept) do
                    pcall(coro.transfer, thread)
                end
            end
            if newproxy then
                kept.proxy = newproxy(true)
                getmetatable(kept.proxy).__gc = finalizer
            else
                setmetatable(kept, {__gc = finalizer})
            end
            io.write 'end'
        ]])
        assert.equal(0, status, text)
        assert.equal('end', text)
    end)
end)
