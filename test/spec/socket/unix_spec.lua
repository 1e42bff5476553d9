-- Unix stream sockets, compared with LuaSocket's, and in the loop.

local loop = require 'socketloop'
local lfs = require 'lfs'
local paths = require 'socket_paths'
local process = require 'process'
local support = require 'support'

local unix = paths.unix(describe, pending)
if not unix then return end

local pack, run, track = support.pack, support.run, support.track
local close, path, kind_of = support.close, paths.path, paths.kind_of

local makers = {
    ['loop.unix'] = function() return track(loop.unix()) end,
    ['a wrapped object'] = function()
        return track(loop.wrap(assert(unix.stream())))
    end,
    ['a bare descriptor'] = function()
        local object = assert(unix.stream())
        local fd = object:getfd()
        object:setfd(-1)
        return track(loop.wrap(fd, 'unix'))
    end,
}

local each = paths.tests(it, makers, unix.stream)

-- Returns two connected sockets and the listening one.
local function pair(make, name)
    name = name or path 'pair'
    local listener = make()
    assert(listener:bind(name))
    assert(listener:listen())
    local client = make()
    assert(client:connect(name))
    local server = track(assert(listener:accept()))
    client:settimeout(5)
    server:settimeout(5)
    return client, server, listener
end

describe('A unix socket does as LuaSocket:', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    each('a connection', function(make, note)
        local client, server, listener = pair(make)
        note(client:send 'hello\n')
        note(server:receive())
        note(server:send 'one\ntwo')
        note(client:receive())
        note(client:receive(2))
        note(server:close())
        note(client:receive())
        note(client:receive())
        note(client:send 'x')
        close(client, listener)
    end)

    each('names', function(make, note)
        local client, server, listener = pair(make)
        note(listener:getsockname())
        note(server:getsockname())
        note(client:getsockname())
        note(client.getpeername, client.getoption, client.getfamily)
        close(client, server, listener)
    end)

    each('half-close', function(make, note)
        local client, server, listener = pair(make)
        note(client:send 'all of it')
        note(client:shutdown 'send')
        note(server:receive '*a')
        note(server:send 'answer')
        note(server:shutdown())
        note(client:receive '*a')
        note.err(client.shutdown, client, 'x')
        close(client, server, listener)
    end)

    each('binding', function(make, note)
        local a, b = make(), make()
        note(a:bind(path 'a'))
        note(kind_of(path 'a'))
        note(b:bind(path 'a'))
        note((make():bind(path 'no/such/folder')))
        note(make():bind(('x'):rep(108)))
        note(make():bind(('x'):rep(1000)))
        note.err(a.bind, a)
        note.err(a.bind, a, {})
        close(a, b)
        note(kind_of(path 'a'))     -- stays
    end)

    each('connecting without a server', function(make, note)
        local a = make()
        note(a:connect(path 'nobody'))
        assert(process.write_file(path 'file', ''))
        note(make():connect(path 'file'))
        note(make():connect(paths.folder))
        note(make():connect(('x'):rep(108)))
        local b = make()
        assert(b:bind(path 'b'))
        note(make():connect(path 'b'))  -- does not listen
        note.err(a.connect, a)
        close(a, b)
    end)

    each('methods of the other classes raise', function(make, note)
        local client, server, listener = pair(make)
        local fresh = make()
        note.err(fresh.receive, fresh)
        note.err(fresh.send, fresh, 'x')
        note.err(fresh.accept, fresh)
        note.err(fresh.shutdown, fresh)
        note.err(listener.receive, listener)
        note.err(listener.connect, listener, path 'x')
        note.err(listener.bind, listener, path 'x')
        note.err(listener.listen, listener)
        note.err(client.connect, client, path 'pair')
        note.err(client.accept, client)
        note.err(client.bind, client, path 'x')
        note.err(client.listen, client)
        close(client, server, listener, fresh)
    end)

    each('timeouts', function(make, note)
        local client, server, listener = pair(make)
        client:settimeout(0.01)
        note(client:receive())
        server:send 'part'
        note(client:receive())
        listener:settimeout(0.01)
        note(listener:accept())
        listener:settimeout(0)
        note(listener:accept())
        close(client, server, listener)
    end)

    each('options', function(make, note)
        local client, server, listener = pair(make)
        note(client:setoption('keepalive', true))
        note(client:setoption('reuseaddr', true))
        note(client:setoption('linger', {on = true, timeout = 1}))
        note.err(client.setoption, client, 'linger', {})
        for _, name in ipairs {'tcp-nodelay', 'broadcast', 'x'} do
            note((pcall(client.setoption, client, name, true)))
        end
        close(client, server, listener)
    end)

    each('statistics', function(make, note)
        local client, server, listener = pair(make)
        client:send 'hello\n'
        server:receive()
        note((select(2, client:getstats())))
        note((server:getstats()))
        note(server:setstats(7))
        note((server:getstats()))
        close(client, server, listener)
    end)

    it('has its methods and no others', function()
        local a, b = loop.unix(), assert(unix.stream())
        local methods = {}
        for name in pairs(getmetatable(b).__index) do methods[name] = true end
        for _, name in ipairs {'getpeername', 'getoption', 'getfamily',
                'sendto', 'receivefrom'} do
            methods[name] = true
        end
        for name in pairs(methods) do
            if name ~= 'class' then
                assert.equal(type(b[name]), type(a[name]), name)
            end
        end
        -- The methods that every loop socket has.
        for _, name in ipairs {'getsocket', 'setsocket', 'call_async',
                'gettimeout'} do
            assert.equal('function', type(a[name]), name)
        end
        close(a, b)
    end)
end)

