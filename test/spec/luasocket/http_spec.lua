-- LuaSocket's socket.http against nginx: through its create hook, and unchanged
-- with install.

local loop = require 'socketloop'
local socket = require 'socket'
local http = require 'socket.http'
local ltn12 = require 'ltn12'
local support = require 'support'
local process = require 'process'
local nginx = require 'nginx'

local run = support.run
local some = support.some

local port, backend_port
local holder, backend_holder

local servers = [[
    server {
        listen 127.0.0.1:PORT backlog=1000;
        root html;
        location /chunked/ { alias html/; ssi on; ssi_types *; }
        location /closed/ {
            alias html/;
            ssi on;
            ssi_types *;
            chunked_transfer_encoding off;
        }
        location = /redirect { return 302 /page.txt; }
        location = /twice { return 301 http://127.0.0.1:PORT/redirect; }
        location = /forever { return 302 /forever; }
        location = /empty { return 204; }
        location /backend { proxy_pass http://127.0.0.1:BACKEND; }
    }
]]

local page = 'a page\nof two lines\n'
local big = ('0123456789abcdef\n'):rep(20000)

-- Defines all cases with that create (nil: none), in a program that has called
-- install or not.
local function cases(create, install)
    if not nginx.path then
        pending 'nginx is not installed'
        return
    end

    setup(function()
        local folder = process.tempdir()
        port, holder = process.freeport()
        backend_port, backend_holder = process.freeport()
        os.execute('mkdir ' .. process.quote(folder .. '/html'))
        process.write_file(folder .. '/html/page.txt', page)
        process.write_file(folder .. '/html/big.txt', big)
        nginx.start(folder, servers, {PORT = port, BACKEND = backend_port},
                    port)
    end)
    teardown(function()
        if holder then holder:close() end
        if backend_holder then backend_holder:close() end
        process.cleanup()
    end)
    if install then
        support.hooks_installed(before_each, after_each, install)
    else
        support.hooks(before_each, after_each)
    end

    local function url(path)
        return 'http://127.0.0.1:' .. port .. path
    end

    local function getpage(path, method)
        local t = {}
        local ok, code, headers = http.request {
            url = url(path),
            method = method,
            sink = ltn12.sink.table(t),
            create = create,
        }
        if not ok then return nil, code end
        return table.concat(t), code, headers
    end

    it('fetches a page of known length', function()
        local body, code, headers = run(getpage, '/page.txt')
        assert.equal(page, body)
        assert.equal(200, code)
        assert.equal(tostring(#page), headers['content-length'])
    end)

    it('fetches a chunked page', function()
        for name, text in pairs {['page.txt'] = page, ['big.txt'] = big} do
            local body, code, headers = run(getpage, '/chunked/' .. name)
            assert.is_true(text == body, name)
            assert.equal(200, code)
            assert.equal('chunked', headers['transfer-encoding'])
        end
    end)

    it('fetches a page that ends with the connection', function()
        for name, text in pairs {['page.txt'] = page, ['big.txt'] = big} do
            local body, code, headers = run(getpage, '/closed/' .. name)
            assert.is_true(text == body, name)
            assert.equal(200, code)
            assert.is_nil(headers['transfer-encoding'])
            assert.is_nil(headers['content-length'])
        end
    end)

    it('fetches a big page', function()
        local body, code = run(getpage, '/big.txt')
        assert.is_true(body == big)
        assert.equal(200, code)
    end)

    it('reports that a page is missing', function()
        local body, code = run(getpage, '/missing.txt')
        assert.equal(404, code)
        assert.matches('404', body)
    end)

    it('follows redirects', function()
        local body, code = run(getpage, '/redirect')
        assert.equal(page, body)
        assert.equal(200, code)
        body, code = run(getpage, '/twice')
        assert.equal(page, body)
        assert.equal(200, code)
    end)

    it('gives up on endless redirects', function()
        local _, code = run(getpage, '/forever')
        assert.equal(302, code)
    end)

    it('takes an answer without a body', function()
        local body, code = run(getpage, '/empty')
        assert.equal('', body)
        assert.equal(204, code)
        body, code = run(getpage, '/page.txt', 'HEAD')
        assert.equal('', body)
        assert.equal(200, code)
    end)

    it('reports a refused connection', function()
        local ok, err = run(function()
            return http.request {
                url = 'http://127.0.0.1:' .. support.closedport() .. '/',
                create = create,
            }
        end)
        assert.is_nil(ok)
        assert.equal('connection refused', err)
    end)

    it('reports a timeout', function()
        -- A peer that accepts and sends nothing.
        local listener, silent = support.plain.listen()
        local old = http.TIMEOUT
        http.TIMEOUT = 0.02
        local ok, err = run(http.request, {
            url = 'http://127.0.0.1:' .. silent .. '/',
            create = create,
        })
        http.TIMEOUT = old
        listener:close()
        -- LuaSocket turns the error into the status 408.
        assert.is_truthy(ok == nil and err == 'timeout' or err == 408)
    end)

    it('resolves localhost', function()
        if not support.knows_localhost(pending) then return end
        local t = {}
        local _, code = run(http.request, {
            url = 'http://localhost:' .. port .. '/page.txt',
            sink = ltn12.sink.table(t),
            create = create,
        })
        assert.equal(200, code)
        assert.equal(page, table.concat(t))
    end)

    it('fetches two hundred pages at once', function()
        local paths = {'/page.txt', '/big.txt', '/chunked/page.txt',
                       '/closed/page.txt', '/redirect', '/chunked/big.txt',
                       '/closed/big.txt', '/missing.txt'}
        local texts = {page, big, page, page, page, big, big}
        local right, ended, count = 0, 0, some(200)
        for i = 1, count do
            local which = i % #paths + 1
            loop.newthread(function()
                local body, code = getpage(paths[which])
                if texts[which] and body == texts[which] and code == 200 or
                   not texts[which] and code == 404 then
                    right = right + 1
                end
                ended = ended + 1
            end)
        end
        run(function()
            support.eventually(function() return ended == count end)
        end)
        assert.equal(count, ended)
        assert.equal(count, right)
    end)

    it('really waits for all of them at the same time', function()
        -- The server behind nginx answers only when the last request has
        -- arrived.
        local count, requests, right = some(100), 0, 0
        local everybody_is_here = {}
        local listener = support.track(loop.newserver('127.0.0.1',
            backend_port, function(client)
                local path
                repeat
                    local line = client:receive()
                    path = path or line and line:match '^GET (%S+)'
                until not line or line == ''
                requests = requests + 1
                if requests == count then
                    for thread in pairs(everybody_is_here) do
                        loop.resume(thread)
                    end
                else
                    everybody_is_here[loop.current()] = true
                    loop.suspend()
                end
                client:send('HTTP/1.0 200 OK\r\n\r\nthis is ' .. path)
                client:close()
            end))
        local ended = 0
        for i = 1, count do
            loop.newthread(function()
                if getpage('/backend' .. i) == 'this is /backend' .. i then
                    right = right + 1
                end
                ended = ended + 1
            end)
        end
        run(function()
            support.eventually(function() return ended == count end)
            listener:close()
        end)
        assert.equal(count, right)
    end)

    it('posts', function()
        local bodies = {}
        local listener = support.track(loop.newserver('127.0.0.1',
            backend_port, function(client)
                local length
                repeat
                    local line = client:receive()
                    length = length or
                        line:lower():match '^content%-length: *(%d+)'
                until line == ''
                bodies[#bodies + 1] = client:receive(tonumber(length))
                client:send('HTTP/1.0 200 OK\r\n\r\n' .. length)
                client:close()
            end))
        local t = {}
        local _, code = run(http.request, {
            url = url '/backend',
            method = 'POST',
            headers = {['content-length'] = #big},
            source = ltn12.source.string(big),
            sink = ltn12.sink.table(t),
            create = create,
        })
        listener:close()
        assert.equal(200, code)
        assert.equal(tostring(#big), table.concat(t))
        assert.is_true(bodies[1] == big)
    end)

    -- The usual first program, unchanged, in a process of its own.
    local classic = [[
        FIRST
        local http = require 'socket.http'
        local loop = require 'socketloop'
        local socket = require 'socket'
        local ltn12 = require 'ltn12'
        INSTALL
        local function getpage(url)
            local t = {}
            local ok, code, headers = http.request{
                url = url,
                sink = ltn12.sink.table(t),
                create = not undo and function()
                    return loop.wrap(socket.try(socket.tcp()))
                end or nil,
            }
            assert(ok, code)
            return table.concat(t), headers, code
        end

        local count = 0
        for i = 1, 200 do
            loop.newthread(function()
                local body, headers, code = getpage('URL')
                assert(code == 200 and #body == 20)
                count = count + 1
            end)
        end
        loop.start()
        print(count)
    ]]

    for _, first in ipairs {'socket.http', 'socketloop'} do
        it('does the classic example with ' .. first .. ' loaded first',
           function()
            local code = classic:gsub('FIRST', "require '" .. first .. "'")
                :gsub('URL', url '/page.txt')
                :gsub('INSTALL', install and 'local undo = loop.install()'
                                 or 'local undo = false')
            local status, output = process.lua(code, 'ulimit -n 1000')
            assert.equal(0, status, output)
            assert.equal('200\n', output)
        end)
    end
end

describe('socket.http through its create hook', function()
    cases(function() return loop.wrap(socket.try(socket.tcp())) end)
end)

describe('socket.http with install', function()
    cases(nil, loop.install)
end)
