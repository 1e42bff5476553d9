-- Places where a thread may stop: functions of Lua and C that call a function
-- back. The places in `giving` return that function's result. The fewer ones in
-- `passing` do not, but propagate its errors. `few` has one of each kind.

local process = require 'process'
local socket = require 'socket'
local support = require 'support'

local version, luajit = support.lua_version, support.luajit

local places = {}

-- Features of 5.2, some of which LuaJIT has.
local has_pairs =
    not pcall(pairs, setmetatable({}, {__pairs = function() error() end}))
local has_len = #setmetatable({}, {__len = function() return 7 end}) == 7

-- An object whose metamethod `event` calls f and returns its result.
local function object(event, f)
    return setmetatable({}, {[event] = function() return f() end})
end

-- Compiles an expression of a and b, for operators that only some Luas have.
local function operator(source)
    local chunk = support.load('local a, b = ...; return ' .. source)
    return chunk
end

-- Names of modules that have not been loaded.
local modules = 0
local function module_name()
    modules = modules + 1
    return 'socketloop.test.' .. modules
end

-------------------------------------------------------------------------------

-- Each place calls f, which returns a value, and returns that value (or its
-- truth where only true or false can be returned).
local giving = {}
local truth = {}        -- places that return true or false
places.giving, places.truth = giving, truth

giving['a Lua function'] = function(f) return (f()) end
giving['pcall'] = function(f) return select(2, pcall(f)) end
giving['pcall of a function that fails'] = function(f)
    return select(2, pcall(function() error(f(), 0) end))
end
giving['xpcall'] = function(f)
    return select(2, xpcall(function() return f() end, debug.traceback))
end
giving['the handler of xpcall'] = function(f)
    return select(2, xpcall(error, function() return f() end))
end

giving['__index'] = function(f) return object('__index', f).x end
giving['__newindex'] = function(f)
    local value
    object('__newindex', function() value = f() end).x = 1
    return value
end
giving['__call'] = function(f) return (object('__call', f)()) end
if support.concat_is_safe then
    giving['__concat'] = function(f) return object('__concat', f) .. 'x' end
end
giving['__tostring'] = function(f)
    return tostring(object('__tostring', function()
        return tostring(f())
    end))
end
for event, source in pairs {
    __add = 'a + b', __sub = 'a - b', __mul = 'a * b', __div = 'a / b',
    __mod = 'a % b', __pow = 'a ^ b', __unm = '-a', __idiv = 'a // b',
    __band = 'a & b', __bor = 'a | b', __bxor = 'a ~ b', __shl = 'a << b',
    __shr = 'a >> b', __bnot = '~a',
} do
    -- LuaJIT may have an operator without the metamethod.
    local apply = operator(source)
    if apply and pcall(apply, object(event, tostring), 1) then
        giving[event] = function(f) return (apply(object(event, f), 1)) end
    end
end
for event, source in pairs {
    __eq = 'a == b', __lt = 'a < b', __le = 'a <= b',
} do
    local apply = operator(source)
    giving[event] = function(f)
        local mt = {[event] = function() return f() end}
        return apply(setmetatable({}, mt), setmetatable({}, mt))
    end
    truth[event] = true
end
if has_len then
    giving['__len'] = function(f) return #object('__len', f) end
end
if has_pairs then
    giving['__pairs'] = function(f)
        local proxy = setmetatable({}, {__pairs = function()
            local value = f()
            return next, {value}, nil
        end})
        local last
        for _, value in pairs(proxy) do last = value end
        return last
    end
end
if version >= 5.3 then
    giving['table.concat of a proxy'] = function(f)
        return table.concat(setmetatable({}, {
            __len = function() return 1 end,
            __index = function() return tostring(f()) end,
        }))
    end
    giving['ipairs of a proxy'] = function(f)
        local proxy = setmetatable({}, {__index = function(_, i)
            if i == 1 then return f() end
        end})
        local last
        for _, value in ipairs(proxy) do last = value end
        return last
    end
end
if version >= 5.4 then
    giving['__close'] = function(f)
        return assert(support.load [[
            local f, value = ...
            do
                local guard <close> = setmetatable({}, {
                    __close = function() value = f() end
                })
            end
            return value
        ]])(f)
    end
    giving['__close after an error'] = function(f)
        return assert(support.load [[
            local f, value = ...
            pcall(function()
                local guard <close> = setmetatable({}, {
                    __close = function() value = f() end
                })
                error 'boom'
            end)
            return value
        ]])(f)
    end
    giving['coroutine.close'] = function(f)
        return assert(support.load [[
            local f, value = ...
            local co = coroutine.create(function()
                local guard <close> = setmetatable({}, {
                    __close = function() value = f() end
                })
                coroutine.yield()
            end)
            coroutine.resume(co)
            coroutine.close(co)
            return value
        ]])(f)
    end
end

giving['a for-iterator'] = function(f)
    local last
    for value in function(_, previous)
        if previous == nil then return f() end
    end do
        last = value
    end
    return last
end
giving['a sort comparator'] = function(f)
    local value
    table.sort({1, 2}, function(a, b)
        value = f()
        return a < b
    end)
    return value
end
giving['__lt of what is sorted'] = function(f)
    local value
    local mt = {__lt = function() value = f() return false end}
    table.sort {setmetatable({}, mt), setmetatable({}, mt)}
    return value
end
giving['a gsub callback'] = function(f)
    local value
    string.gsub('x', 'x', function() value = f() end)
    return value
end
giving['__index of a gsub table'] = function(f)
    local value
    string.gsub('x', 'x', setmetatable({}, {__index = function()
        value = f()
        return 'y'
    end}))
    return value
