-- The cost of switches, each compared with an equivalent of the plain Lua:
--
--     lua5.4 bench/switch.lua [rounds [plain]]    default 21 rounds
--
--     a transfer, or suspend and resume       one coroutine.resume and yield
--     a value from a coro.wrap generator      one from a coroutine.wrap
--     a thread that starts and ends           coroutine.create and resume
--
-- Every round measures the equivalent and all the others, one after another, in
-- an order that rotates from round to round. Ratios are taken within a round;
-- the result is their median over the rounds, with the quartiles. So other load
-- of the machine hardly matters. Needs no LuaSocket. plain is for
-- bench/run.lua: title, nanoseconds, ratio and limit, separated by tabs.

local coro = require 'coro'
local loop = require 'socketloop'

local rounds = tonumber(arg and arg[1]) or 21
local slice = 0.02      -- approximate seconds of a measurement

local clock = os.clock

-------------------------------------------------------------------------------
-- Measured operations: functions that run one n times

-- library: coroutine or coro
local function resume_and_yield(library)
    return function()
        local resume, yield = library.resume, library.yield
        local thread = library.create(function()
            while true do yield() end
        end)
        return function(n)
            for _ = 1, n do resume(thread) end
        end
    end
end

-- The minimum for two calls of C functions.
local function two_calls()
    local call = coro.isyieldable
    return function(n)
        for _ = 1, n do
            call()
            call()
        end
    end
end

-- One transfer leads to the thread, the other one back.
local function transfer_from_main()
    local transfer = coro.transfer
    local main = coro.running()
    local thread = coro.create(function()
        while true do transfer(main) end
    end)
    return function(n)
        for _ = 1, n / 2 do transfer(thread) end
    end
end

local function transfer_beside_frozen()
    local main = coro.running()
    local frozen = {}
    for i = 1, 5000 do
        frozen[i] = coro.create(function() coro.transfer(main) end)
        coro.transfer(frozen[i])
    end
    local measured = transfer_from_main()
    return function(n)
        assert(#frozen == 5000)
        measured(n)
    end
end

local function transfer_among_threads()
    local transfer = coro.transfer
    local main = coro.running()
    local left = 0
    local a, b
    a = coro.create(function()
        while true do
            for _ = 1, left / 2 do transfer(b) end
            transfer(main)
        end
    end)
    b = coro.create(function()
        while true do transfer(a) end
    end)
    return function(n)
        left = n
        transfer(a)
    end
end

local function suspend_and_resume(which)
    return function()
        local suspend, resume = which.suspend, which.resume
        local thread = which.newthread(function()
            while true do suspend() end
        end)
        return function(n)
            for _ = 1, n do resume(thread) end
        end
    end
end

-- yield: nil for the function that wrap passes
local function generator(wrap, yield)
    return function()
        local iterator = wrap(function(own)
            local give, i = yield or own, 0
            while true do
                i = i + 1
                give(i)
            end
        end)
        return function(n)
            for i in iterator do
                n = n - 1
                if n <= 0 then return i end
            end
        end
    end
end

local function nothing() end

local function create_and_resume(library)
    return function()
        local create, resume = library.create, library.resume
        return function(n)
            for _ = 1, n do resume(create(nothing)) end
        end
    end
end

local function spawn(which)
    return function()
        local newthread = which.newthread
        return function(n)
            for _ = 1, n do newthread(nothing) end
        end
    end
end

-- Groups: the first entry of a group is the one to which the others are
-- compared. A limit is an upper bound of the ratio.
local groups = {
    {
        {'coroutine.resume + yield', resume_and_yield(coroutine)},
        {'coro.transfer main <-> thread', transfer_from_main, 2},
        {'the same beside 5000 threads', transfer_beside_frozen},
        {'coro.transfer thread <-> thread', transfer_among_threads, 2},
        {'coro.resume + yield', resume_and_yield(coro)},
        {'loop.suspend + resume', suspend_and_resume(loop), 1.5},
        {'loop.coro.suspend + resume', suspend_and_resume(loop.coro), 1.5},
        {'two calls of coro.isyieldable', two_calls},
    }, {
        {'coroutine.wrap generator',
            generator(coroutine.wrap, coroutine.yield)},
        {'coro.wrap generator', generator(coro.wrap, coro.yield)},
        {'coro.safewrap generator', generator(coro.safewrap)},
    }, {
        {'coroutine.create + resume', create_and_resume(coroutine)},
        {'coro.create + resume', create_and_resume(coro)},
        {'loop.newthread, ending', spawn(loop), 1.5},
        {'loop.coro.newthread, ending', spawn(loop.coro), 1.5},
    },
}

-------------------------------------------------------------------------------
-- Measuring

local function measure(f, n)
    collectgarbage()
    local start = clock()
    f(n)
    return clock() - start
end

-- Returns how many times f can be run in about a slice.
local function calibrate(f)
    local n = 100
    while true do
        local seconds = measure(f, n)
        if seconds > slice / 4 then
            return math.max(2, math.floor(n * slice / seconds / 2) * 2)
        end
        n = n * 2
    end
end

-- Returns the seconds that each entry of a group takes once, round by round.
local function measure_group(group)
    local run, times, costs = {}, {}, {}
    for i, each in ipairs(group) do
        run[i] = each[2]()
        times[i] = calibrate(run[i])
        costs[i] = {}
    end
    for round = 1, rounds do
        for k = 1, #group do
            local i = (k + round) % #group + 1
            costs[i][round] = measure(run[i], times[i]) / times[i]
        end
    end
    return costs
end

local function quantile(list, fraction)
    local sorted = {}
    for i, value in ipairs(list) do sorted[i] = value end
    table.sort(sorted)
    local place = 1 + (#sorted - 1) * fraction
    local low = math.floor(place)
    local high = math.min(low + 1, #sorted)
    return sorted[low] + (sorted[high] - sorted[low]) * (place - low)
end

local function ratios_of(costs, base)
    local ratios = {}
    for round, cost in ipairs(costs) do
        ratios[round] = cost / base[round]
    end
    return ratios
end

local function report_plainly(group, costs)
    for i, each in ipairs(group) do
        local ratio = i > 1 and ('%.3f'):format(
            quantile(ratios_of(costs[i], costs[1]), 0.5)) or ''
        print(('%s\t%.1f\t%s\t%s'):format(
            each[1], quantile(costs[i], 0.5) * 1e9, ratio, each[3] or ''))
    end
end

local function report(group, costs)
    print(('%-34s %8.1f ns'):format(group[1][1],
                                    quantile(costs[1], 0.5) * 1e9))
    for i = 2, #group do
        local ratios = ratios_of(costs[i], costs[1])
        local limit = group[i][3]
        print(('%-34s %8.1f ns  %5.2f x  (%.2f - %.2f)%s'):format(
            group[i][1], quantile(costs[i], 0.5) * 1e9,
            quantile(ratios, 0.5), quantile(ratios, 0.25),
            quantile(ratios, 0.75),
            limit and ('  at most %g x'):format(limit) or ''))
    end
end

-------------------------------------------------------------------------------

if arg and arg[2] == 'plain' then
    for _, group in ipairs(groups) do
        report_plainly(group, measure_group(group))
    end
    return
end

local version = rawget(_G, 'jit') and rawget(_G, 'jit').version or _VERSION
print(('%s, %d rounds: median cost, median of the ratios (quartiles)')
    :format(version, rounds))
for _, group in ipairs(groups) do
    print()
    report(group, measure_group(group))
end
