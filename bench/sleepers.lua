-- The cost of 100 000 threads that sleep at the same time, each once:
--
--     lua sleepers.lua socketloop|luv|cqueues|bare [threads]
--
-- Prints microseconds of CPU time for each, from start to end.

local library = arg[1]
local threads = tonumber(arg[2]) or 100000

local woken = 0

-- The threads wake up within a tenth of a second, in random order, after the
-- last one has started to sleep.
local function seconds(i)
    return 1 + i * 7919 % threads / threads / 10
end

local run = {}

function run.socketloop()
    local loop = require 'socketloop'
    local newthread, sleep = loop.newthread, loop.sleep
    local function thread(i)
        sleep(seconds(i))
        woken = woken + 1
    end
    for i = 1, threads do newthread(thread, i) end
    loop.start()
end

function run.luv()
    local uv = require 'luv'
    local function thread(i)
        local co = coroutine.running()
        local timer = uv.new_timer()
        timer:start(math.floor(seconds(i) * 1000), 0, function()
            timer:close()
            coroutine.resume(co)
        end)
        coroutine.yield()
        woken = woken + 1
    end
    for i = 1, threads do coroutine.wrap(thread)(i) end
    uv.run()
end

function run.cqueues()
    local cqueues = require 'cqueues'
    local queue = cqueues.new()
    local function thread(i)
        cqueues.sleep(seconds(i))
        woken = woken + 1
    end
    for i = 1, threads do queue:wrap(thread, i) end
    assert(queue:loop())
end

-- Without a library: coroutines that yield and are resumed in order.
function run.bare()
    local resume, yield = coroutine.resume, coroutine.yield
    local function thread(i)
        yield(i)
        woken = woken + 1
    end
    local order = {}
    for i = 1, threads do
        local co = coroutine.create(thread)
        resume(co, i)
        order[i * 7919 % threads + 1] = co
    end
    for i = 1, threads do resume(order[i]) end
end

local start = os.clock()
run[library]()
local cost = os.clock() - start
assert(woken == threads, 'not all have woken up')
print(('%.3f'):format(cost / threads * 1e6))
