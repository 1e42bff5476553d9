-- Closed sockets whose peers do not take what was sent to them: how long they
-- are kept, and that they count as clients.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run, track = support.run, support.track
local eventually = support.eventually
local close, raises = support.close, support.raises

-- A client of the port with a small window, which has sent two lines; a loop
-- socket, as LuaSocket's can't tell a reset from the end.
local function connect(port)
    local peer = assert(socket.tcp4())
    assert(peer:setoption('recv-buffer-size', 4096))
    assert(peer:connect('127.0.0.1', port))
    peer = track(loop.wrap(peer))
    peer:settimeout(10)
    peer:send 'one\ntwo\n'
    return peer
end

-- Fills the client's window, and has one byte more gathered: a success.
local function leave_unsent(client)
    local filled = support.fill(client)
    client:settimeout(10)
    assert(client:receive())
    assert(client:send 'x' == 1)
    loop.sleep(0)
    return filled
end

-- A server that does so with each client, and then f(client).
local function serve(max, f)
    local server = {all = 0, filled = {}, since = {}}
    local listener = track(loop.tcp('127.0.0.1', 0))
    assert(listener:setoption('send-buffer-size', 4096))
    assert(listener:listen(32))
    listener:setmaxclients(max)
    server.listener, server.port = listener, support.port(listener)
    -- The thread that accepts keeps no client alive.
    local function take()
        local client = listener:accept()
        if not client then return false end
        local i = server.all + 1
        server.all = i
        server.since[i] = loop.now()
        loop.newthread(function()
            server.filled[i] = leave_unsent(client)
            f(client)
        end)
        return true
    end
    loop.newthread(function() repeat until not take() end)
    return server
end

-- So many clients have been filled.
local function served(server, n)
    assert.is_true(eventually(function() return server.filled[n] end))
end

