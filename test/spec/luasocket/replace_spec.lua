-- install finds the functions it replaces wherever the program keeps them, and
-- at whatever time it is called.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'
local process = require 'process'

local has_varargs = support.lua_version > 5.1 or support.luajit

-- Each function keeps socket.sleep in one place and returns a function that
-- reads that place.
local kept_in = {
    ['a coroutine that was not started'] = function()
        return coroutine.wrap((function(held)
            return function() return held end
        end)(socket.sleep))
    end,

    ['a local of a suspended coroutine'] = function()
        local get = coroutine.wrap(function()
            local held = socket.sleep
            coroutine.yield()
            return held
        end)
        get()
        return get
    end,

    ['an argument of a call that is being made'] = function()
        local function first(value) return value end
        local get = coroutine.wrap(function()
            return (first(socket.sleep, coroutine.yield()))
        end)
        get()
        return get
    end,

    ['a value that a coroutine has yielded'] = function()
        local co = coroutine.create(function()
            return select(2, coroutine.yield(), socket.sleep)
        end)
        coroutine.resume(co)
        return function() return select(2, coroutine.resume(co)) end
    end,

    ['variable arguments'] = has_varargs and function()
        local get = coroutine.wrap(function(one, ...)
            coroutine.yield()
            return select(one, ...)
        end)
        get(2, 'a', socket.sleep)
        return get
    end or nil,

    ['a key of a table'] = function()
        local names = {[socket.sleep] = 'sleep', [print] = 'print'}
        for i = 1, 100 do names[i] = i end
        return function()
            for key, value in pairs(names) do
                if value == 'sleep' then return key end
            end
        end
    end,

    ['a weak table'] = function()
        local weak = setmetatable({socket.sleep}, {__mode = 'v'})
        return function() return weak[1] end
    end,

    ['the metatable of a type'] = function()
        debug.setmetatable(1, {__index = {held = socket.sleep}})
        return function()
            local held = (1).held
            debug.setmetatable(1, nil)
            return held
        end
    end,
}

-- Programs in which install is called while the interpreter is in the middle of
-- an operation.
local called_in = {
    ['the reader of a chunk'] = [[
        local pieces, n = {}, 0
        for i = 1, 40 do
            pieces[i] = ('local a%d = function(...) return ... end '):format(i)
        end
        local f = function() go() n = n + 1 return pieces[n] end
        assert(load(f))
    ]],
    ['the reader of a binary chunk'] = [[
        local code, n = string.dump(loadstring 'return print, {...}, 1'), 0
        load(function()
            go()
            n = n + 1
            return n <= #code and code:sub(n, n) or nil
        end)
    ]],
    ['a finalizer while Lua compiles'] = [[
        local function again()
            finalized(function()
                go()
                if calls < 30 then again() end
            end)
        end
        again()
        local code = {}
        for i = 1, 100 do
            code[i] = ('local a = {%d, "x%d", function() return %d end}')
                :format(i, i, i)
        end
        code = table.concat(code, '\n')
        for _ = 1, 1000 do
            if calls >= 5 then break end
            assert(loadstring(code))
        end
        assert(calls >= 5)
    ]],
    ['a debug hook'] = [[
        debug.sethook(function() go() end, 'crl', 7)
        local function f(a, b, ...) return select('#', ...), {...} end
        for i = 1, 3 do f(i, 2, 3, print) end
        ('abc'):gsub('.', function(c) return c end)
        table.sort({3, 2, 1}, function(a, b) return a < b end)
        local co = coroutine.wrap(function(...) coroutine.yield(...) end)
        co(1, 2, 3)
        co()
        debug.sethook()
    ]],
    ['__index of _G'] = [[
        local is_busy = false
        setmetatable(_G, {__index = function(_, key)
            if is_busy then error('undefined: ' .. key) end
            is_busy = true
            go()
            is_busy = false
        end})
        local a = undefined1
        local b = pcall(require, 'no such module')
        local c = 'x' .. tostring(undefined2)
    ]],
    ['a finalizer when the state is closed'] = [[
        kept = finalized(go)
    ]],
}

