-- The descriptors, memory and time of other clients that a remote peer can take
-- from a server with the limits of doc/security.md. The server is another
-- process (host/attacked.lua), as are attackers that are many.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'
local process = require 'process'
local certificates = require 'certificates'

local run, track, eventually = support.run, support.track, support.eventually

local here = process.folder and support.fds() and socket.tcp4

-- Sanitizers and valgrind allocate memory that isn't the server's.
local has_own_memory = not os.getenv 'SOCKETLOOP_TEST_LIMIT'

-- The bytes that the server sends to peers that never read.
local big = 10000000

-- The limits of doc/security.md, but shorter.
local function limits(changed)
    local settings = {
        clients = 20, seconds = 0.2, lifetime = 1, line = 1000, read = 10000,
        linger = 0.2,
    }
    for name, value in pairs(changed or {}) do settings[name] = value end
    return settings
end

local function as_text(settings)
    local parts = {}
    for name, value in pairs(settings) do
        value = type(value) == 'table' and as_text(value) or
            type(value) == 'string' and ('%q'):format(value) or tostring(value)
        parts[#parts + 1] = ('%s = %s'):format(name, value)
    end
    return '{' .. table.concat(parts, ', ') .. '}'
end

-------------------------------------------------------------------------------
-- The server

local attacked = {}
attacked.__index = attacked

-- Runs in a thread. `settings` changes limits; `before` is a shell command that
-- is run before the server.
local function serve(settings, before)
    local self = setmetatable({settings = limits(settings)}, attacked)
    local command = ('exec %s %s/host/attacked.lua %s'):format(
        process.quote(process.interpreter), process.folder,
        process.quote(as_text(self.settings)))
    self.process = process.start((before and before .. '; ' or '') .. command)
    self.port, self.figures_port, self.datagram_port =
        self.process:expect(function(output)
            return output:match '^%d+\n%d+\n%d+\n'
        end, loop.sleep):match '^(%d+)\n(%d+)\n(%d+)\n'
    self.control = track(assert(loop.connect('127.0.0.1', self.figures_port)))
    self.before = self:figures()
    self.most = 0
    return self
end

-- The server's current figures: descriptors, kilobytes of Lua's, peak kilobytes
-- of all memory, steps of the loop.
function attacked:figures()
    self.control:send '\n'
    local line = assert(self.control:receive())
    local fds, lua, peak, steps = line:match '^(%S+) (%S+) (%S+) (%S+)$'
    return {fds = tonumber(fds), lua = tonumber(lua), peak = tonumber(peak),
            steps = tonumber(steps)}
end

-- Asserts that a well-behaved client is served, whatever other clients do.
function attacked:is_alive(secure)
    local s = track(assert(loop.connect('127.0.0.1', self.port)))
    s:settimeout(support.limit, 't')
    if secure then assert(s:starttls(secure, 'localhost')) end
    assert(s:send 'echo hello\n')
    assert.equal('hello', (s:receive()))
    s:close()
end

-- Calls f until it returns a result, or so many times. Asserts that the
-- server's number of descriptors stays below the limit.
function attacked:bounded(f, times)
    local result
    assert.is_true(eventually(function()
        local open = self:figures().fds - self.before.fds
        assert.is_true(open <= self.settings.clients + 1, open)
        self.most = math.max(self.most, open)
        result = f and f()
        times = times and times - 1
        return result or times == 0
    end))
    return result
end

-- Asserts that the attack has taken many descriptors.
function attacked:was_full()
    assert.is_true(self.most >= self.settings.clients / 2, self.most)
end

-- Waits until the server has no more descriptors than before the attack.
function attacked:is_rid_of_them()
    self:bounded(function()
        return self:figures().fds == self.before.fds
    end)
end

-- Asserts that the server has recovered: its memory has grown by at most so
-- many kilobytes.
function attacked:recovers(lua, memory)
    self:is_rid_of_them()
    local now = self:figures()
    assert.is_true(now.lua - self.before.lua <= lua, now.lua - self.before.lua)
    if has_own_memory then
        assert.is_true(now.peak - self.before.peak <= memory,
                       now.peak - self.before.peak)
    end
    self.control:close()
    self.process:stop()
end

-------------------------------------------------------------------------------
-- Attackers

-- Returns a connection, whose receive buffer has that size if one is given.
local function connect(port, size)
    local s = assert(socket.tcp4())
    if size then assert(s:setoption('recv-buffer-size', size)) end
    assert(s:connect('127.0.0.1', port))
    return track(loop.wrap(s))
end

-- Starts so many attackers, each with a connection and a thread that calls
-- f(connection). The returned function is true when all have ended.
local function attack(server, count, f, size)
    local left = count
    for _ = 1, count do
        loop.newthread(function()
            local s = connect(server.port, size)
            f(s)
            s:close()
            left = left - 1
        end)
    end
    return function() return left == 0 end
end

-- Starts so many clients that send a text and read nothing, with small buffers.
-- They stay until the returned function is called.
local function attack_and_hold(server, count, text)
    local peers = {}
    for i = 1, count do
        peers[i] = connect(server.port, 4096)
        peers[i]:send(text)
    end
    return function() support.close(support.unpack(peers)) end
end

-- Starts a process that runs a script, which knows the port and the number of
-- attackers.
local function attack_from_afar(port, count, code)
    local before = ('unset SOCKETLOOP_POLLER; ulimit -n %d'):format(count + 50)
    return process.start(process.script(([[
        local loop = require 'socketloop'
        local port, count = %d, %d
    ]]):format(port, count) .. code, before))
end

-- Sends `again` repeatedly, and reads nothing, until the server closes.
local function flood(first, again)
    return function(s)
        s:send(first)
        repeat until not s:send(again)
    end
end

local function until_closed(s) repeat until not s:receive(1000) end

-------------------------------------------------------------------------------

describe('A limited server', function()
    if not here then
        pending 'there is no way to tell what it takes'
        return
    end
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    -- f(server) is an attack. `before` is a shell command that is run before
    -- the server. Lua's memory may grow by `lua` kilobytes, by default 256; all
    -- memory by 8 MiB.
    local function withstands(settings, f, before, lua)
        run(function()
            local server = serve(settings, before)
            f(server)
            server:recovers(lua or 256, 8192)
        end)
    end

    it('stands slow senders', function()
        withstands(nil, function(server)
            local all = attack(server, 30, function(s)
                repeat loop.sleep(0.02) until not s:send 'x'
            end)
            server:bounded(nil, 3)
            server:is_alive()
            server:was_full()
            server:bounded(all)
        end)
    end)

    it('stands clients that send little, but never stop', function()
        withstands({lifetime = 0.3, seconds = 5}, function(server)
            local all = attack(server, 30, function(s)
                repeat loop.sleep(0.02) until not s:send 'echo x\n'
            end)
            server:bounded(nil, 3)
            server:is_alive()
            server:was_full()
            server:bounded(all)
        end)
    end)

    it('stands clients that never read', function()
        withstands({big = big}, function(server)
            local release = attack_and_hold(server, 30, 'big ' .. big .. '\n')
            server:bounded(nil, 3)
            server:is_alive()
            server:was_full()
            server:is_rid_of_them()
            release()
        end)
    end)

    it('stands clients that leave bytes to be sent', function()
        withstands({buffer = 4096, lifetime = 5}, function(server)
            local release = attack_and_hold(server, 30, 'leave\none\ntwo\n')
            server:bounded(nil, 3)
            server:is_alive()
            server:was_full()
            server:is_rid_of_them()
            release()
        end)
    end)

    it('stands clients that vanish', function()
        local vanish = process.helper 'vanish'
        if not vanish then return pending 'for Linux only' end
        withstands({big = big}, function(server)
            for _, text in ipairs {'', 'echo', 'big ' .. big .. '\n'} do
                process.start(('exec %s %d 10 %s'):format(vanish, server.port,
                    process.quote(text))):expect(function(output)
                        return output:match 'vanished'
                    end, loop.sleep)
            end
            server:is_alive()
            server:is_rid_of_them()
        end)
    end)

    it('stands TLS handshakes that never begin or end', function()
        if not certificates.possible then return pending 'no LuaSec' end
        local certs = certificates.make()
        local tls = certs.good.server
        tls.handshake_timeout = 0.2
        withstands({tls = tls}, function(server)
            local silent = attack(server, 15, until_closed)
            local slow = attack(server, 15, function(s)
                local hello = '\22\3\1\0\200\1\0\0\196\3\3' .. ('r'):rep(190)
                for i = 1, #hello do
                    if not s:send(hello:sub(i, i)) then break end
                    loop.sleep(0.02)
                end
                until_closed(s)
            end)
            server:bounded(nil, 3)
            server:is_alive(certs.trust)
            server:was_full()
            server:bounded(function() return silent() and slow() end)
        end, nil, 512)
    end)

    it('stands lines without end', function()
        withstands({seconds = 5}, function(server)
            local all = attack(server, 20, flood('', ('x'):rep(100000)))
            server:is_alive()
            server:bounded(all)
        end)
    end)

    it('stands more than it wants to receive', function()
        withstands({seconds = 5}, function(server)
            for _, first in ipairs {'all\n', 'count 100000000\n'} do
                local all = attack(server, 20, flood(first, ('x'):rep(100000)))
                server:is_alive()
                server:bounded(all)
            end
        end)
    end)

    it('stands clients that reconnect at once', function()
        withstands(nil, function(server)
            local attacker = attack_from_afar(server.port, 50, [[
                local ends = loop.now() + 0.7
                for _ = 1, count do
                    loop.newthread(function()
                        while loop.now() < ends do
                            local s = loop.tcp()
                            s:settimeout(5, 't')
                            if s:connect('127.0.0.1', port) then
                                s:send 'echo x\n'
                                s:receive()
                            end
                            s:close()
                        end
                    end)
                end
                loop.start()
            ]])
            for _ = 1, 5 do
                server:bounded(nil, 2)
                server:is_alive()
            end
            assert.same({0, ''}, {attacker:wait(loop.sleep)})
        end)
    end)

    it('stands ten thousand at once', function()
        local each, here_too = 2500, process.max_descriptors()
        if here_too < each + 50 then
            return pending 'the limit of descriptors is too low'
        end
        withstands({clients = 200, seconds = 0.05}, function(server)
            local attackers = {}
            for i = 1, 4 do
                attackers[i] = attack_from_afar(server.port, each, [[
                    local left = count
                    for _ = 1, count do
                        loop.newthread(function()
                            local s = loop.tcp()
                            s:settimeout(20, 't')
                            if s:connect('127.0.0.1', port) then
                                s:receive '*a'
                            end
                            s:close()
                            left = left - 1
                        end)
                    end
                    print 'begun'
                    io.stdout:flush()
                    while left > 0 do loop.step() end
                ]])
            end
            for i = 1, 4 do
                attackers[i]:expect(function(output)
                    return output:match 'begun'
                end, loop.sleep)
            end
            server:bounded(nil, 10)
            server:is_alive()
            server:was_full()
            for i = 1, 4 do attackers[i]:stop() end
        end, 'ulimit -n 230')
    end)

    it('pauses where only descriptors limit it', function()
        withstands({clients = 100, seconds = 0.5}, function(server)
            local all = attack(server, 60, until_closed)
            local start = server:figures().steps
            loop.sleep(0.3)
            local steps = server:figures().steps - start
            assert.is_true(steps < 100, steps)
            server:is_alive()
            server:bounded(all)
        end, 'ulimit -n 30')
    end)

    it('stands a flood of datagrams', function()
        withstands(nil, function(server)
            local attackers = {}
            for i = 1, 3 do
                attackers[i] = attack_from_afar(server.datagram_port, 50, [[
                    local socket = require 'socket'
                    local s = assert(socket.udp())
                    assert(s:setpeername('127.0.0.1', port))
                    local ends = socket.gettime() + 0.7
                    repeat
                        for _ = 1, 100 do s:send 'x' end
                    until socket.gettime() > ends
                ]])
            end
            loop.sleep(0.1)
            for _ = 1, 3 do server:is_alive() end
            for i = 1, 3 do
                assert.same({0, ''}, {attackers[i]:wait(loop.sleep)})
            end
        end)
    end)
end)
