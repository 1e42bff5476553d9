-- The programs in examples/, each run against another example or a plain
-- socket.

local lfs = require 'lfs'
local loop = require 'socketloop'
local process = require 'process'
local support = require 'support'

local run = {}      -- file name -> test

local function command(name, ...)
    local words = {process.interpreter, 'examples/' .. name, ...}
    for i, word in ipairs(words) do words[i] = process.quote(word) end
    return 'exec ' .. table.concat(words, ' ')
end

-- Starts a server. Returns the part of its output that matches the pattern.
local function start(name, pattern)
    return process.start(command(name)):expect(function(output)
        return output:match(pattern)
    end)
end

-- A server continues after a thread has failed: the handler passed to newserver
-- fails with its first client.
local function survives(name)
    local file = process.tempdir() .. '/fails.lua'
    process.write_file(file, [[
        local loop = require 'socketloop'
        local newserver, failed = loop.newserver
        function loop.newserver(ip, port, handler)
            return newserver(ip, port, function(client)
                if not failed then
                    failed = true
                    error 'boom'
                end
                return handler(client)
            end)
        end
        arg = {[0] = ...}
        dofile(...)
    ]])
    local server = process.start(('exec %s %s examples/%s'):format(
        process.quote(process.interpreter), process.quote(file), name))
    local port = server:expect(function(output)
        return output:match 'listening on .-(%d+)/?\n'
    end)
    local client = support.plain.connect(tonumber(port))
    assert.equal('closed', select(2, client:receive()))
    client:close()
    server:expect(function(output) return output:match 'boom' end)
    client = support.plain.connect(tonumber(port))
    client:send 'GET / HTTP/1.1\r\n\r\n'
    assert.is_string(client:receive())
    client:close()
end

-- Returns the output of a successful program for two pages of http_server.lua.
local function fetch(name)
    local url = start('http_server.lua', 'http://%S+')
    local status, output = process.run(command(name, url .. 'a', url .. 'bc'))
    assert.equal(0, status, output)
    return output, url
end

run['echo.lua'] = function()
    local port = start('echo.lua', 'port (%d+)')
    local client = support.plain.connect(tonumber(port))
    client:send 'one\ntwo\n'
    assert.equal('one', client:receive())
    assert.equal('two', client:receive())
    client:close()
end

run['http_server.lua'] = function()
    local url = start('http_server.lua', 'http://%S+')
    local client = support.plain.connect(tonumber(url:match ':(%d+)'))
    client:send 'GET /x HTTP/1.0\r\n\r\n'
    assert.matches('^HTTP/1%.1 200 OK\r\n.*\r\n\r\nYou asked for /x%.\n$',
                   client:receive '*a')
    client:close()
end

run['getpage.lua'] = function()
    local output, url = fetch 'getpage.lua'
    assert.matches('got 18 bytes from ' .. url .. 'a\n', output, 1, true)
    assert.matches('got 19 bytes from ' .. url .. 'bc\n', output, 1, true)
end

run['unmodified.lua'] = function()
    local output, url = fetch 'unmodified.lua'
    assert.matches(url .. 'a\t200\t18\n', output, 1, true)
    assert.matches(url .. 'bc\t200\t19\n', output, 1, true)
end

run['demo.lua'] = function()
    assert.matches('all at once %d+%.%d+ s: %S+ times as fast\n$',
                   (fetch 'demo.lua'))
end

-- Copies much data while other threads send and receive it; in the main
-- program, copies data that is already there.
run['copy.c'] = function()
    local copy = assert(package.loadlib(process.helper 'copy.so',
                                        'luaopen_copy'))()
    local text = ('0123456789'):rep(50000)
    support.run(function()
        local sender, from = support.mixed()
        local receiver, to = support.mixed()
        local count
        loop.newthread(function()
            count = copy(from:getfd(), to:getfd())
            to:close()
        end)
        loop.newthread(function()
            sender:send(text)
            sender:close()
        end)
        assert.equal(text, receiver:receive '*a')
        assert.equal(#text, count)
        support.close(receiver, from)
    end)
    local sender, from = support.plain.pair()
    local to, receiver = support.plain.pair()
    sender:send 'hello'
    sender:close()
    assert.equal(5, copy(from:getfd(), to:getfd()))
    assert.equal('hello', receiver:receive(5))
    support.close(from, to, receiver)
end

describe('The example', function()
    after_each(process.cleanup)

    for name in lfs.dir 'examples' do
        if not name:match '^%.' then
            it(name .. ' works', function() run[name]() end)
            if process.read_file('examples/' .. name):find('newserver', 1, true)
            then
                it(name .. ' serves on after an error in a thread', function()
                    survives(name)
                end)
            end
        end
    end
end)
