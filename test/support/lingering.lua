-- Servers for the specs about closed sockets whose peers do not read.

local assert = require 'luassert'
local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local track = support.track

local lingering = {}

-- Returns a client of the port with a small window, which has sent two lines.
-- It is a loop socket, as LuaSocket's do not distinguish a reset from the end.
function lingering.connect(port)
    local peer = assert(socket.tcp4())
    assert(peer:setoption('recv-buffer-size', 4096))
    assert(peer:connect('127.0.0.1', port))
    peer = track(loop.wrap(peer))
    peer:settimeout(10)
    peer:send 'one\ntwo\n'
    return peer
end

-- Fills the client's window and sends one more byte, which is gathered.
local function leave_unsent(client)
    local filled = support.fill(client)
    client:settimeout(10)
    assert(client:receive())
    assert(client:send 'x' == 1)
    loop.sleep(0)
    return filled
end

-- Starts a server that fills each client's window, and then calls f(client).
function lingering.serve(max, f)
    local server = {all = 0, filled = {}, since = {}}
    local listener = track(loop.tcp('127.0.0.1', 0))
    assert(listener:setoption('send-buffer-size', 4096))
    assert(listener:listen(32))
    listener:setmaxclients(max)
    server.listener, server.port = listener, support.port(listener)
    -- A function of its own, so that the accepting thread keeps no client
    -- alive.
    local function take()
        local client = listener:accept()
        if not client then return false end
        local i = server.all + 1
        server.all = i
        server.since[i] = loop.now()
        loop.newthread(function()
            server.filled[i] = leave_unsent(client)
            f(client)
        end)
        return true
    end
    loop.newthread(function() repeat until not take() end)
    return server
end

-- Waits until n clients have been filled.
function lingering.served(server, n)
    assert.is_true(support.eventually(function() return server.filled[n] end))
end

-- Asserts that the client receives all that was sent.
function lingering.is_whole(peer, filled)
    local got, err = peer:receive '*a'
    assert.is_nil(err)
    assert.equal(filled + 1, #got)
    assert.equal('x', got:sub(-1))
end

-- Asserts that the client's connection is reset.
function lingering.is_reset(peer)
    local got, err, partial = peer:receive '*a'
    assert.is_nil(got)
    assert.equal('closed', err)
    assert.is_nil(partial:find 'x')
end

return lingering
