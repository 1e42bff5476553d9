-- Objects that do their own I/O (own_io.lua's and LuaSec's), after a failure or
-- while they make no progress.

local loop = require 'socketloop'
local certificates = require 'certificates'
local own_io = require 'own_io'
local relay = require 'tls_relay'
local socket = require 'socket'
local support = require 'support'

local pack, run, track = support.pack, support.run, support.track
local close, eventually = support.close, support.eventually
local methods = own_io.methods

local function pair(opts)
    local client, peer = support.plain.pair()
    local o = own_io.object(client, opts)
    return track(loop.wrap(o)), peer, o
end

-- Makes a method fail with this error, and counts its calls.
local function failing(o, name, err, partial)
    o[name] = function()
        o.calls = o.calls + 1
        return nil, err, partial
    end
end

describe('An error of a foreign object', function()
    support.hooks(before_each, after_each)

    it('that receives is final for both directions', function()
        run(function()
            local s, peer, o = pair()
            failing(o, 'receive', 'bad record', 'x')
            assert.same({n = 3, nil, 'bad record', 'x'}, pack(s:receive(5)))
            for _ = 1, 2 do
                assert.same({n = 3, nil, 'bad record', ''}, pack(s:receive()))
                assert.same({n = 3, nil, 'bad record', 'p'},
                            pack(s:receive('*a', 'p')))
                assert.same({n = 3, nil, 'bad record', 2},
                            pack(s:send('abc', 3)))
            end
            assert.equal(1, o.calls)
            close(s, peer)
            assert.equal(1, o.closed)
        end)
    end)

    it('that sends is final for both directions', function()
        run(function()
            local s, peer, o = pair()
            failing(o, 'send', nil)
            assert.same({n = 3, nil, 'unknown error', 0}, pack(s:send 'abc'))
            peer:send 'line\n'
            assert.same({n = 3, nil, 'unknown error', ''}, pack(s:receive()))
            assert.equal(1, o.calls)
            close(s, peer)
        end)
    end)

    it('behind a whole line comes with the next one', function()
        run(function()
            local s, peer, o = pair()
            s:setmaxline(100)
            failing(o, 'receive', 'bad record', 'line\nmore')
            assert.equal('line', s:receive())
            assert.same({n = 3, nil, 'bad record', 'more'}, pack(s:receive()))
            assert.equal(1, o.calls)
            close(s, peer)
        end)
    end)

    it('is final for the thread that waits, too', function()
        run(function()
            local s, peer, o = pair()
            local result
            loop.newthread(function() result = pack(s:receive()) end)
            failing(o, 'send', 'bad write')
            assert.same({n = 3, nil, 'bad write', 0}, pack(s:send 'x'))
            assert.is_true(eventually(function() return result end))
            assert.same({n = 3, nil, 'bad write', ''}, result)
            assert.equal(2, o.calls)
            close(s, peer)
        end)
    end)

    it('is final for methods that do I/O, and no others', function()
        run(function()
            local s, peer, o = pair()
            failing(o, 'dohandshake', 'bad hello')
            function o.info() return nil, 'no info' end
            assert.same({n = 2, nil, 'no info'}, pack(s:info()))
            assert.same({n = 3, nil, 'bad hello'}, pack(s:dohandshake()))
            assert.same({n = 2, nil, 'bad hello'}, pack(s:dohandshake()))
            assert.same({n = 2, nil, 'bad hello'},
                        pack(s:call_async(o.receive, o, 3)))
            assert.same({n = 2, nil, 'no info'}, pack(s:info()))
            assert.same({n = 3, nil, 'bad hello', ''}, pack(s:receive()))
            assert.equal(1, o.calls)
            close(s, peer)
        end)
    end)

    it('is not that of another object that takes its place', function()
        run(function()
            local s, peer, o = pair()
            failing(o, 'receive', 'bad record')
            s:receive()
            s:setsocket(own_io.object(o.inner))
            peer:send 'line\n'
            assert.equal('line', s:receive())
            close(s, peer)
        end)
    end)

    it("is not final if it is 'closed', in one direction", function()
        run(function()
            local s, peer = pair()
            peer:shutdown 'send'
            assert.same({n = 3, nil, 'closed', ''}, pack(s:receive()))
            assert.same({n = 3, nil, 'closed', ''}, pack(s:receive()))
            assert.equal(5, s:send 'hello')
            assert.equal('hello', peer:receive(5))
            close(s, peer)
            local o
            s, peer, o = pair()
            failing(o, 'send', 'Broken pipe')
            assert.same({n = 3, nil, 'closed', 0}, pack(s:send 'x'))
            assert.same({n = 3, nil, 'closed', 0}, pack(s:send 'x'))
            peer:send 'line\n'
            assert.equal('line', s:receive())
            close(s, peer)
        end)
    end)
end)

