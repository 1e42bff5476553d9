-- Runs the benchmarks and writes their results: `make bench`.
--
--     lua5.4 bench/run.lua
--
-- The environment may contain
--
--     ROUNDS       number of measurements, default 7
--     SCENARIOS    names, separated by spaces: only these (scenarios.lua)
--
-- In each round every scenario is measured with all contestants, one after
-- another, in an order that rotates from round to round. The result is the
-- median over the rounds of the ratios within a round, so that other load of
-- the machine hardly matters.
--
-- Counts of instructions and system calls are differences between a longer and
-- a shorter run, so that start-up and end cancel out.

package.path = 'bench/?.lua;' .. package.path

local report = require 'report'
local scenarios = require 'scenarios'

local rounds = tonumber(os.getenv 'ROUNDS' or '') or 7
local only = {}
for name in (os.getenv 'SCENARIOS' or ''):gmatch '%S+' do
    only[name] = true
end

local folder = 'build/bench/'

-- results[kind][scenario][contestant]: list of figures, round by round.
-- failures: measurements that failed; they are not repeated.
local results = {rounds = rounds, partial = next(only) ~= nil}
local failures = {}

-------------------------------------------------------------------------------
-- Progress, on one line that is overwritten

local progress = {done = 0, all = 0, start = os.time()}
local on_terminal = os.execute 'test -t 2'

