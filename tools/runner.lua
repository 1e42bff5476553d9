-- Runs a file of specs without busted: implements the parts of busted and
-- luassert that the specs use. The arguments and the report are those of
-- tools/report.lua:
--
--     lua tools/runner.lua REPORT [--helper FILE] [--filter PATTERN] SPEC
--
-- If LuaSocket is missing there is a stand-in, and a test that uses it counts
-- as skipped.

local REPORT = assert(io.open(assert(arg[1]), 'a'))
REPORT:setvbuf 'no'
local unpack = table.unpack or unpack               -- luacheck: ignore

local helper, filter, spec
for i = 2, #arg do
    if arg[i - 1] == '--helper' then helper = arg[i]
    elseif arg[i - 1] == '--filter' then filter = arg[i]
    elseif not arg[i]:match '^%-%-' then spec = arg[i] end
end

-------------------------------------------------------------------------------
-- Assertions

local function show(value)
    if type(value) ~= 'table' then return ('%q'):format(tostring(value)) end
    local parts = {}
    for k, v in pairs(value) do
        parts[#parts + 1] = tostring(k) .. ' = ' .. tostring(v)
    end
    return '{' .. table.concat(parts, ', ') .. '}'
end

local function is_same(a, b)
    if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end
    for k, v in pairs(a) do if not is_same(v, b[k]) then return false end end
    for k in pairs(b) do if a[k] == nil then return false end end
    return true
end

local checks = {
    equal = {function(a, b) return a == b end},
    same = {is_same},
    matches = {function(pattern, s, init, plain)
        init = tonumber(init)       -- otherwise a message
        return type(s) == 'string' and s:find(pattern, init, plain) ~= nil
    end},
    is_true = {function(v) return v == true end},
    is_false = {function(v) return v == false end},
    is_nil = {function(v) return v == nil end},
    truthy = {function(v) return v end},
    falsy = {function(v) return not v end},
    has_error = {function(f, expected)
        local ok, err = pcall(f)
        local message = type(err) == 'string' and err:gsub('^.-:%d+: ', '', 1)
        return not ok and (expected == nil or is_same(expected, err) or
                           expected == message)
    end},
    error_matches = {function(f, pattern)
        local ok, err = pcall(f)
        return not ok and tostring(err):find(pattern) ~= nil
    end},
}
for _, kind in ipairs {'string', 'number', 'table', 'function'} do
    checks['is_' .. kind] = {function(v) return type(v) == kind end}
end
checks.is_truthy, checks.is_falsy = checks.truthy, checks.falsy
checks.error = checks.has_error

local assertions = setmetatable({}, {__call = function(_, ok, ...)
    if not ok then error((...) or 'assertion failed!', 2) end
    return ok, ...
end})
for name, check in pairs(checks) do
    local function make(wanted)
        return function(...)
            if (check[1](...) and true or false) ~= wanted then
                local values = {}
                for i = 1, select('#', ...) do
                    values[i] = show((select(i, ...)))
                end
                error(('%s is not so: %s'):format(name,
                    table.concat(values, ', ')), 2)
            end
            return ...
        end
    end
    assertions[name] = make(true)
    assertions['not_' .. name] = make(false)
end
package.preload.luassert = function() return assertions end

-------------------------------------------------------------------------------
-- Missing modules

local missing       -- the missing module that a test has used

-- Whether an error comes from a script that requires a missing module.
local function asks_for_missing(err)
    return tostring(err):find "module 'socket[%w.]*' not found" ~= nil
end

local function stand_in(name, given)
    if pcall(require, name) then return end
    package.loaded[name] = setmetatable(given, {__index = function()
        return function()
            missing = name .. ' is missing'
            error(missing)
        end
    end})
end

-------------------------------------------------------------------------------
-- Blocks and tests

local block = {name = '', before = {}, after = {}, finish = {}, tests = {}}
local counts = {pass = 0, fail = 0, skip = 0}
local finalizers
local PENDING = {}

local function note(what, name)
    counts[what] = (counts[what] or 0) + 1
    REPORT:write(what, ' ', (name:gsub('%s+', ' ')), '\n')
end

local function fail(name, err)
    note('fail', name)
    print('not ok: ' .. name)
    print(err)
    io.stdout:flush()
end

local function with_traceback(err)
    if err == PENDING then return err end
    return type(err) == 'string' and debug.traceback(err, 2) or show(err)
end

-- Calls all functions, of inner blocks first if from_inside. Returns the first
-- error.
local function call_all(kind, from_inside)
    local chain = {}
    local b = block
    while b do
        table.insert(chain, from_inside and #chain + 1 or 1, b)
        b = b.outer
    end
    for _, each in ipairs(chain) do
        for _, f in ipairs(each[kind]) do
            local ok, err = xpcall(f, with_traceback)
            if not ok and err ~= PENDING then return err end
        end
    end
end

local function run_body(f)
    local err = call_all 'before'
    if err then return err end
    local ok
    ok, err = xpcall(f, with_traceback)
    for _, g in ipairs(finalizers) do
        local fine, why = xpcall(g, with_traceback)
        if not fine and ok then ok, err = fine, why end
    end
    return not ok and err
end

local function run_test(name, f)
    if filter and not name:find(filter) then return end
    note('run', name)
    missing, finalizers = nil, {}
    local err = run_body(f)
    local after = call_all('after', true)
    if missing or err == PENDING or asks_for_missing(err) then
        note('skip', name)
    elseif err or after then
        fail(name, err or after)
    else
        note('pass', name)
    end
end

local function full_name(name)
    return block.name == '' and name or block.name .. ' ' .. name
end

function describe(name, f)      -- luacheck: ignore
    block = {name = full_name(name), outer = block, before = {}, after = {},
             finish = {}}
    local ok, err = xpcall(f, with_traceback)
    if not ok and err ~= PENDING then fail(block.name, err) end
    for _, g in ipairs(block.finish) do
        ok, err = xpcall(g, with_traceback)
        if not ok then fail(block.name, err) end
    end
    block = block.outer
end

function it(name, f) run_test(full_name(name), f) end  -- luacheck: ignore

function pending() error(PENDING, 0) end               -- luacheck: ignore

-- Tests run where they are defined, after the functions before them.
function before_each(f) table.insert(block.before, f) end  -- luacheck: ignore
function after_each(f) table.insert(block.after, f) end    -- luacheck: ignore
function teardown(f) table.insert(block.finish, f) end     -- luacheck: ignore
function setup(f) f() end                                  -- luacheck: ignore
function finally(f) table.insert(finalizers, f) end        -- luacheck: ignore

assert = assertions     -- luacheck: ignore

stand_in('socket', {
    gettime = function() return require 'socketloop'.now() end,
    sleep = function(s) os.execute(('sleep %.3f'):format(s)) end,
})

if helper then dofile(helper) end
local chunk, err = loadfile(spec)
if chunk then
    local ok
    ok, err = xpcall(chunk, with_traceback)
    chunk = ok or err == PENDING
end
if not chunk then fail(spec, err) end
note('end', '')
os.exit(counts.fail == 0 and 0 or 1)
