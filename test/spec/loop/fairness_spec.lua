-- Fairness: no thread starves, and a slow peer delays only its own connection.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local run = support.run
local some = support.some

-- Two threads that send and receive without a pause until stop() is called.
-- Returns stop and a function that returns the number of bytes received.
local function stream()
    local client, server = support.pair()
    local bytes, stopped = 0, false
    local data = ('x'):rep(65536)
    loop.newthread(function()
        while not stopped do
            if not client:send(data) then break end
        end
        client:close()
    end)
    loop.newthread(function()
        while true do
            local got, _, partial = server:receive(1000)
            bytes = bytes + #(got or partial)
            if not got then break end
        end
        server:close()
    end)
    return function() stopped = true end, function() return bytes end
end

-- Round trips of a line on a new connection.
local function ping_pong(count)
    local client, server = support.pair()
    loop.newthread(function()
        while true do
            local line = server:receive()
            if not line then break end
            server:send(line .. '\n')
        end
        server:close()
    end)
    for i = 1, count do
        client:send(i .. '\n')
        assert(client:receive() == tostring(i))
    end
    client:close()
end

describe('a busy connection', function()
    support.hooks(before_each, after_each)

    it('leaves turns to the I/O of other threads', function()
        run(function()
            local stop, bytes = stream()
            local elapsed = support.timed(ping_pong, some(100))
            assert.is_true(elapsed < 5, elapsed)
            assert.is_true(bytes() > 0)
            stop()
        end)
    end)

    it('leaves sleepers to wake', function()
        run(function()
            local stop = stream()
            local elapsed = support.timed(function()
                for _ = 1, 10 do loop.sleep(0.005) end
            end)
            assert.is_true(elapsed < 5, elapsed)
            stop()
        end)
    end)

    it('leaves new clients to be accepted', function()
        local port, listener = support.serve(function(client)
            client:send 'hello\n'
            client:close()
        end)
        run(function()
            local stop = stream()
            for _ = 1, 10 do
                local client = assert(loop.connect('127.0.0.1', port))
                assert.equal('hello', (client:receive()))
                client:close()
            end
            stop()
            listener:close()
        end)
    end)

    it('leaves step to return', function()
        local stop, bytes
        loop.newthread(function() stop, bytes = stream() end)
        for _ = 1, 100 do
            if stop then break end
            loop.step(1)
        end
        local elapsed = support.timed(function()
            for _ = 1, 20 do loop.step(1) end
        end)
        assert.is_true(elapsed < 5, elapsed)
        assert.is_true(bytes() > 0)
        stop()
        while loop.step(1) do end    -- luacheck: ignore 542
    end)

    it('is not alone among several busy ones', function()
        run(function()
            local stops, counts = {}, {}
            for i = 1, 5 do stops[i], counts[i] = stream() end
            assert(support.eventually(function()
                for i = 1, 5 do
                    if counts[i]() < some(200000) then return false end
                end
                return true
            end))
            for i = 1, 5 do stops[i]() end
        end)
    end)
end)

describe('a thread that never needs to wait', function()
    support.hooks(before_each, after_each)

    -- Counts the turns that another thread gets while f runs.
    local function turns_beside(f)
        local turns, ended = 0, false
        run(function()
            loop.newthread(function()
                while not ended do
                    turns = turns + 1
                    loop.sleep(0)
                end
            end)
            f()
            ended = true
        end)
        return turns
    end

    it('because its lines have arrived yields to others', function()
        local client, server = support.mixed()
        local lines = some(20000)
        -- The peer's data is in the kernel's buffer and in the socket's.
        local turns = turns_beside(function()
            local sent, got = 0, 0
            local batch = ('x\n'):rep(1000)
            while got < lines do
                if sent < lines then
                    assert(server:send(batch))
                    sent = sent + 1000
                end
                for _ = 1, 1000 do assert(client:receive()) end
                got = got + 1000
            end
        end)
        client:close()
        server:close()
        assert.is_true(turns >= lines / 1000, turns)
    end)

    it('because its data can be sent yields to others', function()
        local client, server = support.mixed()
        local chunk = ('x'):rep(1000)
        assert(client:setoption('tcp-nodelay', true))
        server:settimeout(5)
        local turns = turns_beside(function()
            for _ = 1, some(200) do
                for _ = 1, 20 do assert(client:send(chunk)) end
                assert(#server:receive(20000) == 20000)
            end
        end)
        client:close()
        server:close()
        assert.is_true(turns >= some(4), turns)
    end)

    it('yields inside C functions, too', function()
        local client, server = support.mixed()
        local rounds = some(20)
        local turns = turns_beside(function()
            for _ = 1, rounds do
                assert(server:send(('x\n'):rep(1000)))
                table.sort({1, 2}, function()
                    for _ = 1, 1000 do assert(client:receive()) end
                    return false
                end)
            end
        end)
        client:close()
        server:close()
        assert.is_true(turns >= rounds, turns)
    end)
end)

describe('clients that send slowly', function()
    support.hooks(before_each, after_each)

    it('do not delay another one', function()
        local port, listener = support.serve(function(client)
            while true do
                local line = client:receive()
                if not line then break end
                client:send('echo ' .. line .. '\n')
            end
            client:close()
        end)
        local slow, dripped, stop = {}, 0, false
        for i = 1, 20 do slow[i] = support.plain.connect(port) end
        run(function()
            for i = 1, 20 do slow[i]:send 'half a line' end
            loop.newthread(function()
                while not stop do
                    for i = 1, 20 do slow[i]:send '.' end
                    dripped = dripped + 1
                    loop.sleep(0.001)
                end
                for i = 1, 20 do slow[i]:send '\n' end
            end)
            assert(support.eventually(function() return dripped > 3 end))

            local client = assert(loop.connect('127.0.0.1', port))
            local elapsed = support.timed(function()
                for i = 1, some(50) do
                    client:send(i .. '\n')
                    assert.equal('echo ' .. i, (client:receive()))
                end
            end)
            client:close()
            assert.is_true(elapsed < 2, elapsed)

            -- The slow clients are answered in the end.
            stop = true
            for i = 1, 20 do
                local wrapped = loop.wrap(slow[i])
                wrapped:settimeout(support.limit)
                local line = assert(wrapped:receive())
                assert.equal('echo half a line' .. ('.'):rep(dripped), line)
                wrapped:close()
            end
            listener:close()
        end)
    end)

    it('do not delay a sleeper', function()
        run(function()
            local pairs_of, got = {}, 0
            for i = 1, 20 do
                local client, server = support.pair()
                pairs_of[i] = client
                loop.newthread(function()
                    local line = server:receive()
                    if line == 'half and half' then got = got + 1 end
                    server:close()
                end)
                client:send 'half'
            end
            local start = socket.gettime()
            for _ = 1, 10 do loop.sleep(0.002) end
            assert.is_true(socket.gettime() - start < 2)
            for i = 1, 20 do
                pairs_of[i]:send ' and half\n'
                pairs_of[i]:close()
            end
            assert(support.eventually(function() return got == 20 end))
        end)
    end)
end)