describe('A foreign object that gets nowhere', function()
    support.hooks(before_each, after_each)

    -- The object returns this error in each call though its descriptor is
    -- ready.
    local function stuck(word)
        local s, peer, o = pair()
        peer:send 'never read'
        failing(o, 'receive', word, '')
        failing(o, 'send', word, 0)
        o.work = o.send
        s:settimeout(0.1)
        return s, peer, o
    end

    for _, word in ipairs {'timeout', 'wantread', 'wantwrite'} do
        it('has a time limit, and is called now and then: ' .. word, function()
            run(function()
                local s, peer, o = stuck(word)
                assert.same({n = 3, nil, 'timeout', ''}, pack(s:receive()))
                assert.same({n = 3, nil, 'timeout', 0}, pack(s:send 'x'))
                assert.is_true(o.calls < 100)
                if word ~= 'timeout' then
                    assert.same({n = 2, nil, 'timeout'}, pack(s:work()))
                    assert.is_true(o.calls < 150)
                end
                close(s, peer)
            end)
        end)
    end

    it('is called until it moves something', function()
        run(function()
            local s, peer, o = stuck 'timeout'
            local receive = o.receive
            s:settimeout(support.limit)
            function o.receive(...)
                if o.calls == 20 then return methods.receive(...) end
                return receive(...)
            end
            assert.equal('never read', s:receive(10))
            close(s, peer)
        end)
    end)

    it('gives nothing without an error', function()
        run(function()
            local s, peer, o = pair()
            function o.receive() return '' end
            function o.send() return 0 end
            assert.same({n = 3, ''}, pack(s:receive()))
            assert.same({n = 3, ''}, pack(s:receive '*a'))
            assert.same({n = 3, ''}, pack(s:receive(5)))
            assert.same({n = 3, 3}, pack(s:send 'abc'))
            close(s, peer)
        end)
    end)
end)