end
if version >= 5.2 or luajit then
    giving['string.format %s'] = function(f)
        return string.format('%s', object('__tostring', function()
            return tostring(f())
        end))
    end
end

giving['a package.preload loader'] = function(f)
    local name = module_name()
    package.preload[name] = function() return {value = f()} end
    local value = require(name).value
    package.preload[name], package.loaded[name] = nil, nil
    return value
end
giving['a searcher of require'] = function(f)
    local name = module_name()
    local searchers = package.searchers or package.loaders  -- luacheck: ignore
    local function searcher(wanted)
        if wanted ~= name then return nil end
        local value = f()
        return function() return {value = value} end
    end
    table.insert(searchers, 1, searcher)
    local value = require(name).value
    for i, each in ipairs(searchers) do
        if each == searcher then table.remove(searchers, i) break end
    end
    package.loaded[name] = nil
    return value
end
giving['a chunk run by dofile'] = function(f)
    local name = os.tmpname()
    process.write_file(name, 'return socketloop_test_dofile()')
    local old = rawget(_G, 'socketloop_test_dofile')
    rawset(_G, 'socketloop_test_dofile', function()
        rawset(_G, 'socketloop_test_dofile', old)
        os.remove(name)
        return f()
    end)
    return (dofile(name))
end
giving['a reader of load'] = function(f)
    local value, sent
    local chunk = assert(load(function()
        if sent then return nil end
        sent = true
        value = f()
        return 'return ...'
    end))
    return (chunk(value))
end

giving['a generator'] = function(f)
    local last
    for value in coroutine.wrap(function() coroutine.yield(f()) end) do
        last = value
    end
    return last
end
giving['a nested coroutine'] = function(f)
    return select(2, coroutine.resume(coroutine.create(f)))
end
giving['coroutines nested five deep'] = function(f)
    for _ = 1, 5 do
        local inner = f
        f = function() return coroutine.wrap(inner)() end
    end
    return (f())
end

giving['socket.protect'] = function(f)
    return (socket.protect(function() return f() end)())
end
giving['a socket.newtry finalizer'] = function(f)
    local value
    socket.protect(function()
        socket.newtry(function() value = f() end)(nil, 'failed')
    end)()
    return value
end

-------------------------------------------------------------------------------

-- An object whose metamethod `event` calls f and returns the result.
local function with(event, f, result)
    return object(event, function()
        f()
        return result
    end)
end

-- Each place calls f once, and propagates an error of f.
local passing = {
    ['a Lua function'] = function(f) f() end,
    ['pcall'] = function(f)
        local ok, err = pcall(f)
        if not ok then error(err, 0) end
    end,
    ['xpcall'] = function(f)
        local ok, err = xpcall(f, function(e) return e end)
        if not ok then error(err, 0) end
    end,
    ['an index metamethod'] = function(f) return with('__index', f).x end,
    ['a newindex metamethod'] = function(f) with('__newindex', f).x = 1 end,
    ['a call metamethod'] = function(f) with('__call', f)() end,
    ['an arithmetic metamethod'] = function(f) return with('__add', f) + 1 end,
    ['a concat metamethod'] = support.concat_is_safe and function(f)
        return with('__concat', f) .. ''
    end or nil,
    ['a comparison metamethod'] = function(f)
        local less = function() f() return true end
        local meta = {__lt = less}
        return setmetatable({}, meta) < setmetatable({}, meta)
    end,
    ['a tostring metamethod'] = function(f)
        return tostring(with('__tostring', f, ''))
    end,
    ['an iterator'] = function(f)
        local function once(_, last)
            if last then return nil end
            f()
            return true
        end
        local turns = 0
        for _ in once do turns = turns + 1 end
        return turns
    end,
    ['a sort comparator'] = function(f)
        table.sort({1, 2}, function() f() return false end)
    end,
    ['a gsub callback'] = function(f)
        string.gsub('x', 'x', function() f() end)
    end,
    ['require'] = function(f)
        local name = module_name()
        package.preload[name] = function()
            package.preload[name] = nil
            f()
        end
        require(name)
    end,
    ['the reader of a chunk'] = function(f)
        local called = false
        local chunk, err = load(function()
            if not called then
                called = true
                f()
            end
        end)
        if not chunk then error(err, 0) end
    end,
    ['a standard coroutine'] = function(f) coroutine.wrap(f)() end,
    ['two standard coroutines'] = function(f)
        coroutine.wrap(function() coroutine.wrap(f)() end)()
    end,
    ['a sort in a coroutine in pcall'] = function(f)
        local ok, err = pcall(coroutine.wrap(function()
            table.sort({1, 2}, function() f() return false end)
        end))
        if not ok then error(err, 0) end
    end,
}

if version >= 5.2 then
    passing['a len metamethod'] = function(f) return #with('__len', f) end
    passing['a pairs metamethod'] = function(f)
        local proxy = setmetatable({}, {__pairs = function()
            f()
            return next, {}
        end})
        assert(pairs(proxy))
    end
end

if version >= 5.4 then
    passing['a close metamethod'] = support.load [[
        local f = ...
        local object <close> = setmetatable({}, {__close = function()
            f()
        end})
    ]]
end

places.passing = passing

-------------------------------------------------------------------------------

-- Returns one place of each kind, and those in `more`.
function places.few(more)
    local few = {['a metamethod'] = passing['an index metamethod']}
    for _, name in ipairs {
        'a Lua function', 'pcall', 'a sort comparator', 'a gsub callback',
    } do
        few[name] = passing[name]
    end
    for name, around in pairs(more) do few[name] = around end
    return few
end

return places
