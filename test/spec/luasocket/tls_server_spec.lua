-- Servers with TLS, also with curl and openssl as clients, and clients of
-- nginx.

local loop = require 'socketloop'
local certificates = require 'certificates'
local nginx = require 'nginx'
local process = require 'process'
local socket = require 'socket'
local support = require 'support'

local run, track, close = support.run, support.track, support.close
local eventually, some = support.eventually, support.some

describe('TLS', function()
    local certs = certificates.of_block(pending, setup, teardown)
    if not certs then return end
    local ssl = require 'ssl'
    support.hooks(before_each, after_each)

    local function connect(port, host)
        return track(assert(loop.connect(host or '127.0.0.1', port)))
    end

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
                local port, listener = certs.serve(handle, params)
                local silent, plain, gone = connect(port), connect(port),
                    connect(port)
                gone:close()
                plain:send 'GET / HTTP/1.0\r\n\r\n'
                assert.is_nil((plain:receive '*l'))
                assert.is_nil((silent:receive '*l'))
                assert.equal(0, handled)
                close(silent, plain, listener)
                port, listener = certs.serve(handle)
                local client = connect(port)
                assert(client:starttls(certs.trust))
                assert.equal('hello', client:receive())
                assert.equal(1, handled)
                close(client, listener)
            end)
        end)

        it('takes a context', function()
            run(function()
                local port, listener = certs.serve(function(client)
                    client:send 'hello\n'
                    client:close()
                end, assert(ssl.newcontext {
                    mode = 'server', protocol = 'any', key = certs.good.key,
                    certificate = certs.good.certificate,
                }))
                local client = connect(port)
                assert(client:starttls(certs.trust))
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
                local port, listener = certs.serve(function(client)
                    client:receive()
                    error 'oops'
                end)
                local client = connect(port)
                assert(client:starttls(certs.trust))
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
                local port, listener = certs.serve(upper)
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

        -- In TLS 1.2 a client may renegotiate, in 1.3 request new keys.
        -- Receiving then writes, and sending may read.
        for command, version in pairs {R = 'tls1_2', K = 'tls1_3'} do
            it('goes on after new keys in ' .. version, function()
                local params = certs.good.server
                params.options = {'allow_client_renegotiation'}
                local got, stopped = {}, command == 'R'
                local port, listener = certs.serve(function(client)
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
            local port, listener = certs.serve(function(client)
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
            assert(s:starttls(certs.trust, 'localhost'))
            s:send 'GET /page.txt HTTP/1.0\r\nHost: localhost\r\n\r\n'
            local status = s:receive()
            repeat local line = s:receive() until line == ''
            local body = s:receive '*a'
            s:close()
            return status, body
        end

        -- For socket.http: connects and does the handshake in the classic
        -- order.
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

        -- The server behind nginx answers only when the last request has
        -- arrived.
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
