-- Checks the includes of the files in src/:
--
--     lua tools/arrows.lua [exceptions [folder]]
--
-- 1. A file includes headers of its own folder, or of a folder to the right
--    of it in: module (src/ itself), luasocket, socket, loop, thread, os.
-- 2. Only os/ includes system headers, and os/ does not include Lua's. All
--    folders may include headers of standard C, and include/socketloop.h.
-- 3. There are no circles between files. A .c file and its header count as one.
--
-- Exceptions are listed in tools/arrows.txt, which only shrinks: an exception
-- that is not needed fails the check, too. Its lines have the format of the
-- output.

local exceptions_file = arg[1] or 'tools/arrows.txt'
local root = arg[2] or 'src'

-- The place of a folder in the order: a file includes headers with at least its
-- folder's place.
local place = {
    module = 1, luasocket = 2, socket = 3, loop = 4, thread = 5, os = 6,
}

local function set(words)
    local members = {}
    for word in words:gmatch '%S+' do members[word] = true end
    return members
end

local of_standard_c = set [[
    assert.h complex.h ctype.h errno.h fenv.h float.h inttypes.h iso646.h
    limits.h locale.h math.h setjmp.h signal.h stdarg.h stdbool.h stddef.h
    stdint.h stdio.h stdlib.h string.h tgmath.h time.h wchar.h wctype.h
]]
local of_lua = set 'lua.h lauxlib.h lualib.h luajit.h'

-- Headers of standard C that would be used for their system-specific part.
of_standard_c['signal.h'], of_standard_c['time.h'] = nil, nil

-- Returns the files as paths below the root, sorted.
local function find_files()
    local files = {}
    local command = "find '%s' -name '*.[ch]' | LC_ALL=C sort"
    local found = assert(io.popen(command:format(root)))
    for path in found:lines() do files[#files + 1] = path:sub(#root + 2) end
    found:close()
    return files
end

local function folder_of(path) return path:match '^(.*)/' or 'module' end
local function stem_of(path) return (path:gsub('%.[ch]$', '')) end

-- Returns the includes of a file: a list of {name =, is_system =}.
local function read_includes(path)
    local includes = {}
    for line in io.lines(root .. '/' .. path) do
        local open, name = line:match '^%s*#%s*include%s*([<"])([^>"]+)'
        if open then
            includes[#includes + 1] = {name = name, is_system = open == '<'}
        end
    end
    return includes
end

-- Whether a file of the folder may include a header.
local function is_allowed(folder, include)
    if include.is_system then
        return of_standard_c[include.name] or
            not of_lua[include.name] == (folder == 'os')
    end
    local target = place[folder_of(include.name)]
    return target and target >= assert(place[folder], folder)
end

-- Returns the stems on circles. graph maps a stem to a set of stems. This is
-- Tarjan's algorithm: a component with more than one member is a circle.
local function find_circles(graph, stems)
    local count, index, low, stack, on_stack = 0, {}, {}, {}, {}
    local circular = {}

    local function close_component(stem)
        local is_circle = stack[#stack] ~= stem
        repeat
            local member = table.remove(stack)
            on_stack[member] = nil
            if is_circle then circular[#circular + 1] = member end
        until member == stem
    end

    local function visit(stem)
        count = count + 1
        index[stem], low[stem] = count, count
        stack[#stack + 1], on_stack[stem] = stem, true
        for target in pairs(graph[stem]) do
            if not index[target] then
                visit(target)
                low[stem] = math.min(low[stem], low[target])
            elseif on_stack[target] then
                low[stem] = math.min(low[stem], index[target])
            end
        end
        if low[stem] == index[stem] then close_component(stem) end
    end

    for _, stem in ipairs(stems) do
        if not index[stem] then visit(stem) end
    end
    table.sort(circular)
    return circular
end

-- Returns the violations as lines, and the numbers of files and includes.
local function examine()
    local files, total = find_files(), 0
    local graph, stems, violations = {}, {}, {}
    local is_ours = {}
    for _, path in ipairs(files) do
        local stem = stem_of(path)
        is_ours[path] = true
        if not graph[stem] then
            graph[stem], stems[#stems + 1] = {}, stem
        end
    end
    for _, path in ipairs(files) do
        for _, include in ipairs(read_includes(path)) do
            local from, to = stem_of(path), stem_of(include.name)
            local is_here = not include.is_system and is_ours[include.name]
            local is_arrow = is_here or include.is_system
            total = total + 1
            if is_here and from ~= to then graph[from][to] = true end
            if is_arrow and not is_allowed(folder_of(path), include) then
                violations[#violations + 1] = path .. ' ' .. include.name
            end
        end
    end
    for _, stem in ipairs(find_circles(graph, stems)) do
        violations[#violations + 1] = 'circle ' .. stem
    end
    return violations, #files, total
end

local function read_exceptions()
    local exceptions = {}
    for line in io.lines(exceptions_file) do
        if line:find '^%w' then exceptions[line] = true end
    end
    return exceptions
end

local exceptions = read_exceptions()
local violations, files, includes = examine()
local excepted, errors = 0, {}
for _, line in ipairs(violations) do
    if exceptions[line] then
        excepted, exceptions[line] = excepted + 1, nil
    else
        errors[#errors + 1] = 'not allowed: ' .. line
    end
end
for line in pairs(exceptions) do
    errors[#errors + 1] = 'no longer needed: ' .. line
end
if #errors > 0 then
    table.sort(errors)
    print(table.concat(errors, '\n'))
    os.exit(1)
end
print(('the arrows: %d files, %d includes, %s'):format(files, includes,
    excepted == 0 and 'no exception' or excepted .. ' exceptions'))
