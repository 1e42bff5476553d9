-- Makes tables and plots of the benchmarks' results. All files go to
-- build/bench/. Results of all scenarios that were measured in at least 5
-- rounds also go to doc/.

local report = {}

local scenarios, results    -- the input

-------------------------------------------------------------------------------
-- Figures

local function median(list)
    local sorted = {}
    for _, value in pairs(list) do sorted[#sorted + 1] = value end
    if #sorted == 0 then return nil end
    table.sort(sorted)
    local middle = (#sorted + 1) // 2
    if #sorted % 2 == 1 then return sorted[middle] end
    return (sorted[middle] + sorted[middle + 1]) / 2
end

-- The figures of a contestant, by round.
local function figures(kind, scenario, contestant)
    local of_scenario = (results[kind] or {})[scenario] or {}
    return of_scenario[contestant] or {}
end

-- Median of the ratios within a round.
local function ratio(list, base)
    local ratios = {}
    for round, value in pairs(list) do
        if base[round] then ratios[#ratios + 1] = value / base[round] end
    end
    return median(ratios)
end

local function compared_with_raw(scenario, contestant)
    return ratio(figures('cpu', scenario.name, contestant.name),
                 figures('cpu', scenario.name, 'raw'))
end

local function limit_of(limits, contestant)
    if not limits or not contestant.limit then return nil end
    if limits[3] then    -- one for each Lua
        return limits[({luajit = 1, ['lua5.4'] = 2,
                        ['lua5.1'] = 3})[contestant.name]]
    end
    return limits[contestant.limit]
end

-------------------------------------------------------------------------------
-- Cells: text of a figure, in bold type where it is beyond the limit

local function cell(format, value, limit)
    if not value then return '' end
    local text = format:format(value)
    -- Compares the printed figure: 1.079 is 1.08
    if limit and tonumber(text:match '[%d.]+') > limit then
        text = '**' .. text .. '**'
    end
    return text
end

local function time(seconds)
    if not seconds then return '' end
    if seconds < 1e-3 then return ('%.2f µs'):format(seconds * 1e6) end
    return ('%.2f ms'):format(seconds * 1e3)
end

local function limits_text(limits, format)
    if not limits then return '' end
    local list = {}
    for i, limit in ipairs(limits) do list[i] = format:format(limit) end
    if #list == 2 and list[1] == list[2] then list[2] = nil end
    return table.concat(list, ' / ')
end

-- Returns the contestants with a column or bar of their own, and those that
-- share the column "bare Lua".
local function split_contestants()
    local own, bare = {}, {}
    for _, contestant in ipairs(scenarios.contestants) do
        local list = contestant.bare and bare or own
        list[#list + 1] = contestant
    end
    return own, bare
end

local function table_of(title, rows, add)
    local lines = {}
    local head, rule = {title}, {'---'}
    local own, bare = split_contestants()
    for _, contestant in ipairs(own) do
        head[#head + 1] = contestant.title or contestant.name
        rule[#rule + 1] = '---:'
    end
    for _, name in ipairs {'limit', 'bare Lua'} do
        head[#head + 1], rule[#rule + 1] = name, '---:'
    end
    local function line(cells)
        lines[#lines + 1] = '| ' .. table.concat(cells, ' | ') .. ' |'
    end
    line(head)
    line(rule)
    for _, row in ipairs(rows) do
        local cells, any = {row.title}, false
        for _, contestant in ipairs(own) do
            local text = add(row, contestant)
            any = any or text ~= ''
            cells[#cells + 1] = text
        end
        cells[#cells + 1] = row.limit_text or ''
        local floors = {}
        for _, contestant in ipairs(bare) do
            local text = add(row, contestant)
            if text ~= '' then floors[#floors + 1] = text end
        end
        cells[#cells + 1] = table.concat(floors, ' / ')
        if any then line(cells) end
    end
    if #lines == 2 then return {} end
    lines[#lines + 1] = ''
    return lines
end

-------------------------------------------------------------------------------
-- The tables

local tables = {}

function tables.cpu()
    for _, scenario in ipairs(scenarios.loads) do
        scenario.limit_text = limits_text(scenario.limits, '%.2f')
    end
    return table_of('CPU time of the server', scenarios.loads,
        function(scenario, contestant)
            if contestant.name == 'raw' then
                return time(median(figures('cpu', scenario.name, 'raw')))
            end
            return cell('%.2f', compared_with_raw(scenario, contestant),
                        limit_of(scenario.limits, contestant))
        end)
end

function tables.growth()
    local growth = scenarios.growth
    growth.limit_text = limits_text(growth.limits, '× %.2f')
    return table_of('CPU time of a request', {growth},
        function(_, contestant)
            return cell('× %.2f',
                ratio(figures('cpu', growth.of, contestant.name),
                      figures('cpu', growth.from, contestant.name)),
                limit_of(growth.limits, contestant))
        end)
end

local function count_table(title, kind, limits, format)
    for _, scenario in ipairs(scenarios.loads) do
        scenario.limit_text = limits_text(scenario[limits], format)
    end
    return table_of(title, scenarios.loads, function(scenario, contestant)
        return cell(format,
            median(figures(kind, scenario.name, contestant.name)),
            limit_of(scenario[limits], contestant))
    end)
end

function tables.instructions()
    return count_table('user instructions', 'instructions',
                       'instruction_limits', '%.0f')
end

function tables.calls()
    return count_table('system calls', 'calls', 'call_limits', '%.2f')
end

function tables.memory()
    for _, scenario in ipairs(scenarios.memory) do
        local limits
        for i, limit in ipairs(scenario.limits or {}) do
            limits = limits or {}
            limits[i] = limit / 1024
        end
        scenario.limit_text = limits_text(limits, '%.1f')
    end
    return table_of('KiB for each', scenarios.memory,
        function(scenario, contestant)
            local bytes = median(figures('memory', scenario.name,
                                         contestant.name))
            local limit = limit_of(scenario.limits, contestant)
            return cell('%.2f', bytes and bytes / 1024,
                        limit and limit / 1024)
        end)
end

function tables.sleepers()
    local sleepers = scenarios.sleepers
    sleepers.limit_text = limits_text(sleepers.limits, '%.1f µs')
    return table_of('CPU time of each', {sleepers},
        function(_, contestant)
            local seconds = median(figures('sleepers', 'sleepers',
                                           contestant.name))
            return cell('%.2f µs', seconds and seconds * 1e6,
                        limit_of(sleepers.limits, contestant))
        end)
end

-- Returns the titles in the order of bench/switch.lua, and its lines by
-- contestant and title.
local function switch_lines()
    local titles, lines = {}, {}
    for _, contestant in ipairs(scenarios.contestants) do
        local list = figures('switches', 'switches', contestant.name)[1]
        for _, line in ipairs(list or {}) do
            if not lines[line.title] then
                titles[#titles + 1] = {title = line.title,
                    limit_text = line.limit and ('%.2f'):format(line.limit)}
                lines[line.title] = {}
            end
            lines[line.title][contestant.name] = line
        end
    end
    return titles, lines
end

function tables.switches()
    local titles, lines = switch_lines()
    return table_of('CPU time of each', titles, function(row, contestant)
        local line = lines[row.title][contestant.name]
        if not line then return '' end
        if not line.ratio then return ('%.0f ns'):format(line.ns) end
        return cell('%.2f', line.ratio, line.limit)
    end)
end

-------------------------------------------------------------------------------
-- Text

local function output_of(command)
    local pipe = assert(io.popen(command .. ' 2>/dev/null'))
    local text = pipe:read 'a'
    pipe:close()
    return text
end

local function machine()
    local cpu = output_of 'cat /proc/cpuinfo':match 'model name%s*: ([^\n]+)'
    return ('%s, %d rounds, on %s, %s CPUs, Linux %s.'):format(
        os.date '!%Y-%m-%d', results.rounds, cpu or 'an unknown CPU',
        output_of 'nproc':match '%d+' or '?',
        output_of 'uname -r':match '%S+' or '?')
end

local function versions()
    local list = {}
    for line in output_of([[dpkg-query -W -f '${Package} ${Version}\n' ]] ..
        'lua-luv lua-cqueues lua-copas luajit lua5.4 lua5.1'):gmatch
        '[^\n]+' do
        list[#list + 1] = line
    end
    return table.concat(list, ', ')
end

local sections = {
    {'cpu', 'Compared with raw C: less is better, **bold** is beyond the ' ..
            'limit.'},
    {'growth', 'With 50 connections busy, when so many more are open:'},
    {'instructions', 'Instructions of the server in user space for each ' ..
                     'operation:'},
    {'calls', 'System calls of the server for each operation, all that are ' ..
              'busy ready at once:'},
    {'memory', 'Memory of the server for each idle connection (Pss):'},
    {'sleepers', 'Threads that sleep at the same time:'},
    {'switches', 'Switches between threads, compared with those of the ' ..
                 'same Lua without socketloop:'},
}

local function text()
    local lines = {machine(), '', versions() .. '.', ''}
    for _, section in ipairs(sections) do
        local rows = tables[section[1]]()
        if rows[1] then
            lines[#lines + 1] = section[2]
            lines[#lines + 1] = ''
            table.move(rows, 1, #rows, #lines + 1, lines)
        end
    end
    return table.concat(lines, '\n')
end

-------------------------------------------------------------------------------
-- Plots

-- Returns the lines of a data file: a title and a figure of each contestant.
local function plot_data(rows, figure, first)
    local lines = {}
    local contestants = split_contestants()
    for _, row in ipairs(rows) do
        local cells = {('"%s"'):format(row.title)}
        for i = first, #contestants do
            local value = figure(row, contestants[i])
            cells[#cells + 1] = value and ('%.4g'):format(value) or '?'
        end
        lines[#lines + 1] = table.concat(cells, ' ')
    end
    return table.concat(lines, '\n') .. '\n'
end

local colours = {'#888888', '#b58900', '#cb4b16', '#d33682', '#1f5fa8',
                 '#268bd2', '#7cc0ec'}

-- Plots bars in groups, one group for each row.
local function plot(name, title, axis, rows, figure, first)
    local file = assert(io.open('build/bench/' .. name .. '.dat', 'w'))
    file:write(plot_data(rows, figure, first))
    file:close()
    local plots = {}
    local contestants = split_contestants()
    for i = first, #contestants do
        local contestant = contestants[i]
        plots[#plots + 1] = ("'build/bench/%s.dat' using %d:xtic(1) " ..
            "title '%s' linecolor rgb '%s'"):format(name, i - first + 2,
            contestant.title or contestant.name, colours[i])
    end
    local gnuplot = assert(io.popen('gnuplot', 'w'))
    gnuplot:write(([[
set terminal svg size 960,480 background 'white' font 'sans-serif,12'
set output 'build/bench/%s.svg'
set title '%s'
set ylabel '%s'
set style data histograms
set style histogram clustered gap 1.5
set style fill solid noborder
set datafile missing '?'
set logscale y
set grid ytics
set xtics rotate by -25 nomirror
set key outside right top
]]):format(name, title, axis))
    gnuplot:write('plot ', table.concat(plots, ', \\\n     '), '\n')
    assert(gnuplot:close(), 'gnuplot failed')
end

local function plots()
    plot('cpu', 'CPU time of the server for each operation',
         'compared with raw C', scenarios.loads, compared_with_raw, 2)
    plot('memory', 'Memory of the server for each idle connection', 'KiB',
         scenarios.memory, function(scenario, contestant)
            local bytes = median(figures('memory', scenario.name,
                                         contestant.name))
            return bytes and bytes / 1024
        end, 1)
end

-------------------------------------------------------------------------------
-- Files

local function read_file(name)
    local file = assert(io.open(name))
    local content = file:read 'a'
    file:close()
    return content
end

local function write_file(name, content)
    local file = assert(io.open(name, 'w'))
    assert(file:write(content))
    file:close()
end

local images = [[
![CPU time compared with raw C](cpu.svg)

![Memory for each idle connection](memory.svg)
]]

-- Replaces the text between the markers in doc/benchmarks.md.
local function put_into_doc(figures_text)
    local name = 'doc/benchmarks.md'
    local head, tail = read_file(name):match
        '^(.*<!%-%- figures %-%->\n).*(<!%-%- end of figures %-%->.*)$'
    assert(head, 'no markers in ' .. name)
    write_file(name, head .. '\n' .. images .. '\n' .. figures_text .. tail)
    for _, plot_name in ipairs {'cpu', 'memory'} do
        local svg = read_file('build/bench/' .. plot_name .. '.svg')
        svg = svg:gsub('\t', '    '):gsub('[ \r]+\n', '\n')
        write_file('doc/' .. plot_name .. '.svg', svg)
    end
end

function report.write(all_scenarios, all_results)
    scenarios, results = all_scenarios, all_results
    local content = text()
    write_file('build/bench/figures.md', content)
    io.write(content)
    if results.partial then return end
    plots()
    if results.rounds >= 5 then put_into_doc(content) end
end

return report
