-- Closed sockets with unsent bytes count as clients of their server.

local lingering = require 'lingering'
local loop = require 'socketloop'
local support = require 'support'

local run = support.run
local eventually = support.eventually
local close = support.close
local connect, serve = lingering.connect, lingering.serve
local served = lingering.served
local is_whole, is_reset = lingering.is_whole, lingering.is_reset

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
            -- The first client is reset when it has taken nothing for a second.
            -- Its buffer was full 0.3 seconds after the accept.
            local waited = server.since[2] - server.since[1]
            assert.is_true(waited >= 1.29)
            is_reset(first)
            is_whole(second, server.filled[2])
            close(first, second, server.listener)
        end)
    end)

    it('is not reset if its place is not needed', function()
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

    it('is not reset while all the others are open', function()
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