-- The client gets all that was sent to it.
local function is_whole(peer, filled)
    local got, err = peer:receive '*a'
    assert.is_nil(err)
    assert.equal(filled + 1, #got)
    assert.equal('x', got:sub(-1))
end

-- It sees that it does not.
local function is_reset(peer)
    local got, err, partial = peer:receive '*a'
    assert.is_nil(got)
    assert.equal('closed', err)
    assert.is_nil(partial:find 'x')
end

describe('A closed socket', function()
    support.hooks(before_each, after_each)

    -- f(s, peer, filled) with a byte that could not be sent.
    local function with_unsent(f)
        run(function()
            local s
            local server = serve(nil, function(client) s = client end)
            local peer = connect(server.port)
            assert.is_true(eventually(function() return s end))
            f(s, peer, server.filled[1])
            close(s, peer, server.listener)
        end)
    end

    it('gives up after setlingertime, and resets', function()
        for _, seconds in ipairs {0, 0.01} do
            with_unsent(function(s, peer)
                s:setlingertime(seconds)
                s:close()
                loop.sleep(seconds + 0.01)
                is_reset(peer)
            end)
        end
    end)

    it('counts from when the peer took something last', function()
        with_unsent(function(s, peer)
            s:setlingertime(0.3)
            loop.sleep(0.4)
            s:close()
            loop.sleep(0.01)
            is_reset(peer)
        end)
    end)

    -- A peer that takes a little now and then, of four blocks that could not
    -- be sent before the close.
    it("counts from the close in mode 't'", function()
        run(function()
            local listener = track(loop.tcp('127.0.0.1', 0))
            assert(listener:setoption('send-buffer-size', 4096))
            assert(listener:listen(8))
            listener:setlingertime(1, 't')
            local peer = connect(support.port(listener))
            local s = track(assert(listener:accept()))
            loop.sleep(0)    -- sends are gathered from now on
            local size = support.fill(s) + 8001
            assert(s:receive())
            for _ = 1, 4 do assert(s:send(('x'):rep(2000))) end
            s:close()
            loop.sleep(0.6)
            local taken, data, err = 0
            repeat
                data, err = peer:receive(500)
                taken = taken + #(data or '')
                loop.sleep(0.075)
            until err
            assert.equal('closed', err)
            assert.is_true(taken < size - 500, taken)
            close(peer, listener)
        end)
    end)

    it('sends on for a minute, another time, or for ever', function()
        for _, seconds in ipairs {60, 30, math.huge, false} do
            with_unsent(function(s, peer, filled)
                if seconds then s:setlingertime(seconds) end
                s:close()
                loop.sleep(0.01)
                is_whole(peer, filled)
            end)
        end
    end)

    it('does as the socket it was accepted from', function()
        run(function()
            local server = serve(nil, function(client) client:close() end)
            server.listener:setlingertime(0)
            local peer = connect(server.port)
            served(server, 1)
            loop.sleep(0.01)
            is_reset(peer)
            close(peer, server.listener)
        end)
    end)

    it('sends nothing more when its send has timed out', function()
        with_unsent(function(s, peer, filled)
            s:settimeout(0)
            assert.same(pack(nil, 'timeout', 0), pack(s:send 'y'))
            s:close()
            assert.equal(('f'):rep(filled), peer:receive '*a')
        end)
        with_unsent(function(s, peer, filled)
            s:settimeout(0.01)
            assert.same(pack(nil, 'timeout', 0), pack(s:send 'y'))
            s:close()
            assert.equal(('f'):rep(filled), peer:receive '*a')
        end)
    end)

    it('sends all when a send has succeeded since', function()
        with_unsent(function(s, peer, filled)
            s:settimeout(0)
            assert.same(pack(nil, 'timeout', 0), pack(s:send 'y'))
            local read = 0
            assert.is_true(eventually(function()
                read = read + #peer:receive(1000)
                return s:send 'z'
            end))
            s:close()
            assert.equal('xz', peer:receive '*a':sub(-2))
            assert.is_true(read <= filled)
        end)
    end)

    it('takes no lingertime that is none', function()
        local s = loop.tcp()
        for _, good in ipairs {5, 0, math.huge} do
            assert.same(pack(1), pack(s:setlingertime(good)))
        end
        assert.same(pack(1), pack(s:setlingertime()))
        for _, bad in ipairs {-1, 0 / 0, -math.huge, 'x', {}, true} do
            raises('bad argument', s.setlingertime, s, bad)
        end
        for _, bad in ipairs {'', 'x', {}} do
            raises('bad argument', s.setlingertime, s, 1, bad)
        end
        s:close()
        s = loop.udp()
        assert.is_nil(s.setlingertime)
        s:close()
    end)
end)

describe('A closed socket with bytes to send', function()
    support.hooks(before_each, after_each)

    local function finish(client) client:close() end

    it('counts as a client, and is reset for the next one', function()
        run(function()
            local server = serve(1, finish)
            local first = connect(server.port)
            served(server, 1)
            local second = connect(server.port)
            served(server, 2)
            -- Not before it has taken nothing for a second; it was filled 0.3
            -- seconds after it was accepted.
            local waited = server.since[2] - server.since[1]
            assert.is_true(waited >= 1.29)
            is_reset(first)
            is_whole(second, server.filled[2])
            close(first, second, server.listener)
        end)
    end)

    it('is not reset if nobody needs its place', function()
        run(function()
            local server = serve(2, finish)
            local first = connect(server.port)
            served(server, 1)
            local second = connect(server.port)
            served(server, 2)
            loop.sleep(1.3)
            is_whole(first, server.filled[1])
            is_whole(second, server.filled[2])
            close(first, second, server.listener)
        end)
    end)

    it('gives its place when all is sent', function()
        run(function()
            local server = serve(1, finish)
            for i = 1, 2 do
                local peer = connect(server.port)
                served(server, i)
                is_whole(peer, server.filled[i])
                peer:close()
            end
            server.listener:close()
        end)
    end)

    it('is reset before one that took something later', function()
        run(function()
            local server = serve(2, finish)
            local peers = {}
            for i = 1, 2 do
                peers[i] = connect(server.port)
                served(server, i)
            end
            peers[3] = connect(server.port)
            served(server, 3)
            is_reset(peers[1])
            is_whole(peers[2], server.filled[2])
            is_whole(peers[3], server.filled[3])
            close(server.listener, support.unpack(peers))
        end)
    end)

    it('is not reset where all the others are open', function()
        run(function()
            local kept = {}
            local server = serve(1, function(client)
                kept[#kept + 1] = client
            end)
            local first, second = connect(server.port), connect(server.port)
            served(server, 1)
            loop.sleep(1.2)
            assert.equal(1, server.all)
            kept[1]:close()    -- idle for more than a second
            served(server, 2)
            is_reset(first)
            server.listener:setmaxclients(nil)
            kept[2]:close()
            is_whole(second, server.filled[2])
            close(first, second, server.listener)
        end)
    end)

    it('counts when it was garbage, too', function()
        run(function()
            local server = serve(1, function() end)
            local first = connect(server.port)
            served(server, 1)
            support.collect()
            local second = connect(server.port)
            served(server, 2)
            assert.is_true(server.since[2] - server.since[1] >= 1.29)
            is_reset(first)
            support.collect()
            is_whole(second, server.filled[2])
            close(first, second, server.listener)
        end)
    end)

    it('is no way around setmaxclients', function()
        local lfs = require 'lfs'
        if not lfs.attributes '/proc/self/fd' then return end
        local function descriptors()
            local n = 0
            for _ in lfs.dir '/proc/self/fd' do n = n + 1 end
            return n
        end
        run(function()
            local server = serve(3, finish)
            local peers = {}
            local before = descriptors()
            for i = 1, 9 do peers[i] = connect(server.port) end
            local most = 0
            assert.is_true(eventually(function()
                most = math.max(most, descriptors() - before - #peers)
                return server.filled[9]
            end))
            assert.is_true(most <= 3)
            local whole = 0
            for i = 1, 9 do
                whole = whole + (peers[i]:receive '*a' and 1 or 0)
            end
            assert.equal(3, whole)
            close(server.listener, support.unpack(peers))
        end)
    end)
end)
