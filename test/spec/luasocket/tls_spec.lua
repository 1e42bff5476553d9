-- TLS through LuaSec: starttls, and the certificates it trusts.

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

    -- Parameters of a client that trusts the authority, with additions.
    local function client_params(more)
        local params = {cafile = certs.trust.cafile}
        for key, value in pairs(more or {}) do params[key] = value end
        return params
    end

    local function connect(port, host)
        return track(assert(loop.connect(host or '127.0.0.1', port)))
    end

    -- Returns starttls's results for a client of a server with that
    -- certificate, and the client.
    local function try(name, params, host)
        local port, listener = certs.serve(function(client)
            client:receive()
            client:close()
        end, certs[name].server)
        local client = connect(port)
        local result = pack(client:starttls(params, host))
        listener:close()
        return result, client
    end

    describe('starttls', function()
        it('makes a connection secure', function()
            run(function()
                local a, b = certs.pair()
                assert.equal('TLSv1.3', a:info 'protocol')
                assert.equal('TLSv1.3', b:info 'protocol')
                assert.equal(6, a:send 'hello\n')
                assert.equal('hello', b:receive())
                b:send 'and\nback'
                b:close()
                assert.equal('and', a:receive())
                assert.equal('back', a:receive '*a')
                assert.same({n = 3, nil, 'closed', ''}, pack(a:receive()))
                a:close()
            end)
        end)

        for _, version in ipairs {'tlsv1_2', 'tlsv1_3'} do
            it('moves much both ways at once with ' .. version, function()
                run(function()
                    local a, b = certs.pair(nil,
                        client_params {protocol = version})
                    local data = ('0123456789abcde\n'):rep(some(65536))
                    local ended = 0
                    local function send(s)
                        assert.equal(#data, s:send(data))
                        ended = ended + 1
                    end
                    local function receive(s)
                        assert.is_true(data == s:receive(#data))
                        ended = ended + 1
                    end
                    for _, s in ipairs {a, b} do
                        loop.newthread(send, s)
                        loop.newthread(receive, s)
                    end
                    assert.is_true(eventually(function()
                        return ended == 4
                    end))
                    close(a, b)
                end)
            end)
        end

        it('verifies for the host it is connected to', function()
            if not support.knows_localhost(pending) then return end
            run(function()
                local seen
                local port, listener = certs.serve(function(client)
                    seen = client:getsniname() or 'none'
                    client:close()
                end)
                local client = connect(port, 'localhost')
                assert.is_true(client:starttls(certs.trust))
                assert.is_nil((client:receive()))
                assert.equal('localhost', seen)
                client:close()
                client = loop.tcp()
                client:connect('127.0.0.1', port)
                assert.is_true(client:starttls(certs.trust))
                assert.is_nil((client:receive()))
                assert.equal('none', seen)    -- as it's an address
                close(client, listener)
            end)
        end)

        for _, host in ipairs {
            'localhost', 'LocalHost', 'good.test', 'good.test.',
            'a.wild.test', '127.0.0.1', '::1', '[::1]', '0::0:1',
        } do
            it('accepts a certificate for ' .. host, function()
                run(function()
                    local result, client = try('good', certs.trust, host)
                    assert.same({n = 1, true}, result)
                    client:close()
                end)
            end)
        end

        for _, host in ipairs {
            'bad.test', 'good.test.evil.test', 'wild.test', 'a.b.wild.test',
            '*.wild.test', '127.0.0.2', '::2', 'test', '.wild.test',
        } do
            it('refuses a certificate that is not for ' .. host, function()
                run(function()
                    local result, client = try('good', certs.trust, host)
                    assert.is_nil(result[1])
                    assert.equal('host name mismatch: the certificate is ' ..
                        'for localhost, good.test, *.wild.test, 127.0.0.1, ' ..
                        '::1, not for ' .. host, result[2])
                    assert.equal(-1, client:getfd())
                    assert.same({n = 3, nil, 'closed', ''},
                        pack(client:receive()))
                end)
            end)
        end

        for name, message in pairs {
            other = 'host name mismatch: the certificate is for other.test, ' ..
                '*.other.test, 127.0.0.9, not for localhost',
            nameless = 'host name mismatch: the certificate is for no host ' ..
                'at all, not for localhost',
            self = 'certificate verify failed: self%-signed certificate',
            expired = 'certificate verify failed: certificate has expired',
        } do
            it('refuses a certificate that is bad: ' .. name, function()
                run(function()
                    local result, client = try(name, certs.trust, 'localhost')
                    assert.is_nil(result[1])
                    assert.matches(message:gsub('%*', '%%*'), result[2])
                    assert.equal(-1, client:getfd())
                end)
            end)

            it('accepts it without verification: ' .. name, function()
                run(function()
                    local result, client = try(name, {verify = 'none'})
                    assert.same({n = 1, true}, result)
                    client:close()
                end)
            end)
        end

        it('trusts the system by default', function()
            run(function()
                local result = try('good', nil, 'localhost')
                assert.is_nil(result[1])
                assert.matches('certificate verify failed: ', result[2])
            end)
            local port, listener = support.serve(function(client)
                client:starttls(certs.good.server)
                client:send 'hello\n'
                client:close()
            end)
            local child = process.start(process.script(([[
                local loop = require 'socketloop'
                loop.newthread(function()
                    local s = assert(loop.connect('127.0.0.1', %d))
                    assert(s:starttls())
                    print(s:receive())
                end)
                loop.start()
            ]]):format(port), 'export SSL_CERT_FILE=' ..
                process.quote(certs.ca.certificate)))
            local status, output = run(child.wait, child, loop.sleep)
            assert.equal(0, status, output)
            assert.matches('hello', output)
            listener:close()
        end)

        it('takes a context', function()
            run(function()
                local context = assert(ssl.newcontext {
                    mode = 'client', protocol = 'any',
                    cafile = certs.ca.certificate,
                })
                assert.same({n = 1, true},
                    (try('good', context, 'localhost')))
                assert.is_nil(try('good', context, 'bad.test')[1])
                assert.is_nil(try('self', context, 'localhost')[1])
                assert.same({n = 1, true}, (try('self',
                    {context = context, verify = 'none'}, 'bad.test')))
                local server = assert(ssl.newcontext {
                    mode = 'server', protocol = 'any', key = certs.good.key,
                    certificate = certs.good.certificate,
                })
                close(certs.pair(server))
            end)
        end)

        it('verifies also where the client was accepted', function()
            run(function()
                local context = assert(ssl.newcontext {
                    mode = 'client', protocol = 'any',
                    cafile = certs.ca.certificate,
                })
                for _, params in ipairs {
                    context, client_params {mode = 'client'},
                } do
                    local a, b = support.pair()
                    loop.newthread(function()
                        a:starttls(certs.good.server)
                        a:close()
                    end)
                    local ok, err = b:starttls(params, 'bad.test')
                    assert.is_nil(ok)
                    assert.matches('host name mismatch', err)
                end
            end)
        end)

        it('negotiates the next protocol', function()
            run(function()
                local server = certs.good.server
                server.alpn = {'b', 'a'}
                local a, b = certs.pair(server,
                    client_params {alpn = {'x', 'a'}})
                assert.equal('a', a:getalpn())
                assert.equal('a', b:getalpn())
                close(a, b)
            end)
        end)

        it('shows and asks for certificates of clients', function()
            run(function()
                local server = certs.good.server
                server.verify = {'peer', 'fail_if_no_peer_cert'}
                server.cafile = certs.ca.certificate
                local a, b = certs.pair(server, client_params {
                    key = certs.client.key,
                    certificate = certs.client.certificate,
                })
                local certificate = b:getpeercertificate()
                assert.same({'client.test'},
                    certificate:extensions()['2.5.29.17'].dNSName)
                close(a, b)
                local handled = 0
                local port, listener = certs.serve(function()
                    handled = handled + 1
                end, server)
                local client = connect(port)
                client:starttls(certs.trust)
                assert.is_nil((client:receive()))
                assert.equal(0, handled)
                close(client, listener)
            end)
        end)

        it('shows its certificate to no unverified peer', function()
            run(function()
                local server = certs.self.server
                server.verify = 'peer'
                local a, b = support.pair()
                local result
                loop.newthread(function()
                    result = pack(b:starttls(server))
                end)
                local ok, err = a:starttls(client_params {
                    key = certs.client.key,
                    certificate = certs.client.certificate,
                }, 'localhost')
                assert.is_nil(ok)
                assert.matches('certificate verify failed', err)
                assert.is_true(eventually(function() return result end))
                assert.is_nil(result[1])
            end)
        end)

        it('gives up when its time is over', function()
            run(function()
                local a, b = support.pair()
                a:settimeout(0.03)
                assert.same({n = 2, nil, 'timeout'},
                    pack(a:starttls(certs.trust)))
                assert.equal(-1, a:getfd())
                b:close()
                a, b = support.pair()
                a:settimeout(0.03, 't')
                assert.same({n = 2, nil, 'timeout'},
                    pack(a:starttls(certs.trust)))
                b:close()
            end)
        end)

        it('fails when the peer closes or speaks no TLS', function()
            run(function()
                local a, b = support.pair()
                b:close()
                local ok, err = a:starttls(certs.trust)
                assert.is_nil(ok)
                assert.is_string(err)
                assert.equal(-1, a:getfd())
                a, b = support.pair()
                b:send 'HTTP/1.0 400 Bad Request\r\n\r\n'
                ok, err = a:starttls(certs.trust)
                assert.is_nil(ok)
                assert.is_string(err)
                assert.equal(-1, a:getfd())
                b:close()
                a:close()
                assert.same({n = 2, nil, 'closed'},
                    pack(a:starttls(certs.trust)))
            end)
        end)

        it('fails when another thread closes the socket', function()
            run(function()
                local a, b = support.pair()
                local result
                loop.newthread(function()
                    result = pack(a:starttls(certs.trust))
                end)
                a:close()
                assert.is_true(eventually(function() return result end))
                assert.same({n = 2, nil, 'closed'}, result)
                b:close()
            end)
        end)

        it('refuses plain bytes that came before it', function()
            run(function()
                local a, b = support.pair()
                a:send 'STARTTLS\r\nRCPT TO:<me@evil.test>\r\n'
                assert.equal('STARTTLS', b:receive())
                assert.same({n = 2, nil, 'received bytes are still buffered'},
                    pack(b:starttls(certs.good.server)))
                assert.equal(-1, b:getfd())
                a:close()
            end)
        end)

        it('fails where files are missing', function()
            run(function()
                for _, params in ipairs {
                    {cafile = '/nowhere'},
                    {mode = 'server', key = '/nowhere'},
                } do
                    local a, b = support.pair()
                    local ok, err = a:starttls(params)
                    assert.is_nil(ok)
                    assert.is_string(err)
                    assert.equal(-1, a:getfd())
                    b:close()
                end
            end)
        end)

        it('raises on sockets that cannot have TLS', function()
            local outside = track(loop.tcp())
            assert.error_matches(function() outside:starttls() end,
                'tcp{client} expected')
            support.with_pair(function(a, b)
                loop.newthread(function() b:starttls(certs.good.server) end)
                assert.error_matches(function() b:send 'plain' end,
                    'the TLS handshake is not finished')
                assert.is_true(a:starttls(certs.trust))
                assert.error_matches(function() a:starttls(certs.trust) end,
                    'socket without TLS expected')
            end)
            local a, b = run(support.pair)
            assert.error_matches(function() a:starttls() end,
                'must be called from a loop thread')
            close(a, b)
        end)

        it('raises where there is no LuaSec', function()
            local status, output = process.lua [[
                package.preload['ssl'] = function() error 'not here' end
                local loop = require 'socketloop'
                local server = loop.newserver('127.0.0.1', 0, function(s)
                    s:close()
                end)
                loop.newthread(function()
                    local ip, port = server:getsockname()
                    local s = loop.connect(ip, port)
                    print(pcall(s.starttls, s))
                    server:close()
                end)
                loop.start()
            ]]
            assert.equal(0, status, output)
            assert.matches('false%s+starttls: LuaSec is needed', output)
        end)

        it('works when LuaSocket and LuaSec are cooperative', function()
            local port, listener = certs.serve(function(client)
                client:send(client:receive() .. '\n')
                client:close()
            end)
            local child = process.start(process.script(([[
                local loop = require 'socketloop'
                local ssl = require 'ssl'
                loop.install()
                loop.newthread(function()
                    local s = assert(loop.connect('127.0.0.1', %d))
                    assert(s:starttls {cafile = '%s'})
                    s:send 'hello\n'
                    print(s:receive())
                    s:settimeout(0.01)
                    print(s:receive())
                    s:close()
                end)
                loop.start()
            ]]):format(port, certs.ca.certificate)))
            local status, output = run(child.wait, child, loop.sleep)
            assert.equal(0, status, output)
            assert.matches('hello', output)
            listener:close()
        end)

        it('works in the coro loop', function()
            local status, output = process.lua(([[
                local loop = require 'socketloop'.coro
                local coro = require 'coro'
                local server
                server = loop.newserver('127.0.0.1', 0, function(client)
                    client:send 'one\ntwo\n'
                    client:close()
                    server:close()
                end, {key = '%s', certificate = '%s'})
                local _, port = server:getsockname()
                loop.newthread(function()
                    local s = assert(loop.connect('127.0.0.1', port))
                    assert(s:starttls {cafile = '%s'})
                    for line in coro.wrap(function()
                        for line in function() return s:receive() end do
                            coro.yield(line)
                        end
                    end) do
                        io.write(line, ' ')
                    end
                    s:close()
                end)
                loop.start()
            ]]):format(certs.good.key, certs.good.certificate,
                certs.ca.certificate))
            assert.equal(0, status, output)
            assert.matches('one two', output)
        end)

        it('comes in the middle of a dialogue', function()
            run(function()
                local log = {}
                local port, listener = support.serve(function(client)
                    client:send '220 ready\r\n'
                    for line in function() return client:receive() end do
                        log[#log + 1] = line
                        if line == 'STARTTLS' then
                            client:send '220 go ahead\r\n'
                            assert(client:starttls(certs.good.server))
                        elseif line == 'QUIT' then
                            break
                        else
                            client:send '250 ok\r\n'
                        end
                    end
                    client:close()
                end)
                local client = connect(port)
                assert.equal('220 ready', client:receive())
                client:send 'EHLO me\r\n'
                assert.equal('250 ok', client:receive())
                client:send 'STARTTLS\r\n'
                assert.equal('220 go ahead', client:receive())
                assert(client:starttls(certs.trust))
                client:send 'EHLO again\r\n'
                assert.equal('250 ok', client:receive())
                client:send 'QUIT\r\n'
                assert.same({n = 3, nil, 'closed', ''},
                    pack(client:receive()))
                assert.same({'EHLO me', 'STARTTLS', 'EHLO again', 'QUIT'}, log)
                close(client, listener)
            end)
        end)
    end)
end)
