-- Scenes that many specs use.

local loop = require 'socketloop'
local support = require 'support'

local pack, unpack = support.pack, support.unpack

local scenes = {}

-- While install is in effect: runs f in a thread with a LuaSocket object and
-- its peer, a socket of the loop, then closes the two. Returns the results of
-- f.
function scenes.with_unwrapped(f)
    return support.run(function()
        local client, peer = support.unwrapped()
        local results = pack(f(client, peer))
        support.close(client, peer)
        return unpack(results, 1, results.n)
    end)
end

-- Sends the pieces one after another, each at a later time; a false closes the
-- peer.
function scenes.trickle(peer, ...)
    local pieces = {...}
    loop.newthread(function()
        for _, piece in ipairs(pieces) do
            loop.sleep(0.002)
            if piece then peer:send(piece) else peer:close() end
        end
    end)
end

-- Asserts that the socket and its plain peer are connected in both directions,
-- and that the socket waits in the loop rather than block the process.
function scenes.dialogue(s, peer)
    local got
    loop.newthread(function() got = s:receive() end)
    assert(got == nil, 'it does not wait')
    peer:send 'ping\n'
    assert(support.eventually(function() return got end), 'it hears nothing')
    assert(got == 'ping', got)
    s:send 'pong\n'
    local answer, err = peer:receive()
    assert(answer == 'pong', answer or err)
end

-- Returns a descriptor that no object owns, and its plain peer.
function scenes.bare_fd(host)
    local client, peer = support.plain.pair(host)
    local fd = client:getfd()
    client:setfd(-1)
    return fd, peer
end

-- A handler of a server: sends back each line, with a prefix, until the client
-- closes.
function scenes.echo(client)
    while true do
        local line = client:receive '*l'
        if not line then break end
        client:send('echo ' .. line .. '\n')
    end
    client:close()
end

-- A server that keeps its clients. Returns port, listening socket, the clients.
function scenes.keeper()
    local kept = {}
    local port, listener = support.serve(function(client)
        kept[#kept + 1] = client
    end)
    return port, listener, kept
end

-- In a loop thread: returns the server's answer to a line.
function scenes.ask(port, line)
    local client = assert(loop.connect('127.0.0.1', port))
    client:settimeout(support.limit)
    local answer
    local ok, err = client:send(line .. '\n')
    if ok then answer, err = client:receive '*l' end
    client:close()
    return answer, err
end

-- In a thread of the loop `which`: whether another thread runs during f.
function scenes.waits(f, which)
    which = which or loop
    local turns, ended = 0, false
    which.newthread(function()
        f()
        ended = true
    end)
    which.newthread(function()
        while not ended do
            turns = turns + 1
            which.sleep(0.001)
        end
    end)
    while which.step() do end
    assert(ended, 'it has not ended')
    return turns > 0
end

return scenes
