-- The C stacks of threads: the guard page below them, and out of memory for
-- another stack. Depths are in recursion_spec.

local process = require 'process'

-- Runs a script in which frozen(n) makes n threads that keep a C stack each.
-- Returns the script's output.
local function script(code, before)
    local status, output = process.lua([[
        local loop = require 'socketloop'
        local threads = {}
        local function frozen(n)
            for _ = 1, n do
                threads[#threads + 1] = loop.newthread(loop.suspend)
            end
        end
    ]] .. code, before)
    assert.equal(0, status, output)
    return output
end

local has_maps = process.read_file '/proc/self/maps'

describe('a C stack', function()
    after_each(process.cleanup)

    if has_maps then
        it('has a guard of 64 KiB below it', function()
            assert.equal('5\n', script [[
                local function guards()
                    local count = 0
                    for line in io.lines '/proc/self/maps' do
                        local first, last = line:match '^(%x+)-(%x+) %-%-%-p'
                        if first and tonumber(last, 16) -
                                     tonumber(first, 16) == 65536 then
                            count = count + 1
                        end
                    end
                    return count
                end
                local before = guards()
                frozen(5)
                print(guards() - before)
            ]])
        end)
    end
end)

-- Under the memory limit an interpreter with a sanitizer or an emulator does
-- not start.
local is_plain = has_maps and not os.getenv 'SOCKETLOOP_TEST_LIMIT'

describe('without memory for another C stack', function()
    after_each(process.cleanup)

    if not is_plain then return end

    local limit = 'ulimit -v 400000'

    it('a thread fails with advice in its error', function()
        local output = script([[
            local ok, err = pcall(frozen, 10000)
            print(ok, err)
        ]], limit)
        assert.matches('^false\t.*not enough memory for another C stack of ' ..
                       "%d+ KiB: raise the limits %('ulimit %-v'", output)
    end)

    it('there were as many as have room', function()
        local output = script([[
            local _, err = pcall(frozen, 10000)
            print(#threads * err:match '(%d+) KiB')
        ]], limit)
        assert.is_true(tonumber(output) > 250000, output)
    end)

    it('the stacks of collected threads are reused', function()
        assert.equal('1000\n', script([[
            local count = 0
            for _ = 1, 1000 do
                loop.newthread(loop.suspend)
                count = count + 1
            end
            print(count)
        ]], limit))
    end)

    it('the threads that have one go on', function()
        assert.equal('all of them, and others\n', script([[
            local woken = 0
            pcall(function()
                while true do
                    threads[#threads + 1] = loop.newthread(function()
                        loop.suspend()
                        woken = woken + 1
                    end)
                end
            end)
            for _, thread in ipairs(threads) do loop.resume(thread) end
            print(woken == #threads and 'all of them, and others')
            frozen(10)
        ]], limit))
    end)
end)