local function show(what)
    local text = ('%3d %%  %s'):format(
        100 * progress.done // math.max(progress.all, 1), what)
    if on_terminal then
        io.stderr:write('\r\27[K', text)
    elseif text ~= progress.text and (progress.shown or 0) < os.time() - 9 then
        progress.shown = os.time()
        io.stderr:write(text, '\n')
    end
    progress.text = text
end

local function say(text)
    io.stderr:write(on_terminal and '\r\27[K' or '', text, '\n')
end

-------------------------------------------------------------------------------
-- Running programs

-- Returns a command's output, or nil and its last line. Includes standard
-- error.
local function output_of(command)
    local pipe = assert(io.popen(command .. ' 2>&1'))
    local text = pipe:read 'a'
    if pipe:close() then return text end
    return nil, text:match '([^\n]*)\n?$'
end

local function read_file(name)
    local file = assert(io.open(name))
    local text = file:read 'a'
    file:close()
    return text
end

-- Puts the server of a contestant under load. Returns load's results.
local function load_server(contestant, scenario, options, wrapper)
    local text, why = output_of(
        (contestant.environment or '') .. folder .. 'load ' .. scenario.load ..
        ' ' .. (options or '') .. ' -- ' .. (wrapper or '') .. ' ' ..
        contestant.server .. ' ' .. scenario.server)
    if not text then return nil, why end
    local figures = {}
    for name, value in text:gmatch '(%a+) ([%d.]+)' do
        figures[name] = tonumber(value)
    end
    return figures
end

-------------------------------------------------------------------------------
-- Measurements: each returns a figure, or nil and the reason

local measure = {}

function measure.cpu(contestant, scenario)
    local figures, why = load_server(contestant, scenario)
    if not figures then return nil, why end
    return figures.cpu / figures.operations
end

function measure.memory(contestant, scenario)
    local figures, why = load_server(contestant, scenario)
    if not figures then return nil, why end
    return figures.memory / figures.operations
end

-- Returns the difference of a count between two runs of a program.
local function count(contestant, scenario, wrapper, read)
    local counts = {}
    for i, operations in ipairs(scenario.counts) do
        local figures, why = load_server(contestant, scenario,
                                         '-g -n ' .. operations, wrapper)
        if not figures then return nil, why end
        counts[i] = read()
    end
    return (counts[2] - counts[1]) /
        (scenario.counts[2] - scenario.counts[1])
end

function measure.instructions(contestant, scenario)
    local name = folder .. 'callgrind.out'
    return count(contestant, scenario, 'valgrind -q --tool=callgrind ' ..
                 '--callgrind-out-file=' .. name, function()
        return tonumber(read_file(name):match '\ntotals: (%d+)')
    end)
end

function measure.calls(contestant, scenario)
    local name = folder .. 'strace.out'
    return count(contestant, scenario, 'strace -f -c -o ' .. name, function()
        local line = read_file(name):match '[^\n]*total%s*$'
        return tonumber(line:match '^%s*%S+%s+%S+%s+%S*%s+(%d+)')
    end)
end

function measure.sleepers(contestant, scenario)
    local text, why = output_of((contestant.environment or '') ..
        'timeout 60 ' .. contestant.lua .. ' bench/sleepers.lua ' ..
        scenario.libraries[contestant.name])
    if not text then return nil, why end
    return tonumber(text) * 1e-6
end

-- Returns a list of lines {title, nanoseconds, ratio or nil, limit or nil}.
function measure.switches(contestant)
    local text, why = output_of(contestant.environment .. 'timeout 120 ' ..
        contestant.lua .. ' bench/switch.lua ' .. rounds .. ' plain')
    if not text then return nil, why end
    local lines = {}
    for title, ns, ratio, limit in
        text:gmatch '([^\t\n]+)\t([^\t]*)\t([^\t]*)\t([^\t\n]*)\n' do
        lines[#lines + 1] = {title = title, ns = tonumber(ns),
                             ratio = tonumber(ratio), limit = tonumber(limit)}
    end
    return lines
end

-------------------------------------------------------------------------------
-- The plan

-- Whether a contestant supports a measurement.
local function takes_part(contestant, kind, scenario)
    if kind == 'sleepers' then
        return scenario.libraries[contestant.name]
    elseif kind == 'switches' then
        return contestant.environment and not contestant.bare
    elseif contestant.bare and scenario.server ~= 'line' then
        return false
    end
    return not (scenario.many and contestant.name == 'copas')
end

-- Jobs of one round, in order.
local function plan(round)
    local jobs = {}
    local function add(kind, scenario)
        if next(only) and not only[scenario.name] then return end
        local n = #scenarios.contestants
        for i = 1, n do
            local contestant = scenarios.contestants[(i + round) % n + 1]
            if takes_part(contestant, kind, scenario) then
                jobs[#jobs + 1] = {kind = kind, scenario = scenario,
                                   contestant = contestant}
            end
        end
    end
    for _, scenario in ipairs(scenarios.loads) do add('cpu', scenario) end
    if round <= 5 then add('sleepers', scenarios.sleepers) end
    if round <= 3 then
        for _, each in ipairs(scenarios.memory) do add('memory', each) end
    end
    if round == 1 then
        for _, each in ipairs(scenarios.loads) do
            if each.counts then
                add('instructions', each)
                add('calls', each)
            end
        end
        add('switches', scenarios.switches)
    end
    return jobs
end

local function run_job(job, round)
    local kind, scenario, contestant = job.kind, job.scenario, job.contestant
    local key = kind .. ' ' .. scenario.name .. ' ' .. contestant.name
    if failures[key] then return end
    show(('round %d of %d: %s, %s, %s'):format(
        round, rounds, kind, scenario.name, contestant.name))
    local figure, why = measure[kind](contestant, scenario)
    if not figure then
        failures[key] = why
        say('failed: ' .. key .. ': ' .. why)
        return
    end
    local of_kind = results[kind] or {}
    results[kind] = of_kind
    local of_scenario = of_kind[scenario.name] or {}
    of_kind[scenario.name] = of_scenario
    local list = of_scenario[contestant.name] or {}
    of_scenario[contestant.name] = list
    list[round] = figure
end

-------------------------------------------------------------------------------

for round = 1, rounds do
    progress.all = progress.all + #plan(round)
end
if progress.all == 0 then
    say('no such scenario; see bench/scenarios.lua')
    os.exit(1)
end
for round = 1, rounds do
    for _, job in ipairs(plan(round)) do
        run_job(job, round)
        progress.done = progress.done + 1
    end
end
say(('%d rounds in %d s'):format(rounds, os.time() - progress.start))
report.write(scenarios, results)
os.exit(next(failures) == nil)
