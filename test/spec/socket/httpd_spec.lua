-- A small HTTP server on newserver, with curl and wrk as its clients.

local loop = require 'socketloop'
local support = require 'support'
local process = require 'process'

local run = support.run

local big = ('0123456789abcdef\n'):rep(60000)      -- about a megabyte

-- The part of HTTP/1.1 needed: keep-alive, GET, POST and chunked answers.
local requests
local function serve_http(client)
    while true do
        local line = client:receive '*l'
        local method, path, version
        if line then method, path, version = line:match '^(%u+) (%S+) (%S+)' end
        if not method then break end
        requests = requests + 1
        local headers = {}
        while true do
            line = client:receive '*l'
            if not line or line == '' then break end
            local name, value = line:match '^(.-):%s*(.*)$'
            headers[name:lower()] = value
        end
        local body
        if headers['content-length'] then
            body = client:receive(tonumber(headers['content-length']))
        end
        local keep = version == 'HTTP/1.1' and headers.connection ~= 'close'
        if path == '/fail' then error {} end
        if path == '/slow' then loop.sleep(0.05) end
        if path == '/chunked' then
            client:send 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
            for i = 1, 10 do
                client:send('8\r\nchunk ' .. i % 10 .. '\n\r\n')
                loop.sleep(0)
            end
            client:send '0\r\n\r\n'
        else
            local answer = path == '/big' and big or body or 'hello\n'
            client:send(('HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n')
                :format(#answer, keep and '' or 'Connection: close\r\n'))
            if method ~= 'HEAD' then client:send(answer) end
        end
        if not keep then break end
    end
    client:close()
end

describe('a small HTTP server', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)
    after_each(function() loop.onerror = nil end)
    before_each(function() requests = 0 end)

    -- Runs a command, in which %URL% is the server's. Returns its output.
    local function client(command)
        local port, listener = support.serve(serve_http)
        local status, output = run(function()
            local program =
                process.start((command:gsub('%%URL%%',
                    'http://127.0.0.1:' .. port)))
            local status, output = program:wait(loop.sleep)
            listener:close()
            return status, output
        end)
        return output, status
    end

    if process.which 'curl' then
        local curl = 'exec curl -sS --noproxy "*" --max-time 20 '

        it('serves curl', function()
            local output, status = client(curl .. '%URL%/')
            assert.equal('hello\n', output)
            assert.equal(0, status)
        end)

        it('serves curl a big page', function()
            local output, status = client(curl .. '%URL%/big')
            assert.is_true(output == big)
            assert.equal(0, status)
        end)

        it('serves curl a chunked page', function()
            local output, status = client(curl .. '%URL%/chunked')
            local _, count = output:gsub('chunk %d\n', '')
            assert.equal(10, count)
            assert.equal(0, status)
        end)

        it('serves curl several pages on one connection', function()
            local output, status = client(curl .. '-w "%{num_connects}\\n" ' ..
                '%URL%/ %URL%/chunked %URL%/ -o /dev/null -o /dev/null ' ..
                '-o /dev/null')
            assert.equal(0, status)
            assert.equal('1\n0\n0\n', output)
            assert.equal(3, requests)
        end)

        it('gets data that curl posts', function()
            local file = process.tempdir() .. '/body'
            process.write_file(file, big)
            local output, status = client(curl .. '-H Expect: ' ..
                '--data-binary @' .. process.quote(file) .. ' %URL%/')
            assert.equal(0, status)
            assert.is_true(output == big)
        end)

        it('serves twenty curls, slow pages too', function()
            local output, status = client([[
                for i in 1 2 3 4 5 6 7 8 9 10; do
                    curl -sS --noproxy "*" --max-time 20 %URL%/slow &
                    curl -sS --noproxy "*" --max-time 20 %URL%/ &
                done
                wait]])
            assert.equal(0, status)
            assert.equal(('hello\n'):rep(20), output)
        end)

        it('hangs up on curl when a handler fails, and lives', function()
            local failed = 0
            loop.onerror = function() failed = failed + 1 end
            local output, status = client(curl .. '%URL%/fail; ' .. curl ..
                '%URL%/')
            assert.equal(52, status, output)    -- empty reply
            assert.equal(1, failed)
            output = client(curl .. '%URL%/')
            assert.equal('hello\n', output)
        end)
    else
        pending 'curl is not installed'
    end

    if process.which 'wrk' then
        it('stands wrk with a hundred connections', function()
            local output, status = client('exec wrk -t 1 -c 100 -d 1 ' ..
                '--timeout 20 %URL%/')
            assert.equal(0, status)
            assert.not_matches('Socket errors', output)
            assert.not_matches('Non%-2xx', output)
            local count = tonumber((output:match '(%d+) requests in'))
            assert.is_true(count > 100, output)
            assert.is_true(requests >= count, output)
        end)
    else
        pending 'wrk is not installed'
    end
end)
