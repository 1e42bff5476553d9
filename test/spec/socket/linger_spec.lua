-- Closed sockets whose peers do not read: how long their unsent bytes are kept.

local lingering = require 'lingering'
local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack
local run, track = support.run, support.track
local eventually = support.eventually
local close, raises = support.close, support.raises
local connect, serve = lingering.connect, lingering.serve
local served = lingering.served
local is_whole, is_reset = lingering.is_whole, lingering.is_reset

describe('A closed socket', function()
    support.hooks(before_each, after_each)

    -- Calls f(s, peer, filled, value) with a byte that could not be sent. With
    -- `values`, one call for each of them at the same time.
    local function with_unsent(f, values)
        run(support.at_once, values or {true}, function(value)
            local s
            local server = serve(nil, function(client) s = client end)
            local peer = connect(server.port)
            assert.is_true(eventually(function() return s end))
            f(s, peer, server.filled[1], value)
            close(s, peer, server.listener)
        end)
    end

    it('gives up after setlingertime, and resets', function()
        with_unsent(function(s, peer, _, seconds)
            s:setlingertime(seconds)
            s:close()
            loop.sleep(seconds + 0.01)
            is_reset(peer)
        end, {0, 0.01})
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

    -- A peer that reads a little now and then; four blocks were unsent at the
    -- close.
    it("counts from the close in mode 't'", function()
        run(function()
            local listener = track(loop.tcp('127.0.0.1', 0))
            assert(listener:setoption('send-buffer-size', 4096))
            assert(listener:listen(8))
            listener:setlingertime(1, 't')
            local peer = connect(support.port(listener))
            local s = track(assert(listener:accept()))
            loop.sleep(0)    -- later sends are gathered
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
        with_unsent(function(s, peer, filled, seconds)
            if seconds then s:setlingertime(seconds) end
            s:close()
            loop.sleep(0.01)
            is_whole(peer, filled)
        end, {60, 30, math.huge, false})
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
        with_unsent(function(s, peer, filled, limit)
            s:settimeout(limit)
            assert.same(pack(nil, 'timeout', 0), pack(s:send 'y'))
            s:close()
            assert.equal(('f'):rep(filled), peer:receive '*a')
        end, {0, 0.01})
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