describe('A unix socket in the loop', function()
    support.hooks(before_each, after_each)
    before_each(paths.new)
    after_each(process.cleanup)

    it('waits for a connection, for data and for room', function()
        run(function()
            local listener = loop.unix()
            assert(listener:bind(path 's'))
            assert(listener:listen())
            local server, client
            loop.newthread(function() server = listener:accept() end)
            assert.is_nil(server)
            client = loop.unix()
            assert.is_true(client:connect(path 's'))
            assert.is_true(support.eventually(function() return server end))
            local got
            loop.newthread(function() got = client:receive() end)
            assert.is_nil(got)
            server:send 'hello\n'
            assert.is_true(support.eventually(function() return got end))
            local data = ('0123456789abcdef'):rep(100000)
            local sent
            loop.newthread(function() sent = client:send(data) end)
            assert.is_nil(sent)
            assert.equal(data, server:receive(#data))
            assert.is_true(support.eventually(function() return sent end))
            assert.equal(#data, sent)
            close(client, server, listener)
        end)
    end)

    it('gives its path', function()
        run(function()
            local client, server, listener = pair(loop.unix)
            for _, s in ipairs {client, server, listener} do
                assert.matches(path 'pair', tostring(s), 1, true)
                assert.matches('unixstream', tostring(s), 1, true)
            end
            assert.matches('no descriptor', tostring(loop.unix()), 1, true)
            close(client, server, listener)
        end)
    end)

    it('can try again when bind or connect has failed', function()
        run(function()
            for _, make in pairs(makers) do
                local s, t = make(), make()
                assert.is_nil((s:bind(path 'no/folder')))
                assert.equal(1, s:bind(path 's'))
                assert.equal(1, s:listen())
                assert.is_nil((t:connect(path 'nobody')))
                assert.is_true(t:connect(path 's'))
                assert(s:accept()):close()
                close(s, t)
                os.remove(path 's')
            end
        end)
    end)

    it('waits while the queue of a server is full', function()
        run(function()
            for _, make in pairs(makers) do
                local listener = loop.unix()
                assert(listener:bind(path 's'))
                assert(listener:listen(0))
                local clients, connected = {}, 0
                for i = 1, 5 do
                    loop.newthread(function()
                        clients[i] = make()
                        assert.is_true(clients[i]:connect(path 's'))
                        connected = connected + 1
                        clients[i]:send 'hello\n'
                    end)
                end
                assert.is_true(connected < 5)
                for _ = 1, 5 do
                    local server = assert(listener:accept())
                    assert.equal('hello', server:receive())
                    server:close()
                end
                assert.equal(5, connected)
                close(listener, support.unpack(clients))
                os.remove(path 's')
            end
        end)
    end)

    it('gives up connecting when the time is over', function()
        run(function()
            for _, make in pairs(makers) do
                local listener = loop.unix()
                assert(listener:bind(path 's'))
                assert(listener:listen(0))
                local full = {}
                for i = 1, 10 do
                    full[i] = make()
                    full[i]:settimeout(0)
                    local ok, err = full[i]:connect(path 's')
                    if not ok then
                        assert.equal('timeout', err)
                        break
                    end
                end
                local s = full[#full]
                s:settimeout(0.01)
                assert.same(pack(nil, 'timeout'), pack(s:connect(path 's')))
                s:settimeout(5)
                s:settimeout(0.01, 't')
                assert.same(pack(nil, 'timeout'), pack(s:connect(path 's')))
                -- The socket can connect when there is room.
                s:settimeout(5, 't')
                loop.newthread(function()
                    loop.sleep(0.005)
                    listener:accept():close()
                end)
                assert.is_true(s:connect(path 's'))
                close(listener, support.unpack(full))
                os.remove(path 's')
            end
        end)
    end)

    it('is closed while it waits to connect', function()
        run(function()
            local listener = loop.unix()
            assert(listener:bind(path 's'))
            assert(listener:listen(0))
            local full = {}
            repeat
                local s = loop.unix()
                s:settimeout(0)
                full[#full + 1] = s
            until not s:connect(path 's')
            local s = full[#full]
            s:settimeout(nil)
            local result
            loop.newthread(function() result = pack(s:connect(path 's')) end)
            loop.sleep(0.002)
            assert.is_nil(result)
            s:close()
            assert.is_true(support.eventually(function() return result end))
            assert.same(pack(nil, 'closed'), result)
            assert.same(pack(nil, 'closed'), pack(s:connect(path 's')))
            close(listener, support.unpack(full))
        end)
    end)

    it('is closed after close', function()
        run(function()
            local client, server, listener = pair(loop.unix)
            local results = {}
            loop.newthread(function()
                results[1] = pack(client:receive())
            end)
            loop.newthread(function()
                results[2] = pack(listener:accept())
            end)
            loop.sleep(0)
            close(client, server, listener)
            assert.is_true(support.eventually(function()
                return results[1] and results[2]
            end))
            assert.same(pack(nil, 'closed', ''), results[1])
            assert.same(pack(nil, 'closed'), results[2])
            assert.same(pack(nil, 'closed', ''), pack(client:receive()))
            assert.same(pack(nil, 'closed', 0), pack(client:send 'x'))
            local fresh = loop.unix()
            fresh:close()
            assert.same(pack(nil, 'closed'), pack(fresh:bind(path 'x')))
            assert.same(pack(nil, 'closed'), pack(fresh:connect(path 'x')))
        end)
    end)

    it('makes LuaSocket objects on demand', function()
        run(function()
            local client, server, listener = pair(loop.unix)
            assert.matches('unixstream{client}', tostring(client.socket), 1,
                true)
            assert.matches('unixstream{client}', tostring(server.socket), 1,
                true)
            assert.matches('unixstream{server}', tostring(listener.socket), 1,
                true)
            assert.equal(client:getfd(), client.socket:getfd())
            client:send 'still\n'
            assert.equal('still', server:receive())
            local other = loop.unix()
            assert.is_true(other:connect(path 'pair'))
            assert(listener:accept()):close()
            local objects = {client.socket, server.socket, listener.socket}
            close(client, server, listener, other)
            for _, object in ipairs(objects) do
                assert.equal(-1, object:getfd())
            end
            local fresh = loop.unix()
            assert.matches('unixstream{master}', tostring(fresh.socket), 1,
                true)
            assert.equal(fresh:getfd(), fresh.socket:getfd())
            assert.equal(1, fresh:bind(path 'fresh'))
            assert.equal(path 'fresh', fresh.socket:getsockname())
            fresh:close()
        end)
    end)

    it('raises for a zero byte within a path', function()
        run(function()
            local s = loop.unix()
            assert.is_false((pcall(s.bind, s, path 'a\0b')))
            assert.is_false((pcall(s.connect, s, path 'a\0b')))
            assert.is_nil(kind_of(path 'a'))
            s:close()
        end)
    end)

    it('takes abstract names', function()
        if lfs.attributes('/proc/version') == nil then
            pending 'not Linux'
            return
        end
        run(function()
            local name = '\0socketloop' .. paths.folder
            local client, server, listener = pair(loop.unix, name)
            assert.equal(name, listener:getsockname())
            client:send 'hello\n'
            assert.equal('hello', server:receive())
            close(client, server, listener)
        end)
    end)

    it('works without LuaSocket', function()
        local status, output = process.lua(([[
            package.preload['socket.core'] = function() error 'used' end
            package.preload['socket.unix'] = package.preload['socket.core']
            local loop = require 'socketloop'
            local server = loop.newserver(%q, nil, function(client)
                client:send(client:receive() .. ' to you\n')
                client:close()
            end)
            loop.newthread(function()
                local s = loop.unix()
                assert(s:connect(%q))
                s:send 'hello\n'
                print((s:receive()))
                s:close()
                server:close()
            end)
            loop.start()
        ]]):format(path 's', path 's'))
        assert.equal('hello to you\n', output)
        assert.equal(0, status)
    end)
end)