local program = [[
    loadstring = loadstring or load
    load = (function(load) return function(...) return load(...) end end)(load)
    calls = 0
    function finalized(f)
        if not newproxy then return setmetatable({}, {__gc = f}) end
        local proxy = newproxy(true)
        getmetatable(proxy).__gc = f
        return proxy
    end
    function go()
        calls = calls + 1
        local ok, err = pcall(function() loop.install()() end)
        if not ok and not err:find 'in a finalizer' and
           not err:find 'closed' then
            print(err)
        end
    end
    loop = require 'socketloop'
]]

describe('a function that install replaces', function()
    local undo
    support.hooks(before_each, after_each, function()
        if undo then undo() end
        undo = nil
        process.cleanup()
    end)

    for place, keep in pairs(kept_in) do
        it('is found in ' .. place, function()
            local get = keep()
            undo = loop.install()
            assert.equal(socket.sleep, get())
        end)

        it('is put back in ' .. place, function()
            local original = socket.sleep
            undo = loop.install()
            local get = keep()
            undo()
            assert.equal(original, socket.sleep)
            assert.equal(original, get())
        end)
    end

    it('is found in the iterator of a loop', function()
        local listener, port = support.plain.listen()
        local first = socket.connect('127.0.0.1', port)
        local accepted = 0
        local co = coroutine.wrap(function()
            for client in listener.accept, listener do
                client:close()
                accepted = accepted + 1
                coroutine.yield()
            end
        end)
        co()
        first:close()
        undo = loop.install()
        local others = 0
        loop.newthread(co)
        loop.newthread(function()
            others = accepted
            socket.connect('127.0.0.1', port):close()
        end)
        loop.start()
        assert.same({1, 2}, {others, accepted})
        listener:close()
    end)

    for kind, start in pairs {
        thread = function(f) loop.newthread(f) end,
        coroutine = function(f) coroutine.wrap(f)() end,
    } do
        it('is found in the main program by a ' .. kind, function()
            local held = socket.sleep
            local function call(argument)
                start(function() undo = loop.install() end)
                return argument
            end
            assert.equal(call(held), socket.sleep)
            assert.equal(held, socket.sleep)
        end)
    end

    it('is found in a coroutine below the thread', function()
        local co = coroutine.wrap(function()
            local held = socket.sleep
            loop.newthread(function() undo = loop.install() end)
            return held
        end)
        assert.equal(co(), socket.sleep)
    end)

    for place, code in pairs(called_in) do
        it('is found when install is called in ' .. place, function()
            local status, output = process.lua(program ..
                'loop.install()()\n' .. code)
            assert.equal(0, status, output)
            assert.equal('', output)
        end)
    end

    it('is put back when finalizers call install meanwhile', function()
        local status, output = process.lua(program .. [[
            local socket = require 'socket'
            local sleep, undos = socket.sleep, {}
            local function call()
                local ok, undo = pcall(loop.install)
                if ok then table.insert(undos, undo) end
            end
            local function again()
                finalized(function()
                    calls = calls + 1
                    call()
                    if calls < 20 then again() end
                end)
            end
            again()
            if _VERSION == 'Lua 5.5' then
                collectgarbage('param', 'pause', 1)
                collectgarbage('param', 'stepmul', 1000000)
            else
                collectgarbage('setpause', 1)
                collectgarbage('setstepmul', 1000000)
            end
            call()
            while calls < 20 do collectgarbage() end
            assert(sleep == socket.sleep)
            print(debug.getinfo(sleep, 'S').what, #undos >= 1)
            while undos[1] do table.remove(undos)() end
            assert(sleep == socket.sleep)
            print(debug.getinfo(sleep, 'S').what)
        ]])
        assert.equal(0, status, output)
        assert.equal('Lua\ttrue\nC\n', output)
    end)

    it('is found without the debug library', function()
        local status, output = process.lua [[
            debug, package.loaded.debug = nil, nil
            local socket, loop = require 'socket', require 'socketloop'
            local held = socket.sleep
            local undo = loop.install()
            print((function() return held == socket.sleep end)())
            undo()
            print(held == socket.sleep)
        ]]
        assert.equal(0, status, output)
        assert.equal('true\ntrue\n', output)
    end)

    it('cannot be called in a finalizer of LuaJIT', function()
        if not support.luajit then return end
        local err
        local proxy = newproxy(true)    -- luacheck: ignore
        getmetatable(proxy).__gc = function()
            err = select(2, pcall(loop.install))
        end
        proxy = nil     -- luacheck: ignore
        support.collect()
        assert.matches('install: cannot be called in a finalizer$', err)
    end)
end)
