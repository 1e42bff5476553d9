-- With install no call delays the other threads, however fast the peer is.

local loop = require 'socketloop'
local certificates = require 'certificates'
local process = require 'process'
local relay = require 'tls_relay'
local support = require 'support'

local run, track = support.run, support.track
local close, eventually = support.close, support.eventually

local has_unix, unix = pcall(require, 'socket.unix')

-- SIZE is more than 64 KiB and less than a peer's window and the sender's
-- buffer hold together: one call could move it all. Two budgets may be used in
-- a row if the thread has waited in between.
local SIZE = 1000000
local SHARE = 2 * 65536 + 16384

describe('An object of LuaSocket\'s', function()
    local certs, path

    setup(function()
        certs = certificates.possible and certificates.make()
    end)
    teardown(process.cleanup)
    before_each(function() path = os.tmpname() os.remove(path) end)
    after_each(function() os.remove(path) end)
    support.hooks_installed(before_each, after_each)

    local makers = {TCP = support.unwrapped}

    if has_unix then
        makers.unix = function()
            local listener = track(loop.unix())
            assert(listener:bind(path))
            assert(listener:listen(1))
            local s = track(assert(unix.stream()))
            assert(s:connect(path))
            local peer = track(assert(listener:accept()))
            listener:close()
            return s, peer
        end
    end

    if certificates.possible then
        makers.TLS = function()
            local peer, s, between = relay.tls(certs, certs.trust, true)
            track(between.near)
            track(between.far)
            return s, peer
        end
    end

    -- Calls f(), and asserts that the object moves a limited number of bytes
    -- before other threads get a turn. which: 1 received, 2 sent.
    local function moves_in_shares(s, which, f)
        local done, most, turns = false, 0, 0
        local function moved() return (select(which, s:getstats())) end
        loop.newthread(function()
            local before = moved()
            repeat
                loop.sleep(0)
                local now = moved()
                most = math.max(most, now - before)
                before, turns = now, turns + 1
            until done
        end)
        f()
        done = true
        loop.sleep(0)
        assert.is_true(most <= SHARE, most)
        assert.is_true(turns >= math.floor(SIZE / SHARE), turns)
    end

    -- The peer sends; another thread has let it send all that fits.
    local function sends(peer, data)
        loop.newthread(function()
            peer:send(data)
            peer:close()
        end)
        loop.sleep(0.01)
    end

    for kind, make in pairs(makers) do
        for name, pattern in pairs {['a count'] = SIZE, all = '*a'} do
            it(('yields while it receives %s: %s'):format(name, kind),
            function()
                run(function()
                    local s, peer = make()
                    sends(peer, ('x'):rep(SIZE))
                    moves_in_shares(s, 1, function()
                        assert.equal(SIZE, #s:receive(pattern))
                    end)
                    s:close()
                end)
            end)
        end

        if kind ~= 'TLS' then
            for name, piece in pairs {['a line'] = 'x\r', returns = '\r\r'} do
                it(('yields while it receives %s: %s'):format(name, kind),
                function()
                    run(function()
                        local s, peer = make()
                        local line = piece:rep(SIZE / 2) .. 'y'
                        sends(peer, 'first\n' .. line .. '\nz')
                        assert.equal('first', s:receive())
                        moves_in_shares(s, 1, function()
                            assert.equal((line:gsub('\r', '')), s:receive())
                        end)
                        assert.equal('z', s:receive '*a')
                        s:close()
                    end)
                end)
            end
        end

        it('yields while it sends: ' .. kind, function()
            run(function()
                local s, peer = make()
                local got
                loop.newthread(function() got = peer:receive(SIZE) end)
                moves_in_shares(s, 2, function()
                    assert.equal(SIZE, s:send('123' .. ('x'):rep(SIZE), 4) - 3)
                end)
                assert.is_true(eventually(function() return got end))
                close(s, peer)
            end)
        end)
    end

    it('is read by one thread, also while that yields', function()
        run(function()
            local s, peer = support.unwrapped()
            sends(peer, ('x'):rep(SIZE))
            local result
            loop.newthread(function() result = s:receive '*a' end)
            while not result do
                assert.error_matches(function() s:receive(1) end,
                    'already waited on by another thread')
                loop.sleep(0)
            end
            assert.equal(SIZE, #result)
            s:close()
        end)
    end)

    it('has a timeout for a call that yields', function()
        run(function()
            local s, peer = support.unwrapped()
            local stop = false
            loop.newthread(function()
                while not stop do
                    if not peer:send(('x'):rep(65536)) then break end
                end
                peer:close()
            end)
            s:settimeout(0.05, 't')
            local data, err, part = s:receive '*a'
            assert.is_nil(data)
            assert.equal('timeout', err)
            assert.is_true(#part > 0)
            stop = true
            s:close()
        end)
    end)

    it('counts, prefixes and indices stay right', function()
        run(function()
            local s, peer = support.unwrapped()
            peer:send 'one\ntwo\n34567rest'
            assert.equal('a one', s:receive('*l', 'a '))
            assert.equal('two', s:receive())
            assert.equal('xx345', s:receive('5', 'xx'))
            assert.equal('67', s:receive(2, nil))
            assert.equal('long', s:receive(3, 'long'))
            for _, args in ipairs {
                {'*x'}, {-1}, {{}}, {'*l', {}}, {'*a', true}, {5, {}},
            } do
                assert.error_matches(function()
                    s:receive(support.unpack(args))
                end, "bad argument #%d to 'receive'")
            end
            assert.equal(3, s:send('abcde', 2, 3))
            assert.equal(5, s:send('fghij', -2))
            assert.equal(0, s:send '')
            assert.equal(3, s:send('xyz', 4))
            assert.equal(2, s:send(12))
            assert.error_matches(function() s:send {} end,
                "bad argument #1 to 'send'")
            assert.error_matches(function() s:send('x', {}) end,
                "bad argument #2 to 'send'")
            assert.equal('bcij12', peer:receive(6))
            peer:close()
            assert.equal('rest', s:receive '*a')
            s:close()
        end)
    end)
end)
