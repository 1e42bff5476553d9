-- install, and functions of LuaSocket that the program has replaced before or
-- that are loaded later.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'
local process = require 'process'

local function methods_of(class)
    return debug.getregistry()[class].__index
end

local function is_c(f)
    return debug.getinfo(f, 'S').what == 'C'
end

-- For scripts: waits(f) prints whether other threads run while f() waits in a
-- thread.
local waiting = [[
    local loop = require 'socketloop'
    function waits(f)
        local ended, turns = false, 0
        loop.newthread(function()
            f()
            ended = true
        end)
        loop.newthread(function()
            while not ended do
                turns = turns + 1
                loop.sleep(0.001)
            end
        end)
        loop.start()
        print(turns > 0)
    end
]]

describe('a function that replaced LuaSocket\'s before install', function()
    local undo, calls, patched
    support.hooks(before_each, function(check)
        after_each(function()
            if undo then undo() end
            for _, entry in ipairs(patched) do
                entry[1][entry[2]] = entry[3]
            end
            undo = nil
            process.cleanup()
            check()
        end)
    end)
    before_each(function() calls, patched = {}, {} end)

    local function patch(table_, name)
        local original = table_[name]
        patched[#patched + 1] = {table_, name, original}
        table_[name] = function(...)
            calls[#calls + 1] = name
            return original(...)
        end
        return table_[name], function() return original end
    end

    for name, run in pairs {
        sleep = function() socket.sleep(0.02) end,
        select = function() socket.select({}, {}, 0.02) end,
    } do
        it('is called in threads, and waits: ' .. name, function()
            local replacement = patch(socket, name)
            undo = loop.install()
            assert.equal(replacement, socket[name])
            local turns, ended = 0, false
            loop.newthread(function()
                run()
                ended = true
            end)
            loop.newthread(function()
                while not ended do
                    turns = turns + 1
                    loop.sleep(0.001)
                end
            end)
            loop.start()
            assert.same({name}, calls)
            assert.is_true(turns > 0)
        end)
    end

    it('has the original again when install is undone', function()
        local original = socket.sleep
        local replacement, held = patch(socket, 'sleep')
        undo = loop.install()
        assert.is_false(is_c(held()))
        undo()
        assert.equal(replacement, socket.sleep)
        assert.equal(original, held())
    end)

    it('may be a function of C', function()
        local original = socket.sleep
        patched[1] = {socket, 'sleep', original}
        local protected = socket.protect(original)
        socket.sleep = protected
        original = nil      -- luacheck: ignore
        undo = loop.install()
        assert.equal(protected, socket.sleep)
        local first = true
        loop.newthread(function()
            socket.sleep(0.02)
            first = false
        end)
        assert.is_true(first)
        loop.start()
        assert.is_false(first)
    end)

    it('may be any of socket.dns', function()
        local names = {}
        for name in pairs(socket.dns) do names[#names + 1] = name end
        local held = {}
        for _, name in ipairs(names) do
            held[name] = select(2, patch(socket.dns, name))
        end
        undo = loop.install()
        for _, name in ipairs {'toip', 'tohostname', 'getaddrinfo',
                               'getnameinfo'} do
            assert.is_false(is_c(held[name]()))
        end
        assert.is_true(is_c(held.gethostname()))
        loop.newthread(function() socket.dns.toip '127.0.0.1' end)
        loop.start()
        assert.same({'toip'}, calls)
    end)

    it('may be a method', function()
        for _, name in ipairs {'receive', 'send', 'close', 'settimeout'} do
            patch(methods_of 'tcp{client}', name)
        end
        patch(methods_of 'tcp{server}', 'accept')
        patch(methods_of 'tcp{master}', 'connect')
        undo = loop.install()
        local listener, port = support.plain.listen()
        loop.newthread(function()
            local client = listener:accept()
            client:settimeout(5)
            loop.sleep(0.01)
            client:send 'x\n'
            client:close()
        end)
        loop.newthread(function()
            local client = socket.tcp()
            assert(client:connect('127.0.0.1', port))
            assert.equal('x', client:receive())
            client:close()
        end)
        loop.start()
        listener:close()
        table.sort(calls)
        assert.equal('accept close close connect receive send settimeout',
                     table.concat(calls, ' '))
    end)

    it('is not called for other functions', function()
        patch(socket, 'tcp')
        patch(methods_of 'tcp{master}', 'connect')
        undo = loop.install()
        local listener, port = support.plain.listen()
        loop.newthread(function()
            assert(socket.connect('127.0.0.1', port)):close()
        end)
        loop.start()
        listener:close()
        assert.same({}, calls)
    end)
end)

describe('after install', function()
    after_each(process.cleanup)

    local function prints(expected, code)
        local status, output = process.lua(waiting .. code)
        assert.equal(0, status, output)
        assert.equal(expected, output)
    end

    it('objects of a serial line wait', function()
        prints('true\ntrue\n', [[
            local path = os.tmpname()
            os.remove(path)
            assert(os.execute('mkfifo ' .. path))
            loop.install()
            local serial = require 'socket.serial'
            waits(function()
                loop.newthread(function()
                    loop.sleep(0.02)
                    local file = io.open(path, 'w')
                    file:write 'x\n'
                    file:close()
                end)
                local object = assert(serial(path))
                print(object:receive() == 'x')
                object:close()
            end)
            os.remove(path)
        ]])
    end)

    it('objects on a path wait', function()
        prints('true\n', [[
            local undo = loop.install()
            local unix = require 'socket.unix'
            waits(function()
                local one = unix.stream()
                local path = os.tmpname()
                os.remove(path)
                assert(one:bind(path))
                assert(one:listen())
                loop.newthread(function()
                    loop.sleep(0.02)
                    assert(unix.stream():connect(path))
                end)
                assert(one:accept())
                os.remove(path)
            end)
        ]])
    end)

    it('LuaSocket that is loaded again waits', function()
        prints('true\ntrue\ntrue\ntrue\n', [[
            local socket = require 'socket'
            local undo = loop.install()
            for name in pairs(package.loaded) do
                if name:find '^socket$' or name:find '^socket%.' then
                    package.loaded[name] = nil
                end
            end
            local again = require 'socket'
            print(again ~= socket)
            waits(function() again.sleep(0.02) end)
            waits(function()
                local listener = again.bind('127.0.0.1', 0)
                local host, port = listener:getsockname()
                loop.newthread(function()
                    loop.sleep(0.02)
                    assert(again.connect(host, port))
                end)
                assert(listener:accept())
            end)
            undo()
            local class = debug.getregistry()['tcp{server}'].__index
            print(debug.getinfo(again.sleep, 'S').what == 'C' and
                  debug.getinfo(class.accept, 'S').what == 'C')
        ]])
    end)

    it('require has the errors it has without install', function()
        prints('true\ntrue\nfalse\ntrue\n', [[
            require 'socket'
            local path = os.tmpname()
            local file = io.open(path, 'w')
            file:write 'no library'
            file:close()
            package.cpath = path
            local function errors()
                return select(2, pcall(require, 'nosuch')) .. '\n' ..
                    select(2, pcall(require, 'a.b'))
            end
            local list = package.searchers or package.loaders
            local before, first = errors(), list[1]
            local undo = loop.install()
            print(before == errors())
            os.remove(path)
            package.cpath = ''
            package.preload.mine = function(...) return {...} end
            print(require 'mine'[1] == 'mine')
            print(list[1] == first)
            undo()
            print(list[1] == first)
        ]])
    end)
end)
