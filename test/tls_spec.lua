-- TLS through LuaSec: starttls, servers, and LuaSec's objects wrapped by hand;
-- against nginx, curl and openssl.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'
local process = require 'process'
local certificates = require 'certificates'
local nginx = require 'nginx'

local pack = support.pack
local run, track = support.run, support.track
local eventually = support.eventually
local close, some = support.close, support.some

describe('TLS', function()
    if not certificates.possible then
        pending 'LuaSec or the command openssl is not installed'
        return
    end

    local ssl = require 'ssl'
    local certs, trust

    setup(function()
        certs = certificates.make()
        trust = {cafile = certs.ca.certificate}
    end)
    teardown(process.cleanup)
    support.hooks(before_each, after_each)

    -- Parameters of a client that trusts the authority, and more.
    local function client_params(more)
        local params = {cafile = trust.cafile}
        for key, value in pairs(more or {}) do params[key] = value end
        return params
    end

    -- A server that calls handler after the handshake. port, listener
    local function serve(handler, params)
        local listener = track(loop.newserver('127.0.0.1', 0, handler,
            params or certs.good.server))
        return support.port(listener), listener
    end

    local function connect(port, host)
        return track(assert(loop.connect(host or '127.0.0.1', port)))
    end

    -- Two connected sockets with TLS.
    local function pair(server, client)
        local a, b = support.pair()
        local ok, err
        loop.newthread(function()
            ok, err = b:starttls(server or certs.good.server)
        end)
        assert(a:starttls(client or trust, 'localhost'))
        assert.is_true(eventually(function() return ok or err end))
        assert.is_true(ok, err)
        return a, b
    end

    -- What starttls gives to a client of a server with that certificate, and
    -- the client.
    local function try(name, params, host)
        local port, listener = serve(function(client)
            client:receive()
            client:close()
        end, certs[name].server)
        local client = connect(port)
        local result = pack(client:starttls(params, host))
        listener:close()
        return result, client
    end

    ---------------------------------------------------------------------------

    describe('starttls', function()
        it('makes a connection secure', function()
            run(function()
                local a, b = pair()
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
                    local a, b = pair(nil, client_params {protocol = version})
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
                local port, listener = serve(function(client)
                    seen = client:getsniname() or 'none'
                    client:close()
                end)
                local client = connect(port, 'localhost')
                assert.is_true(client:starttls(trust))
                assert.is_nil((client:receive()))
                assert.equal('localhost', seen)
                client:close()
                client = loop.tcp()
                client:connect('127.0.0.1', port)
                assert.is_true(client:starttls(trust))
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
                    local result, client = try('good', trust, host)
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
                    local result, client = try('good', trust, host)
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
                    local result, client = try(name, trust, 'localhost')
                    assert.is_nil(result[1])
                    assert.matches(message:gsub('%*', '%%*'), result[2])
                    assert.equal(-1, client:getfd())
                end)
            end)

            it('takes it if told so: ' .. name, function()
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
                close(pair(server))
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
                local a, b = pair(server, client_params {alpn = {'x', 'a'}})
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
                local a, b = pair(server, client_params {
                    key = certs.client.key,
                    certificate = certs.client.certificate,
                })
                local certificate = b:getpeercertificate()
                assert.same({'client.test'},
                    certificate:extensions()['2.5.29.17'].dNSName)
                close(a, b)
                local handled = 0
                local port, listener = serve(function()
                    handled = handled + 1
                end, server)
                local client = connect(port)
                client:starttls(trust)
                assert.is_nil((client:receive()))
                assert.equal(0, handled)
                close(client, listener)
            end)
        end)

        it('shows its certificate to nobody unverified', function()
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
                assert.same({n = 2, nil, 'timeout'}, pack(a:starttls(trust)))
                assert.equal(-1, a:getfd())
                b:close()
                a, b = support.pair()
                a:settimeout(0.03, 't')
                assert.same({n = 2, nil, 'timeout'}, pack(a:starttls(trust)))
                b:close()
            end)
        end)

        it('fails when the peer closes or speaks no TLS', function()
            run(function()
                local a, b = support.pair()
                b:close()
                local ok, err = a:starttls(trust)
                assert.is_nil(ok)
                assert.is_string(err)
                assert.equal(-1, a:getfd())
                a, b = support.pair()
                b:send 'HTTP/1.0 400 Bad Request\r\n\r\n'
                ok, err = a:starttls(trust)
                assert.is_nil(ok)
                assert.is_string(err)
                assert.equal(-1, a:getfd())
                b:close()
                a:close()
                assert.same({n = 2, nil, 'closed'}, pack(a:starttls(trust)))
            end)
        end)

        it('fails when another thread closes the socket', function()
            run(function()
                local a, b = support.pair()
                local result
                loop.newthread(function() result = pack(a:starttls(trust)) end)
                a:close()
                assert.is_true(eventually(function() return result end))
                assert.same({n = 2, nil, 'closed'}, result)
                b:close()
            end)
        end)

        it('refuses what came before it in plain text', function()
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

        it('raises where it makes no sense', function()
            local outside = track(loop.tcp())
            assert.error_matches(function() outside:starttls() end,
                'tcp{client} expected')
            run(function()
                local a, b = support.pair()
                assert.error_matches(function() a:starttls 'x' end,
                    "bad argument #1 to 'starttls' %(table or context")
                assert.error_matches(function() a:starttls(trust, {}) end,
                    "bad argument #2 to 'starttls' %(string expected")
                local got
                loop.newthread(function() got = b:receive() end)
                assert.error_matches(function() b:starttls() end,
                    'already waited on by another thread')
                a:send 'x\n'
                assert.is_true(eventually(function() return got end))
                loop.newthread(function() b:starttls(certs.good.server) end)
                assert.error_matches(function() b:send 'plain' end,
                    'the TLS handshake is not finished')
                assert.is_true(a:starttls(trust))
                assert.error_matches(function() a:starttls(trust) end,
                    'socket without TLS expected')
                close(a, b)
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
            local port, listener = serve(function(client)
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
                assert(client:starttls(trust))
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

    ---------------------------------------------------------------------------

    describe('a server', function()
        it('runs no handler before the handshake is finished', function()
            run(function()
                local handled = 0
                local function handle(client)
                    handled = handled + 1
                    assert.same({-1, -1}, {client:gettimeout()})
                    client:send 'hello\n'
                    client:close()
                end
                local params = certs.good.server
                params.handshake_timeout = 0.05
                local port, listener = serve(handle, params)
                local silent, plain, gone = connect(port), connect(port),
                    connect(port)
                gone:close()
                plain:send 'GET / HTTP/1.0\r\n\r\n'
                assert.is_nil((plain:receive '*l'))
                assert.is_nil((silent:receive '*l'))
                assert.equal(0, handled)
                close(silent, plain, listener)
                port, listener = serve(handle)
                local client = connect(port)
                assert(client:starttls(trust))
                assert.equal('hello', client:receive())
                assert.equal(1, handled)
                close(client, listener)
            end)
        end)

        it('takes a context', function()
            run(function()
                local port, listener = serve(function(client)
                    client:send 'hello\n'
                    client:close()
                end, assert(ssl.newcontext {
                    mode = 'server', protocol = 'any', key = certs.good.key,
                    certificate = certs.good.certificate,
                }))
                local client = connect(port)
                assert(client:starttls(trust))
                assert.equal('hello', client:receive())
                close(client, listener)
            end)
        end)

        it('is not made with bad parameters', function()
            for _, params in ipairs {
                {key = '/nowhere', certificate = '/nowhere'}, true, 'x',
            } do
                assert.error(function()
                    loop.newserver('127.0.0.1', 0, print, params)
                end)
            end
        end)

        it('reports errors of its handlers, and closes', function()
            run(function()
                local reported
                loop.onerror = function(_, err) reported = err end
                local port, listener = serve(function(client)
                    client:receive()
                    error 'oops'
                end)
                local client = connect(port)
                assert(client:starttls(trust))
                client:send 'x\n'
                assert.is_nil((client:receive()))
                loop.onerror = nil
                assert.matches('oops', reported)
                close(client, listener)
            end)
        end)

        local function upper(client)
            for line in function() return client:receive() end do
                client:send(line:upper() .. '\n')
            end
            client:close()
        end

        for _, version in ipairs {'tls1_2', 'tls1_3'} do
            it('serves openssl s_client with ' .. version, function()
                local port, listener = serve(upper)
                local client = process.start(('(echo hello; sleep 5) | ' ..
                    'openssl s_client -connect 127.0.0.1:%d -%s -quiet ' ..
                    '-CAfile %s -verify_return_error'):format(port, version,
                    process.quote(certs.ca.certificate)))
                run(client.expect, client, function(output)
                    return output:find('HELLO', 1, true)
                end, loop.sleep)
                client:stop()
                listener:close()
            end)
        end

        -- In TLS 1.2 a client may negotiate anew, in 1.3 ask for new keys:
        -- then receiving writes, and sending may read.
        for command, version in pairs {R = 'tls1_2', K = 'tls1_3'} do
            it('goes on after new keys in ' .. version, function()
                local params = certs.good.server
                params.options = {'allow_client_renegotiation'}
                local got, stopped = {}, command == 'R'
                local port, listener = serve(function(client)
                    if command == 'K' then    -- OpenSSL's clients bear it
                        loop.newthread(function()
                            while client:send 'tick\n' do
                                loop.sleep(0.001)
                            end
                            stopped = true
                        end)
                    end
                    for line in function() return client:receive() end do
                        got[#got + 1] = line
                    end
                    client:close()
                end, params)
                local input = process.tempdir() .. '/input'
                os.execute('mkfifo ' .. process.quote(input))
                local client = process.start(('openssl s_client -connect ' ..
                    '127.0.0.1:%d -%s <%s'):format(port, version,
                    process.quote(input)))
                local pipe = assert(io.open(input, 'w'))
                local function say(line)
                    pipe:write(line, '\n')
                    pipe:flush()
                end
                local function heard(line)
                    return run(eventually, function()
                        return got[#got] == line
                    end)
                end
                say 'before'
                assert.is_true(heard 'before')
                for i = 1, 3 do
                    say(command)
                    run(client.expect, client, function(output)
                        local _, n = output:gsub('RENEGOTIATING', '')
                        local _, m = output:gsub('KEYUPDATE', '')
                        return n + m == i
                    end, loop.sleep)
                    say('after ' .. i)
                    assert.is_true(heard('after ' .. i))
                end
                pipe:close()
                client:stop()
                assert.is_true(run(eventually, function()
                    return stopped
                end))
                listener:close()
            end)
        end

        it('serves curl', function()
            if not process.which 'curl' then
                pending 'curl is not installed'
                return
            end
            local body = ('0123456789'):rep(some(100000))
            local port, listener = serve(function(client)
                repeat until client:receive() == ''
                client:send {'HTTP/1.0 200 OK\r\nContent-Length: ', #body,
                    '\r\n\r\n', body}
                client:close()
            end)
            local children = {}
            for i = 1, 5 do
                children[i] = process.start(('curl -sS --cacert %s ' ..
                    'https://localhost:%d/ | wc -c'):format(
                    process.quote(certs.ca.certificate), port))
            end
            for _, child in ipairs(children) do
                local _, output = run(child.wait, child, loop.sleep)
                assert.equal(#body, tonumber(output), output)
            end
            listener:close()
        end)
    end)

    ---------------------------------------------------------------------------

    describe('a socket', function()
        it('shows what it is', function()
            run(function()
                local a, b = pair()
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
                local a, b = pair()
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
                local a, b = pair()
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
                local a, b = pair()
                b:settimeout(0.02)
                a:send 'par'
                assert.same({n = 3, nil, 'timeout', 'par'}, pack(b:receive()))
                a:send 'tial\n'
                assert.equal('tial', b:receive())
                close(a, b)
            end)
        end)

        it('goes on sending after a timeout', function()
            run(function()
                local a, b = pair()
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

        it('takes turns with others', function()
            run(function()
                local a, b = pair()
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
                local a, b = pair()
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
                assert.same({n = 3, nil, 'closed', 0}, pack(a:send 'x'))
                assert.equal(1, a:close())
                b:close()
            end)
        end)

        it('is closed at once when the peer reads nothing', function()
            run(function()
                for _, how in ipairs {'close', 'collect'} do
                    local a, b = pair()
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

        it('says goodbye when it is closed', function()
            run(function()
                local a, b = pair()
                a:close()
                assert.same({n = 3, nil, 'closed', ''}, pack(b:receive '*a'))
                b:close()
            end)
        end)

        it('tells an end without goodbye from one with it', function()
            local result
            local port, listener = serve(function(client)
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
                    os.exit(0)    -- closes nothing
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
                local a, b = pair()
                assert.is_nil((a:shutdown 'send'))
                a:send 'still\n'
                assert.equal('still', b:receive())
                close(a, b)
            end)
        end)
    end)

    ---------------------------------------------------------------------------

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

        -- Each gets TLS onto the loop socket.
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
            run(function()
                local a, b = support.pair()
                local c = assert(ssl.wrap(a:getsocket(), client_table()))
                a:settimeout(0.02)
                assert.same({n = 2, nil, 'timeout'},
                    pack(a:call_async(c.dohandshake, c)))
                c:close()
                close(a, b)
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
            run(function()
                local a, b = support.pair()
                b:send 'line\nmore'
                assert.equal('line', a:receive())
                local c = assert(ssl.wrap(a:getsocket(), client_table()))
                assert.error_matches(function() a:setsocket(c) end,
                    'received bytes are still buffered')
                c:close()
                close(a, b)
            end)
        end)
    end)

    ---------------------------------------------------------------------------

    describe('with nginx', function()
        if not nginx.path then
            pending 'nginx is not installed'
            return
        end

        local servers = [[
    server {
        listen 127.0.0.1:PORT ssl backlog=1000;
        ssl_certificate CERT.pem;
        ssl_certificate_key CERT.key;
        location / { proxy_pass http://127.0.0.1:BACKEND; }
    }
]]
        local page = ('a page of many lines\n'):rep(5000)
        local web, port, holder, backend_port, backend_holder

        setup(function()
            local folder = process.tempdir()
            port, holder = process.freeport()
            backend_port, backend_holder = process.freeport()
            web = nginx.start(folder, servers, {
                PORT = port, BACKEND = backend_port,
                CERT = certs.folder .. '/good',
            }, port)
        end)
        teardown(function()
            if web then web:stop() end
            if holder then holder:close() end
            if backend_holder then backend_holder:close() end
        end)

        local function fetch()
            local s = track(assert(loop.connect('127.0.0.1', port)))
            assert(s:starttls(trust, 'localhost'))
            s:send 'GET /page.txt HTTP/1.0\r\nHost: localhost\r\n\r\n'
            local status = s:receive()
            repeat local line = s:receive() until line == ''
            local body = s:receive '*a'
            s:close()
            return status, body
        end

        -- For socket.http: connects and gets TLS in the classic order.
        local function create()
            local s = track(loop.tcp())
            local connect_tcp = s.connect
            function s:connect(...)
                socket.try(connect_tcp(self, ...))
                local c = socket.try(ssl.wrap(self:getsocket(), {
                    mode = 'client', protocol = 'any', verify = 'peer',
                    cafile = certs.ca.certificate,
                }))
                self:setsocket(c)
                socket.try(self:call_async(c.dohandshake, c))
                return 1
            end
            return s
        end

        -- The server behind nginx answers nobody before the last has come.
        local function at_once(f)
            run(function()
                local all, here, ended, failure = some(100), 0, 0, nil
                local server = track(loop.newserver('127.0.0.1', backend_port,
                    function(client)
                        repeat until client:receive() == ''
                        here = here + 1
                        eventually(function() return here == all end)
                        client:send {'HTTP/1.0 200 OK\r\n\r\n', page}
                        client:close()
                    end))
                for _ = 1, all do
                    loop.newthread(function()
                        local ok, err = pcall(f)
                        if not ok then failure = err end
                        ended = ended + 1
                    end)
                end
                assert.is_true(eventually(function() return ended == all end))
                server:close()
                assert.is_nil(failure)
                assert.equal(all, here)
            end)
        end

        it('a hundred fetches at once through starttls', function()
            at_once(function()
                local status, body = fetch()
                assert.equal('HTTP/1.1 200 OK', status)
                assert.is_true(body == page)
            end)
        end)

        it('a hundred fetches at once through socket.http', function()
            local http = require 'socket.http'
            local ltn12 = require 'ltn12'
            at_once(function()
                local t = {}
                local ok, code = http.request {
                    url = ('http://127.0.0.1:%d/page.txt'):format(port),
                    sink = ltn12.sink.table(t), create = create,
                }
                assert(ok, code)
                assert.equal(200, code)
                assert.is_true(table.concat(t) == page)
            end)
        end)
    end)
end)

describe('the name in a certificate', function()
    local identity = require 'socketloop.identity'

    local function matches(pattern, host)
        return identity.matches(pattern, host)
    end

    it('is that of the host, whatever its case', function()
        assert.is_true(matches('a.test', 'A.Test'))
        assert.is_true(matches('a.test', 'a.test.'))
        assert.is_false(matches('a.test', 'b.test'))
        assert.is_false(matches('a.test', 'xa.test'))
        assert.is_false(matches('a.test\0.b', 'a.test'))
    end)

    it('has a wildcard for one whole label in front only', function()
        assert.is_true(matches('*.a.test', 'x.a.test'))
        assert.is_false(matches('*.a.test', 'a.test'))
        assert.is_false(matches('*.a.test', 'x.y.a.test'))
        assert.is_false(matches('*.a.test', '.a.test'))
        assert.is_false(matches('*.test', 'x.test'))
        assert.is_false(matches('*', 'test'))
        assert.is_false(matches('x*.a.test', 'xy.a.test'))
        assert.is_false(matches('x.*.test', 'x.a.test'))
        assert.is_false(matches('*.*.test', 'x.a.test'))
        assert.is_false(matches('*.a.test', '*.a.test'))
    end)

    it('is not an address', function()
        assert.equal('127.0.0.1', identity.address '127.0.0.1')
        assert.equal('0:0:0:0:0:0:0:1', identity.address '::1')
        assert.equal('0:0:0:0:0:0:0:1', identity.address '[0:0::1]')
        assert.equal('fe80:0:0:0:0:0:0:1', identity.address 'FE80::1%eth0')
        assert.equal('0:0:0:0:0:ffff:102:304',
            identity.address '::ffff:1.2.3.4')
        for _, host in ipairs {
            'a.test', '1.2.3', '1.2.3.4.5', '1.2.3.256', ':', '1:2', '1::2::3',
            '1:2:3:4:5:6:7:8:9', '12345::', 'g::', '',
        } do
            assert.is_nil(identity.address(host), host)
        end
    end)
end)
