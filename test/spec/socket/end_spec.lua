-- The end of a stream, and conditions that resemble it: a reset, and a close by
-- the program itself.

local loop = require 'socketloop'
local certificates = require 'certificates'
local relay = require 'tls_relay'
local socket = require 'socket'
local support = require 'support'

local pack, run, track = support.pack, support.run, support.track
local close, eventually = support.close, support.eventually

-- Starts receive '*a' in a thread. Returns a function that waits for the
-- results.
local function receive_all(s)
    local result
    loop.newthread(function() result = pack(s:receive '*a') end)
    return function()
        assert(eventually(function() return result end))
        return result
    end
end

-- Waits until the thread has read half of the data.
local function has_half(s)
    assert(eventually(function() return (s:getstats()) == 10 end))
end

local function reset(s)
    s:setoption('linger', {on = true, timeout = 0})
    s:close()
end

local whole = {n = 3, 'half of it'}
local partial = {n = 3, nil, 'closed', 'half of it'}

describe('The end of a stream', function()
    support.hooks(before_each, after_each)

    it('is the peer\'s', function()
        run(function()
            local s, peer = support.mixed()
            local result = receive_all(s)
            peer:send 'half of it'
            peer:close()
            assert.same(whole, result())
            s:close()
        end)
    end)

    it('is not a reset', function()
        run(function()
            local s, peer = support.mixed()
            local result = receive_all(s)
            peer:send 'half of it'
            has_half(s)
            reset(peer)
            assert.same(partial, result())
            s:close()
        end)
    end)

    it('is not a reset that a sending thread has seen', function()
        run(function()
            local s, peer = support.accepted()
            local result = receive_all(s)
            peer:send 'half of it'
            has_half(s)
            reset(peer)
            -- The loop makes no step in between, so the reader does not see the
            -- data.
            local sent, err
            repeat sent, err = s:send 'x' until not sent
            assert.equal('closed', err)
            assert.same(partial, result())
            assert.same({n = 3, nil, 'closed', 0}, pack(s:send 'x'))
            s:close()
        end)
    end)

    it('is one though the peer took no more', function()
        run(function()
            local s, peer = support.accepted()
            peer:send 'half of it'
            peer:close()
            assert(eventually(function() return not s:send 'x' end))
            assert.same(whole, pack(s:receive '*a'))
            s:close()
        end)
    end)

    it('is not faked by another thread\'s close', function()
        run(function()
            local s, peer = support.mixed()
            local result = receive_all(s)
            peer:send 'half of it'
            has_half(s)
            s:close()
            assert.same(partial, result())
            peer:close()
        end)
    end)
end)

-- Tests a loop socket, or with install an object of LuaSec's.
local function describe_tls(name, hooks, is_luasec) describe(name, function()
    local certs = certificates.of_block(pending, setup, teardown)
    if not certs then return end
    hooks(before_each, after_each)

    local function connect(version)
        return relay.tls(certs, {
            cafile = certs.trust.cafile, protocol = version,
        }, is_luasec)
    end

    -- Returns the two ends, the results of the second one's receive '*a', and
    -- the relay, when half of the data has arrived.
    local function half(version)
        local a, b, between = connect(version)
        local result = receive_all(b)
        a:send 'half of it'
        has_half(b)
        return a, b, result, between
    end

    for _, version in ipairs {'tlsv1_2', 'tlsv1_3'} do
        describe('with ' .. version, function()
            it('is a close notify', function()
                run(function()
                    local a, b, result, between = half(version)
                    a:close()
                    assert.same(whole, result())
                    assert.same({n = 3, nil, 'closed', ''}, pack(b:receive()))
                    between:cut()
                    b:close()
                end)
            end)

            it('is a close notify, also with a reset behind it', function()
                run(function()
                    local a, b, between = connect(version)
                    a:send 'first\nhalf of it'
                    assert.equal('first', b:receive())
                    a:close()
                    assert(eventually(function()
                        return relay.is_readable(b)
                    end))
                    between:cut()
                    assert.same(whole, pack(b:receive '*a'))
                    b:close()
                end)
            end)

            it('is not a reset', function()
                run(function()
                    local a, b, result, between = half(version)
                    between:cut()
                    assert.same(partial, result())
                    close(a, b)
                end)
            end)

            it('is not a reset in the middle of a record', function()
                run(function()
                    local a, b, result, between = half(version)
                    between.far:send '\23\3\3\0'
                    between:cut()
                    assert.same(partial, result())
                    close(a, b)
                end)
            end)

            it('is not the end of the connection', function()
                run(function()
                    local a, b, result, between = half(version)
                    between:cut(true)
                    result = result()
                    assert.is_nil(result[1])
                    assert.is_string(result[2])
                    assert.equal('half of it', result[3])
                    close(a, b)
                end)
            end)

            it('is not faked by another thread\'s close', function()
                run(function()
                    local a, b, result, between = half(version)
                    b:close()
                    assert.same(partial, result())
                    between:cut()
                    a:close()
                end)
            end)

            it('does not change the error of a line before a reset', function()
                run(function()
                    local a, b, between = connect(version)
                    a:send 'line\nhalf of it'
                    assert(eventually(function()
                        return relay.is_readable(b)
                    end))
                    between:cut()
                    assert.same({n = 3, 'line'}, pack(b:receive()))
                    assert.same(partial, pack(b:receive()))
                    close(a, b)
                end)
            end)
        end)
    end
end) end