describe('An error of TLS', function()
    local certs = certificates.of_block(pending, setup, teardown)
    if not certs then return end
    support.hooks(before_each, after_each)

    for _, version in ipairs {'tlsv1_2', 'tlsv1_3'} do
        local function connect()
            return relay.tls(certs, {
                cafile = certs.trust.cafile, protocol = version,
            })
        end

        it('is final for both directions with ' .. version, function()
            run(function()
                local a, b, between = connect()
                between.far:send '\22\3\3\0\5hello'    -- not encrypted
                local none, err = b:receive()
                assert.is_nil(none)
                assert.is_string(err)
                for _ = 1, 2 do
                    assert.same({n = 3, nil, err, ''}, pack(b:receive()))
                    assert.same({n = 3, nil, err, 0}, pack(b:send 'x'))
                end
                between:cut()
                close(a, b)
            end)
        end)

        it('is final in a handler of a server with ' .. version, function()
            run(function()
                local results
                local port, listener = certs.serve(function(client)
                    local first = client:receive()
                    results = {
                        first, pack(client:receive()), pack(client:send 'x'),
                    }
                    client:close()
                end)
                local a = track(assert(loop.connect('127.0.0.1', port)))
                assert(a:starttls {
                    cafile = certs.trust.cafile, protocol = version,
                })
                a:send 'line\nno more'
                local raw = track(loop.wrap(a:getfd()))
                raw:shutdown 'send'    -- without a close notify
                assert.is_true(eventually(function() return results end))
                local first, received, sent = support.unpack(results)
                assert.equal('line', first)
                assert.is_string(received[2])
                assert.not_equal('closed', received[2])
                assert.equal('no more', received[3])
                assert.same({n = 3, nil, received[2], 0}, sent)
                raw:setfd(-1)
                close(a, listener)
            end)
        end)
    end

    it('is final for the other thread, too', function()
        run(function()
            local a, b, between = relay.tls(certs, certs.trust)
            local sent
            loop.newthread(function() sent = pack(b:send(('x'):rep(2e7))) end)
            between.far:send '\22\3\3\0\5hello'
            local _, err = b:receive()
            assert.is_true(eventually(function() return sent end))
            assert.is_nil(sent[1])
            assert.equal(err, sent[2])
            between:cut()
            close(a, b)
        end)
    end)

    it("is 'closed' where LuaSec says 'Broken pipe'", function()
        run(function()
            local a, b, between = relay.tls(certs, certs.trust)
            between:cut(true)
            local sent, err
            assert.is_true(eventually(function()
                sent, err = b:send 'x'
                return not sent
            end))
            assert.equal('closed', err)
            close(a, b)
        end)
    end)

    it('is not that a line has no end', function()
        run(function()
            local a, b = certs.pair()
            local done, turns = false, 0
            loop.newthread(function()
                a:send(('x'):rep(8e6) .. '\n')
            end)
            loop.newthread(function()
                local before = 0
                repeat
                    local received = b:getstats()
                    assert(received - before <= 2 * 65536, received - before)
                    before, turns = received, turns + 1
                    loop.sleep(0)
                until done
            end)
            assert.equal(8e6, #b:receive())
            done = true
            assert.is_true(turns > 60)
            close(a, b)
        end)
    end)
end)

describe("An error of LuaSec's object in a thread", function()
    local certs = certificates.of_block(pending, setup, teardown)
    if not certs then return end
    support.hooks_installed(before_each, after_each)

    it('is final for both directions', function()
        run(function()
            local a, b, between = relay.tls(certs, certs.trust, true)
            between.far:send '\22\3\3\0\5hello'
            local none, err, part = b:receive()
            assert.is_nil(none)
            assert.is_string(err)
            assert.equal('', part)
            for _ = 1, 2 do
                assert.same({n = 3, nil, err, 'p'}, pack(b:receive('*a', 'p')))
                assert.same({n = 3, nil, err, ''}, pack(b:receive(5)))
                assert.same({n = 3, nil, err, 2}, pack(b:send('abc', 3)))
            end
            between:cut()
            close(a, b)
        end)
    end)

    it('is final for the thread that waits, too', function()
        run(function()
            local a, b, between = relay.tls(certs, certs.trust, true)
            local sent
            loop.newthread(function() sent = pack(b:send(('x'):rep(2e7))) end)
            between.far:send '\22\3\3\0\5hello'
            local _, err = b:receive()
            assert.is_true(eventually(function() return sent end))
            assert.is_nil(sent[1])
            assert.equal(err, sent[2])
            between:cut()
            close(a, b)
        end)
    end)

    it('is final for a thread that nothing else would wake', function()
        run(function()
            local a, b, between = relay.tls(certs, certs.trust, true)
            local function is_full()
                local fds = {}
                for i, s in ipairs {b, between.near} do
                    local fd = s:getfd()
                    fds[i] = {getfd = function() return fd end}
                end
                return #select(2, socket.select(nil, fds, 0)) == 0
            end
            local sent
            loop.newthread(function() sent = pack(b:send(('x'):rep(5e7))) end)
            assert.is_true(eventually(function()
                if not is_full() then return false end
                loop.sleep(0.05)    -- data may still be in transit
                return is_full()
            end))
            between.far:send '\22\3\3\0\5hello'
            local _, err = b:receive()
            assert.is_true(eventually(function() return sent end))
            assert.is_nil(sent[1])
            assert.equal(err, sent[2])
            between:cut()
            close(a, b)
        end)
    end)

    it("is 'closed' where LuaSec says 'Broken pipe'", function()
        run(function()
            local a, b, between = relay.tls(certs, certs.trust, true)
            between:cut(true)
            local sent, err
            assert.is_true(eventually(function()
                sent, err = b:send 'x'
                return not sent
            end))
            assert.equal('closed', err)
            close(a, b)
        end)
    end)
end)
