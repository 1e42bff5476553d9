-- LuaSec's ssl.https, unchanged, and its objects in threads with install,
-- against nginx and against LuaSec.

local loop = require 'socketloop'
local socket = require 'socket'
local http = require 'socket.http'
local support = require 'support'
local process = require 'process'
local nginx = require 'nginx'

local has_luasec, https = pcall(require, 'ssl.https')
local ssl = has_luasec and require 'ssl'

local run, pack, track = support.run, support.pack, support.track
local some = support.some

local servers = [[
    server {
        listen 127.0.0.1:PORT ssl backlog=1000;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
        root html;
        location /chunked/ { alias html/; ssi on; ssi_types *; }
        location /backend { proxy_pass http://127.0.0.1:BACKEND; }
    }
    server {
        listen 127.0.0.1:PLAIN backlog=1000;
        return 301 https://127.0.0.1:PORT$request_uri;
    }
]]

local big = ('0123456789abcdef\n'):rep(20000)

describe('LuaSec with install:', function()
    if not (has_luasec and process.which 'openssl' and nginx.path)
    then
        pending 'LuaSec, OpenSSL or nginx is not installed'
        return
    end

    local port, holder, plain_port, plain_holder
    local backend_port, backend_holder, folder

    setup(function()
        folder = process.tempdir()
        port, holder = process.freeport()
        plain_port, plain_holder = process.freeport()
        backend_port, backend_holder = process.freeport()
        local where = 'cd ' .. process.quote(folder)
        local status, output = process.run(where .. '; openssl req -x509 ' ..
            '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ' ..
            '-days 2 -subj /CN=127.0.0.1 -keyout key.pem -out cert.pem')
        assert(status == 0, output)
        os.execute(where .. '; mkdir html')
        process.write_file(folder .. '/html/big.txt', big)
        nginx.start(folder, servers, {
            PORT = port, PLAIN = plain_port, BACKEND = backend_port,
        }, port)
    end)
    teardown(function()
        if holder then holder:close() end
        if plain_holder then plain_holder:close() end
        if backend_holder then backend_holder:close() end
        process.cleanup()
    end)
    support.hooks_installed(before_each, after_each)

    local function url(path)
        return ('https://127.0.0.1:%d%s'):format(port, path)
    end

    describe('ssl.https', function()
        for how, request in pairs {
            ['by itself'] = function(...) return https.request(...) end,
            ['through socket.http'] = function(...)
                return http.request(...)
            end,
        } do
            it('fetches a page, ' .. how, function()
                local body, code = run(request, url '/big.txt')
                assert.equal(200, code)
                assert.is_true(body == big)
            end)

            it('fetches a chunked page, ' .. how, function()
                local body, code = run(request, url '/chunked/big.txt')
                assert.equal(200, code)
                assert.is_true(body == big)
            end)
        end

        it('refuses a certificate without an authority', function()
            local body, err = run(https.request, {
                url = url '/big.txt', verify = 'peer',
            })
            assert.is_nil(body)
            assert.matches('certificate verify failed', err)
        end)

        it('reports a refused connection', function()
            local body, err = run(https.request,
                ('https://127.0.0.1:%d/'):format(support.closedport()))
            assert.is_nil(body)
            assert.equal('connection refused', err)
        end)

        it('reports that the server does not answer', function()
            local listener, silent = support.plain.listen()
            local old = https.TIMEOUT
            https.TIMEOUT = 0.02
            local body, err = run(https.request,
                ('https://127.0.0.1:%d/'):format(silent))
            https.TIMEOUT = old
            listener:close()
            assert.is_nil(body)
            assert.matches('wantread', err)    -- LuaSec's word for it
        end)

        it('works in the main program', function()
            local body, code = https.request(url '/big.txt')
            assert.equal(200, code)
            assert.is_true(body == big)
        end)

        local function redirected()
            return ('http://127.0.0.1:%d/'):format(plain_port)
        end

        it('is where socket.http is sent to', function()
            local body, code = run(http.request, redirected() .. 'big.txt')
            assert.equal(200, code)
            assert.is_true(body == big)
        end)

        for name, request in pairs {
            ['waits in a hundred threads at the same time'] = function()
                return https.request(url '/backend')
            end,
            ['waits for a hundred that socket.http sends there'] = function()
                return http.request(redirected() .. 'backend')
            end,
        } do
            it(name, function()
                -- The server behind nginx answers only when the last request
                -- has arrived.
                local all, here, right, ended = some(100), 0, 0, 0
                local server = track(loop.newserver('127.0.0.1', backend_port,
                    function(client)
                        repeat until client:receive() == ''
                        here = here + 1
                        support.eventually(function() return here == all end)
                        client:send 'HTTP/1.0 200 OK\r\n\r\nhello'
                        client:close()
                    end))
                for _ = 1, all do
                    loop.newthread(function()
                        if request() == 'hello' then right = right + 1 end
                        ended = ended + 1
                    end)
                end
                run(function()
                    support.eventually(function() return ended == all end)
                    server:close()
                end)
                assert.equal(all, here)
                assert.equal(all, right)
            end)
        end

        for when, lines in pairs {
            before = {'https = require "ssl.https"', 'loop.install()'},
            after = {'loop.install()', 'https = require "ssl.https"'},
        } do
            it('may be loaded ' .. when .. ' install was called', function()
                local status, output = process.lua(([[
                    local loop = require 'socketloop'
                    local https
                    %s
                    %s
                    local turns, ended = 0, 0
                    for _ = 1, 5 do
                        loop.newthread(function()
                            local body, code = https.request '%s'
                            assert(code == 200 and #body == %d, code)
                            ended = ended + 1
                        end)
                    end
                    loop.newthread(function()
                        while ended < 5 do
                            turns = turns + 1
                            loop.sleep(turns < 1000 and 0 or 0.001)
                        end
                    end)
                    loop.start()
                    print(turns > 10, ended)
                ]]):format(lines[1], lines[2], url '/big.txt', #big))
                assert.equal(0, status, output)
                assert.equal('true\t5\n', output)
            end)
        end
    end)

    describe('a connection', function()
        local client, server

        local function wrap(object, mode)
            return track(assert(ssl.wrap(object, {
                mode = mode,
                protocol = 'any',
                key = mode == 'server' and folder .. '/key.pem' or nil,
                certificate = mode == 'server' and folder .. '/cert.pem' or
                              nil,
            })))
        end

        -- In a thread: returns two ends, made by ssl.wrap of LuaSocket's
        -- objects.
        local function connect()
            local plain_client, plain_server = support.plain.pair()
            local is_done = false
            server = wrap(plain_server, 'server')
            client = wrap(plain_client, 'client')
            loop.newthread(function()
                assert(server:dohandshake())
                is_done = true
            end)
            assert.same({true, n = 1}, pack(client:dohandshake()))
            support.eventually(function() return is_done end)
        end

        local function with_connection(f)
            run(function()
                connect()
                f()
                client:close()
                server:close()
            end)
        end

        it('is made of objects that stay LuaSec\'s', function()
            with_connection(function()
                assert.matches('^SSL connection', tostring(client))
                assert.is_table(client:info())
            end)
        end)

        it('receives lines, counts, and all', function()
            with_connection(function()
                loop.newthread(function()
                    for _, piece in ipairs {'one', ' line\r\n12', '345',
                                            'the ', 'rest'} do
                        loop.sleep(0.002)
                        server:send(piece)
                    end
                    server:close()
                end)
                assert.equal('one line', client:receive())
                assert.equal('12345', client:receive(5))
                assert.equal('the rest', client:receive '*a')
                assert.same({nil, 'closed', '', n = 3},
                            pack(client:receive()))
            end)
        end)

        it('sends much both ways at the same time', function()
            with_connection(function()
                local here, there = 0, 0
                loop.newthread(function()
                    client:send(big)
                    here = here + 1
                end)
                loop.newthread(function()
                    server:send(big)
                    here = here + 1
                end)
                loop.newthread(function()
                    local data = server:receive(#big)
                    there = there + #data
                end)
                local data = client:receive(#big)
                there = there + #data
                support.eventually(function()
                    return here == 2 and there == 2 * #big
                end)
                assert.equal(2, here)
                assert.equal(2 * #big, there)
            end)
        end)

        it('honours its timeout', function()
            with_connection(function()
                -- The system may delay small segments by 40 ms.
                client:settimeout(0.2)
                server:send 'part'
                assert.same({nil, 'wantread', 'part', n = 3},
                            pack(client:receive()))
                client:settimeout()
                server:send 'x\n'
                assert.equal('x', client:receive())
            end)
        end)

        it('with a timeout of 0 returns wantread or wantwrite', function()
            with_connection(function()
                client:settimeout(0)
                assert.same({nil, 'wantread', '', n = 3},
                            pack(client:receive()))
            end)
        end)

        it('is waited for by select', function()
            with_connection(function()
                loop.newthread(function()
                    loop.sleep(0.005)
                    server:send 'one\ntwo\n'
                end)
                assert.same({client, [client] = 1},
                            (socket.select({client}, nil, 5)))
                assert.equal('one', client:receive())
                assert.same({client, [client] = 1},
                            (socket.select({client}, nil, 5)))
                assert.equal('two', client:receive())
            end)
        end)

        it('wakes waiting threads when it is closed', function()
            with_connection(function()
                local result
                loop.newthread(function() result = pack(client:receive()) end)
                loop.sleep(0.002)
                client:close()
                support.eventually(function() return result end)
                assert.same({nil, 'closed', '', n = 3}, result)
            end)
        end)

        it('is used in the main program, too', function()
            run(connect)
            server:send 'one\ntwo\nthree\n'
            assert.equal('one', client:receive())
            assert.equal('two', run(client.receive, client))
            assert.equal('three', client:receive())
            client:settimeout(0.02)
            local seconds, _, err = support.timed(client.receive, client)
            assert.equal('wantread', err)
            assert.is_true(seconds >= 0.019)
            client:close()
            server:close()
        end)

        it('is made by starttls, within its timeout', function()
            run(function()
                local listener, silent = support.plain.listen()
                local s = assert(loop.connect('127.0.0.1', silent))
                s:settimeout(0.02, 't')
                local ok, err = s:starttls {verify = 'none'}
                assert.is_nil(ok)
                assert.equal('timeout', err)
                s:close()
                listener:close()
                s = assert(loop.connect('127.0.0.1', port))
                assert(s:starttls {verify = 'none'})
                s:send 'GET /big.txt HTTP/1.0\r\n\r\n'
                assert.matches('200 OK', s:receive())
                s:close()
            end)
        end)

        it('may be wrapped by the loop', function()
            with_connection(function()
                local wrapped = track(loop.wrap(client))
                loop.newthread(function()
                    loop.sleep(0.005)
                    server:send 'one\n'
                end)
                assert.equal('one', wrapped:receive())
                wrapped:close()
            end)
        end)
    end)
end)
