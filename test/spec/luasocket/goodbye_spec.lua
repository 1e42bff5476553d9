-- LuaSocket's objects under install in unusual situations: after a connect that
-- failed, and in a finalizer.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'
local process = require 'process'

local pack, run = support.pack, support.run

support.hooks(before_each, function(check)
    after_each(function()
        process.cleanup()
        check()
    end)
end)

-- Asserts that the calls give equal results in a thread and outside.
local function like_luasocket(f)
    local expected = pack(f())
    local undo = loop.install()
    local got = run(function() return pack(f()) end)
    undo()
    assert.same(expected, got)
end

describe('a LuaSocket object that could not be connected', function()
    for _, make in ipairs {'tcp', 'tcp4'} do
        it('keeps a descriptor: ' .. make, function()
            like_luasocket(function()
                local s = socket[make]()
                local ok, err = s:connect('127.0.0.1', support.closedport())
                local has_fd = s:getfd() >= 0
                local class = tostring(s):match '^[^:]*'
                local address = s:getsockname()
                local set = s:setoption('tcp-nodelay', true)
                local line, why = s:receive()
                s:close()
                return ok, err, has_fd, class, address, set, line, why
            end)
        end)

        it('has no descriptor if the name is unknown: ' .. make, function()
            like_luasocket(function()
                local s = socket[make]()
                local ok = s:connect('nobody.invalid', 1)
                local has_fd = s:getfd() >= 0
                s:close()
                return ok, has_fd
            end)
        end)
    end

    it('may take an address of the other family then', function()
        if not support.has_ipv6() then return end
        local listener, port = support.plain.listen()
        like_luasocket(function()
            local s = socket.tcp()
            assert(not s:connect('::1', support.closedport()))
            local had = s:getfd() >= 0
            local ok = s:connect('127.0.0.1', port)
            s:close()
            return had, ok
        end)
        listener:close()
    end)

    it('can be connected then', function()
        local listener, port = support.plain.listen()
        like_luasocket(function()
            local s = socket.tcp()
            assert(not s:connect('127.0.0.1', support.closedport()))
            s:settimeout(5)
            local ok = s:connect('127.0.0.1', port)
            s:close()
            return ok
        end)
        listener:close()
    end)
end)

-- Calls f when the returned object is collected.
local function finalized(f)
    if not newproxy then return setmetatable({}, {__gc = f}) end
    local proxy = newproxy(true)    -- luacheck: ignore
    getmetatable(proxy).__gc = f
    return proxy
end

describe('a finalizer in a thread', function()
    local undo, client
    before_each(function()
        local listener, port = support.plain.listen()
        process.start(process.script(([[
            local socket = require 'socket'
            local s = assert(socket.connect('127.0.0.1', %d))
            for line in function() return s:receive() end do
                socket.sleep(0.05)
                s:send('re ' .. line .. '\n')
            end
        ]]):format(port)))
        listener:settimeout(process.limit)
        client = assert(listener:accept())
        listener:close()
        undo = loop.install()
    end)
    after_each(function()
        undo()
        client:close()
    end)

    -- Returns the results of f in the finalizer of a thread that has used the
    -- client.
    local function results_of(f)
        local results
        run(function()
            client:send 'HELLO\n'
            assert.equal('re HELLO', client:receive())
            finalized(function()
                results = results or pack(pcall(f))
            end)
            for _ = 1, 3 do collectgarbage() end
        end)
        return results
    end

    it('sends a goodbye, and waits for the answer', function()
        local results = results_of(function()
            client:send 'QUIT\n'
            return client:receive()
        end)
        assert.is_true(results[1], results[2])
        assert.equal('re QUIT', results[2])
    end)

    it('gives up when the time is over', function()
        local results = results_of(function()
            client:settimeout(0.02)
            return (select(2, client:receive()))
        end)
        assert.same({true, 'timeout', n = 2}, results)
        client:settimeout(process.limit)
        client:send 'x\n'
        assert.equal('re x', (client:receive()))
    end)

    it('selects and sleeps', function()
        local results = results_of(function()
            client:send 'QUIT\n'
            socket.sleep(0.001)
            return socket.select({client}, nil, process.limit)[1] == client
        end)
        assert.same({true, true, n = 2}, results)
        assert.equal('re QUIT', (client:receive()))
    end)

    it('works with the collector stopped before', function()
        collectgarbage 'stop'
        local others, ended = 0, false
        loop.newthread(function()
            client:send 'x\n'
            client:receive()
            ended = true
        end)
        loop.newthread(function()
            while not ended do
                others = others + 1
                loop.sleep(0.001)
            end
        end)
        loop.start()
        collectgarbage 'restart'
        assert.is_true(others > 0)
    end)
end)
