-- The documentation: its examples run unchanged, it covers every function and
-- method, and its links lead somewhere.

local lfs = require 'lfs'
local process = require 'process'

local read = process.read_file

local documents = {
    'README.md', 'doc/reference.md', 'doc/architecture.md',
    'doc/benchmarks.md', 'doc/security.md', 'CHANGELOG.md',
}

-- Calls f(path, name) for each C source; the name has no folder and no '.c'.
local function each_source(f)
    for _, folder in ipairs {'', 'os/', 'thread/', 'loop/', 'socket/',
                             'luasocket/'} do
        for file in lfs.dir('src/' .. folder) do
            local name = file:match '^(.*)%.c$'
            if name then f('src/' .. folder .. file, name) end
        end
    end
end

-- The names that the C sources register for users: name -> true.
local function registered()
    local names = {}
    each_source(function(path, file)
        if file ~= 'install' and file ~= 'watcher' then
            for name in read(path)
                    :gmatch '\n    {"(%a[%w_]*)", %a+_[%w_]+}' do
                names[name] = true
            end
        end
    end)
    return names
end

-- Whether the output has the line that an example's `-->` promises. '...'
-- stands for anything, two blanks for a tab.
local function has_line(output, promised)
    local pattern = promised:gsub('%.%.%.', '\1'):gsub('%p', '%%%0')
        :gsub('\1', '.*'):gsub('  +', '\t')
    for line in output:gmatch '[^\n]+' do
        if line:match('^' .. pattern .. '$') then return true end
    end
end

describe('the documentation', function()
    after_each(process.cleanup)

    for _, name in ipairs {
        'README.md', 'doc/reference.md', 'doc/security.md',
    } do
        local count = 0
        for code in read(name):gmatch '\n```lua\n(.-)\n```' do
            count = count + 1
            it(('runs: %s, example %d'):format(name, count), function()
                local status, output = process.lua(code)
                assert.equal(0, status, output)
                for promised in code:gmatch '%-%-> ([^\n]+)' do
                    assert.is_true(has_line(output, promised), output)
                end
            end)
        end
        assert(count > 0, name .. ' has no example')
    end

    it('has every function and method', function()
        local reference, count = read 'doc/reference.md', 0
        for name in pairs(registered()) do
            count = count + 1
            assert.truthy(reference:find('%*%*[^*]*`' .. name .. '[`(]'), name)
        end
        assert.is_true(count > 50, count)
    end)

    it('has the C functions in a program that is tested', function()
        local reference, count = read 'doc/reference.md', 0
        for name in read 'include/socketloop.h':gmatch '%(%*([%w_]+)%)%(' do
            count = count + 1
            assert.truthy(reference:find('**`api->' .. name .. '(', 1, true),
                          name)
        end
        assert.equal(4, count)
        for code in reference:gmatch '```c\n(.-)```' do
            assert.truthy(read 'examples/copy.c':find(code, 1, true))
        end
    end)

    it('has every source file in the picture of the layers', function()
        local text, count = read 'doc/architecture.md':match '```\n(.-)```', 0
        each_source(function(path, name)
            count = count + 1
            assert.truthy(text:find('%f[%w]' .. name .. '%f[%W]'), path)
        end)
        assert.is_true(count > 30, count)
    end)

    it('names every source file in the tour of README', function()
        local readme = read 'README.md'
        each_source(function(path)
            local stem = path:gsub('%.c$', '')
            assert.truthy(readme:find('](' .. stem .. '.', 1, true), path)
        end)
        for file in lfs.dir 'src/lua/socketloop' do
            if file:match '%.lua$' then
                assert.truthy(readme:find('](src/lua/socketloop/' .. file,
                                          1, true), file)
            end
        end
    end)

    it('has no broken links', function()
        for _, name in ipairs(documents) do
            local text, headings = read(name), {}
            for title in text:gmatch '\n#+ ([^\n]*)' do
                local anchor = title:lower():gsub('[^%w%s-]', '')
                headings[anchor:gsub(' ', '-')] = true
            end
            for link in text:gmatch '%]%(([^)]+)%)' do
                local path, anchor = link:match '^([^#]*)#?(.*)$'
                if path == '' then
                    assert.is_true(headings[anchor], name .. ': ' .. link)
                elseif not path:match '^https?:' then
                    path = (name:match '^.*/' or '') .. path
                    assert.truthy(lfs.attributes(path), name .. ': ' .. link)
                end
            end
        end
    end)
end)
