-- Sockets with TLS, made by starttls or by hand with LuaSec.

local loop = require 'socketloop'
local certificates = require 'certificates'
local process = require 'process'
local support = require 'support'

local pack, run, track = support.pack, support.run, support.track
local close, eventually, some = support.close, support.eventually, support.some

describe('TLS', function()
    local certs = certificates.of_block(pending, setup, teardown)
    if not certs then return end
    local ssl = require 'ssl'
    support.hooks(before_each, after_each)

    describe('a socket', function()
        it('shows that it has TLS', function()
            run(function()
                local a, b = certs.pair()
                local _, port = a:getpeername()
                assert.matches('fd %d+, 127.0.0.1 port ' .. tonumber(port),
                    tostring(a))
                assert.equal('test authority',
                    a:getpeercertificate():issuer()[1].value)
                assert.matches('^SSL connection', tostring(a:getsocket()))
                close(a, b)
            end)
        end)

        it('never waits for bytes that are pending inside', function()
            run(function()
                local a, b = certs.pair()
                a:send 'one\ntwo\nthree\nfour'
                assert.equal('one', b:receive())
                b:settimeout(0)
                assert.is_true(b:dirty())
                assert.equal('two', b:receive())
                assert.equal('th', b:receive(2))
                assert.equal('ree', b:receive())
                assert.same({n = 3, nil, 'timeout', 'four'},
                    pack(b:receive '*a'))
                assert.is_false(b:dirty())
                close(a, b)
            end)
        end)

        it('receives a long line that trickles in', function()
            run(function()
                local a, b = certs.pair()
                loop.newthread(function()
                    for _ = 1, some(2000) do
                        a:send '0123456789'
                        loop.sleep(0)
                    end
                    a:send '\n'
                end)
                assert.equal(some(2000) * 10, #b:receive())
                close(a, b)
            end)
        end)

        it('has timeouts, and goes on after them', function()
            run(function()
                local a, b = certs.pair()
                a:send 'a part'
                assert.equal('a ', b:receive(2))    -- the rest is decrypted
                b:settimeout(0.02)
                assert.same({n = 3, nil, 'timeout', 'part'}, pack(b:receive()))
                b:settimeout(support.limit)
                a:send 'ial\n'
                assert.equal('ial', b:receive())
                close(a, b)
            end)
        end)

        it('goes on sending after a timeout', function()
            run(function()
                local a, b = certs.pair()
                local data = ('0123456789abcde\n'):rep(400000)
                a:settimeout(0.02)
                local last, err, sent = a:send(data)
                assert.is_nil(last)
                assert.equal('timeout', err)
                assert.is_true(sent < #data)
                local got
                loop.newthread(function() got = b:receive(#data) end)
                repeat
                    last, err, sent = a:send(data, sent + 1)
                until last or err ~= 'timeout'
                assert.equal(#data, last)
                assert.is_true(eventually(function() return got end))
                assert.is_true(got == data)
                close(a, b)
            end)
        end)

        it('yields to other threads', function()
            run(function()
                local a, b = certs.pair()
                local turns, done = 0, false
                loop.newthread(function()
                    repeat
                        loop.sleep(0)
                        turns = turns + 1
                    until done
                end)
                loop.newthread(function()
                    for _ = 1, 100 do a:send(('x'):rep(1000)) end
                end)
                local before = turns
                for _ = 1, 10000 do assert(b:receive(10)) end
                assert.is_true(turns > before + 50)
                done = true
                close(a, b)
            end)
        end)

        it('is closed by another thread', function()
            run(function()
                local a, b = certs.pair()
                local read, written
                b:send 'part'
                loop.newthread(function() read = pack(a:receive()) end)
                loop.newthread(function()
                    written = pack(a:send(('x'):rep(20000000)))
                end)
                loop.sleep(0.001)
                assert.equal(1, a:close())
                assert.is_true(eventually(function()
                    return read and written
                end))
                assert.same({n = 3, nil, 'closed', 'part'}, read)
                assert.is_nil(written[1])
                assert.equal('closed', written[2])
                assert.same({n = 3, nil, 'closed', ''}, pack(a:receive()))
                assert.same({n = 3, nil, 'closed', ''}, pack(a:receive(0)))
                assert.same({n = 3, nil, 'closed', 'abc'},
                    pack(a:receive(2, 'abc')))
                assert.same({n = 3, nil, 'closed', 0}, pack(a:send 'x'))
                assert.equal(1, a:close())
                b:close()
            end)
        end)

        it('is closed at once when the peer reads nothing', function()
            run(function()
                for _, how in ipairs {'close', 'collect'} do
                    local a, b = certs.pair()
                    a:settimeout(0.02)
                    assert.is_nil((a:send(('x'):rep(20000000))))
                    local took = support.timed(function()
                        if how == 'close' then
                            a:close()
                        else
                            support.made[a] = nil
                            a = nil    -- luacheck: ignore
                            support.collect()
                            support.collect()
                        end
                    end)
                    assert.is_true(took < 2)
                    b:close()
                end
            end)
        end)

        it('sends a close notify when it is closed', function()
            run(function()
                local a, b = certs.pair()
                a:close()
                assert.same({n = 3, nil, 'closed', ''}, pack(b:receive '*a'))
                b:close()
            end)
        end)

        it('distinguishes ends with and without a close notify', function()
            local result
            local port, listener = certs.serve(function(client)
                result = pack(client:receive '*a')
                client:close()
            end)
            local child = process.start(process.script(([[
                local loop = require 'socketloop'
                loop.newthread(function()
                    local s = assert(loop.connect('127.0.0.1', %d))
                    assert(s:starttls {
                        cafile = '%s', protocol = 'tlsv1_2',
                    })
                    s:send 'some'
                    os.exit(0)    -- without closing sockets
                end)
                loop.start()
            ]]):format(port, certs.ca.certificate)))
            run(eventually, function() return result end)
            child:stop()
            assert.is_nil(result[1])
            assert.is_string(result[2])
            assert.equal('some', result[3])
            listener:close()
        end)

        it('survives a peer that is gone, without LuaSocket', function()
            local status, output = process.lua(([[
                local loop = require 'socketloop'
                local server
                server = loop.newserver('127.0.0.1', 0, function(client)
                    client:close()
                    server:close()
                end, {key = '%s', certificate = '%s'})
                local _, port = server:getsockname()
                loop.newthread(function()
                    local s = assert(loop.connect('127.0.0.1', port))
                    assert(s:starttls {cafile = '%s'})
                    local ok, err
                    repeat
                        ok, err = s:send 'x'
                        loop.sleep(0.001)
                    until not ok
                    s:send 'x'
                    s:close()
                    print(err, package.loaded.socket)
                end)
                loop.start()
            ]]):format(certs.good.key, certs.good.certificate,
                certs.ca.certificate))
            assert.equal(0, status, output)
            assert.matches('closed%s+nil', output)
        end)

        it('has no half-close', function()
            run(function()
                local a, b = certs.pair()
                assert.is_nil((a:shutdown 'send'))
                a:send 'still\n'
                assert.equal('still', b:receive())
                close(a, b)
            end)
        end)
    end)

    describe('by hand', function()
        local function server_params()
            local params = certs.good.server
            params.protocol = 'any'
            return params
        end

        local function client_table()
            return {
                mode = 'client', protocol = 'any', verify = 'peer',
                cafile = certs.ca.certificate,
            }
        end

        -- Ways to start TLS on the loop socket.
        local ways = {
            ['setsocket, then call_async'] = function(s, params)
                local c = assert(ssl.wrap(s:getsocket(), params))
                s:setsocket(c)
                return s, s:call_async(c.dohandshake, c)
            end,
            ['call_async, then setsocket'] = function(s, params)
                local c = assert(ssl.wrap(s:getsocket(), params))
                local ok, err = s:call_async(c.dohandshake, c)
                s:setsocket(c)
                return s, ok, err
            end,
            ['wrap, then dohandshake'] = function(s, params)
                local c = assert(ssl.wrap(s:getsocket(), params))
                s = track(loop.wrap(c))
                return s, s:dohandshake()
            end,
            ['the loop socket itself given to LuaSec'] = function(s, params)
                local c = assert(ssl.wrap(s, params))
                s:setsocket(c)
                return s, s:dohandshake()
            end,
            ['wrap after a handshake that blocks'] = function(s, params)
                local c = assert(ssl.wrap(s:getsocket(), params))
                c:settimeout(0)
                local ok, err
                repeat
                    ok, err = c:dohandshake()
                    loop.sleep(0.001)
                until ok or not err:find '^want'
                return track(loop.wrap(c)), ok, err
            end,
        }

        for name, way in pairs(ways) do
            it(name, function()
                run(function()
                    local a, b = support.pair()
                    local got
                    loop.newthread(function()
                        local s, ok, err = way(b, server_params())
                        assert(ok, err)
                        got = s:receive()
                        s:send 'back\n'
                        s:close()
                    end)
                    local s, ok, err = way(a, client_table())
                    assert.is_true(ok, err)
                    assert.equal(6, s:send 'hello\n')
                    assert.equal('back', s:receive())
                    assert.equal('hello', got)
                    assert.same({n = 3, nil, 'closed', ''}, pack(s:receive()))
                    s:close()
                end)
            end)
        end

        it('call_async has the timeout of the socket', function()
            support.with_pair(function(a)
                local c = assert(ssl.wrap(a:getsocket(), client_table()))
                a:settimeout(0.02)
                assert.same({n = 2, nil, 'timeout'},
                    pack(a:call_async(c.dohandshake, c)))
                c:close()
            end)
        end)

        it('call_async fails when the socket is closed', function()
            run(function()
                local a, b = support.pair()
                local c = assert(ssl.wrap(a:getsocket(), client_table()))
                local result
                loop.newthread(function()
                    result = pack(a:call_async(c.dohandshake, c))
                end)
                a:close()
                assert.is_true(eventually(function() return result end))
                assert.same({n = 2, nil, 'closed'}, result)
                c:close()
                b:close()
            end)
        end)

        it('setsocket refuses when plain bytes are left', function()
            support.with_pair(function(a, b)
                b:send 'line\nmore'
                assert.equal('line', a:receive())
                local c = assert(ssl.wrap(a:getsocket(), client_table()))
                assert.error_matches(function() a:setsocket(c) end,
                    'received bytes are still buffered')
                c:close()
            end)
        end)
    end)
end)