describe_tls('The end of a TLS stream', support.hooks, false)
describe_tls('The end of a stream of LuaSec\'s', support.hooks_installed, true)

describe('The end of a stream of LuaSocket\'s', function()
    support.hooks_installed(before_each, after_each)

    local has_unix, unix = pcall(require, 'socket.unix')
    local path

    before_each(function() path = os.tmpname() os.remove(path) end)
    after_each(function() os.remove(path) end)

    local function on_path()
        local listener = track(loop.unix())
        assert(listener:bind(path))
        assert(listener:listen(1))
        local s = track(assert(unix.stream()))
        assert(s:connect(path))
        local peer = track(assert(listener:accept()))
        listener:close()
        return s, peer
    end

    -- Sends data that the peer will not read, so that the peer's close is a
    -- reset.
    local function reset_on_path(s, peer)
        s:send 'never read'
        peer:close()
    end

    for kind, made in pairs {
        TCP = {support.unwrapped, function(_, peer) reset(peer) end},
        unix = has_unix and {on_path, reset_on_path} or nil,
    } do
        local make, break_off = support.unpack(made)

        it('is the peer\'s: ' .. kind, function()
            run(function()
                local s, peer = make()
                local result = receive_all(s)
                peer:send 'half of it'
                has_half(s)
                peer:close()
                assert.same(whole, result())
                assert.same({n = 3, nil, 'closed', ''},
                            pack(s:receive '*a'))
                s:close()
            end)
        end)

        it('is the peer\'s, with a prefix and half a line: ' .. kind,
        function()
            run(function()
                local s, peer = make()
                peer:send 'line\nhalf '
                assert.equal('line', s:receive())
                peer:send 'of it'
                peer:close()
                assert.same({n = 3, 'just half of it'},
                            pack(s:receive('*a', 'just ')))
                assert.same({n = 3, nil, 'closed', 'x'},
                            pack(s:receive('*a', 'x')))
                s:close()
            end)
        end)

        it('is not a reset: ' .. kind, function()
            run(function()
                local s, peer = make()
                local result = receive_all(s)
                peer:send 'half of it'
                has_half(s)
                break_off(s, peer)
                assert.same(partial, result())
                s:close()
            end)
        end)

        it('is not faked by a close elsewhere: ' .. kind,
        function()
            run(function()
                local s, peer = make()
                local result = receive_all(s)
                peer:send 'half of it'
                has_half(s)
                s:close()
                assert.same(partial, result())
                peer:close()
            end)
        end)
    end

    it('is not a reset that a sending thread has seen', function()
        run(function()
            local s, peer = support.unwrapped()
            local result = receive_all(s)
            peer:send 'half of it'
            has_half(s)
            reset(peer)
            local sent, err
            repeat sent, err = s:send 'x' until not sent
            assert.equal('closed', err)
            assert.same(partial, result())
            s:close()
        end)
    end)

    it('leaves nothing that refers to the object', function()
        local objects = setmetatable({}, {__mode = 'k'})
        run(function()
            local listener = assert(socket.bind('127.0.0.1', 0))
            local ip, port = listener:getsockname()
            local s = assert(socket.connect(ip, port))
            local peer = assert(listener:accept())
            assert(peer:send 'all of it')
            close(peer, listener)
            assert.equal('all of it', s:receive '*a')
            s:close()
            objects[s] = true
        end)
        assert.equal(0, support.alive(objects))
    end)

    it('does not change the errors of lines and counts', function()
        run(function()
            for _, pattern in ipairs {'*l', 100} do
                local s, peer = support.unwrapped()
                local result
                loop.newthread(function() result = pack(s:receive(pattern)) end)
                peer:send 'half of it'
                loop.sleep(0.001)
                reset(peer)
                assert(eventually(function() return result end))
                assert.same({nil, 'closed'}, {result[1], result[2]})
                s:close()
            end
        end)
    end)
end)

describe('A LuaSocket datagram object in a thread', function()
    support.hooks_installed(before_each, after_each)

    for _, name in ipairs {'receive', 'receivefrom'} do
        it('that is closed gives no datagrams with ' .. name, function()
            run(function()
                local s = track(assert(socket.udp4()))
                assert(s:setsockname('127.0.0.1', 0))
                local result
                loop.newthread(function() result = pack(s[name](s)) end)
                s:close()
                assert.is_true(eventually(function() return result end))
                assert.same({n = 2, nil, 'closed'}, result)
                assert.same({n = 2, nil, 'closed'}, pack(s[name](s)))
            end)
        end)
    end
end)
