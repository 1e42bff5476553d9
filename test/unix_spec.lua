-- Unix sockets, streams and datagrams: side by side with LuaSocket's, as
-- servers of a path, and with real programs at the other end.

local lfs = require 'lfs'
local loop = require 'socketloop'
local names = require 'names'
local nginx = require 'nginx'
local process = require 'process'
local support = require 'support'

local has_unix, unix = pcall(require, 'socket.unix')

local pack = support.pack
local run, track = support.run, support.track
local close = support.close

local folder

local function path(name)
    return folder .. '/' .. name
end

-- What there is at a path: 'socket', 'file', ... or nil.
local function kind_of(name)
    return lfs.symlinkattributes(name, 'mode')
end

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

local dgram_makers = {
    ['a wrapped object'] = function()
        return track(loop.wrap(assert(unix.dgram())))
    end,
    ['a bare descriptor'] = function()
        local object = assert(unix.dgram())
        local fd = object:getfd()
        object:setfd(-1)
        return track(loop.wrap(fd, 'unix'))
    end,
}

-- As in udp_spec: what f notes down with LuaSocket's objects and with ours. A
-- connect gives 1 there and true here.
local function notes(f, make)
    folder = process.tempdir()
    local all = {}
    local note = setmetatable({
        err = function(g, ...)
            local ok, err = pcall(g, ...)
            all[#all + 1] = {ok, ok or err:match '%((.*)%)'}
        end,
    }, {__call = function(_, ...)
        local values = pack(...)
        if values[1] == true then values[1] = 1 end
        if type(values[1]) == 'string' then
            values[1] = values[1]:gsub('^' .. folder, '')
        end
        all[#all + 1] = values
    end})
    f(make, note)
    return all
end

local function compare(of, plain, name, f)
    for kind, make in pairs(of) do
        it(name .. ' (' .. kind .. ')', function()
            local expected = notes(f, function()
                return track(assert(plain()))
            end)
            assert.is_true(#expected > 0)
            assert.same(expected, run(notes, f, make))
        end)
    end
end

-- Two connected sockets, and the listening one.
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

if not has_unix then
    describe('LuaSocket without unix sockets', function()
        pending 'has nothing to compare with'
    end)
    return
end

describe('A unix socket does as LuaSocket:', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    local function each(name, f)
        compare(makers, unix.stream, name, f)
    end

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

    each('connecting to nobody', function(make, note)
        local a = make()
        note(a:connect(path 'nobody'))
        assert(process.write_file(path 'file', ''))
        note(make():connect(path 'file'))
        note(make():connect(folder))
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
        -- And those that every loop socket has.
        for _, name in ipairs {'getsocket', 'setsocket', 'call_async',
                'gettimeout'} do
            assert.equal('function', type(a[name]), name)
        end
        close(a, b)
    end)
end)

describe('A unix socket in the loop', function()
    support.hooks(before_each, after_each)
    before_each(function() folder = process.tempdir() end)
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

    it('tells its path', function()
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
                -- The same socket connects when there is room.
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
            local name = '\0socketloop' .. folder
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

describe('newserver on a path', function()
    support.hooks(before_each, after_each)
    before_each(function() folder = process.tempdir() end)
    after_each(process.cleanup)

    local function echo(client)
        while true do
            local line = client:receive()
            if not line then break end
            client:send('echo ' .. line .. '\n')
        end
        client:close()
    end

    -- Does a server answer at the path?
    local function ask(name)
        local s = loop.unix()
        s:settimeout(5)
        local ok, err = s:connect(name)
        if not ok then
            s:close()
            return nil, err
        end
        s:send 'hello\n'
        local line = s:receive()
        s:close()
        return line
    end

    -- What is left of a server that was killed.
    local function leave(name)
        local object = assert(unix.stream())
        assert(object:bind(name))
        assert(object:listen())
        object:close()
        assert.equal('socket', kind_of(name))
    end

    it('serves', function()
        run(function()
            local server = track(loop.newserver(path 's', nil, echo))
            assert.equal(path 's', server:getsockname())
            assert.equal('echo hello', ask(path 's'))
            local count = 0
            for _ = 1, 50 do
                loop.newthread(function()
                    assert.equal('echo hello', ask(path 's'))
                    count = count + 1
                end)
            end
            assert.is_true(support.eventually(function()
                return count == 50
            end))
            server:close()
        end)
    end)

    it('removes the path when it is closed', function()
        run(function()
            local server = track(loop.newserver(path 's', nil, echo))
            assert.equal('socket', kind_of(path 's'))
            server:close()
            assert.is_nil(kind_of(path 's'))
            assert.equal(1, server:close())
            assert.equal('No such file or directory',
                (select(2, ask(path 's'))))
        end)
    end)

    it('removes it when its object was asked for', function()
        run(function()
            local server = track(loop.newserver(path 's', nil, echo))
            assert.is_truthy(server:getsocket())
            assert.equal('echo hello', ask(path 's'))
            server:close()
            assert.is_nil(kind_of(path 's'))
        end)
    end)

    it('removes it when the program ends', function()
        local status, output = process.lua(([[
            local loop = require 'socketloop'
            loop.newserver(%q, nil, print)
            loop.step(0)
        ]]):format(path 's'))
        assert.equal('', output)
        assert.equal(0, status)
        assert.is_nil(kind_of(path 's'))
    end)

    if names.available then
        it('leaves it to the process that made it', function()
            names.host(1, 1, 0, ([[
                local server = loop.newserver(%q, nil, function(client)
                    client:send 'hello\n'
                    client:close()
                end)
                local child = fork()
                if child == 0 then
                    server:close()
                    return 7
                end
                expect(7, wait(child))
                run(function()
                    local s = loop.unix()
                    expect(true, (s:connect(%q)))
                    expect('hello', (s:receive()))
                    s:close()
                    server:close()
                end)
            ]]):format(path 's', path 's'))
            assert.is_nil(kind_of(path 's'))
        end)
    end

    it('leaves it when it is another one by now', function()
        run(function()
            local server = track(loop.newserver(path 's', nil, echo))
            os.remove(path 's')
            local other = track(loop.newserver(path 's', nil, echo))
            server:close()
            assert.equal('echo hello', ask(path 's'))
            os.remove(path 's')
            process.write_file(path 's', 'precious')
            other:close()
            assert.equal('file', kind_of(path 's'))
        end)
    end)

    it('takes the place of a server that died', function()
        run(function()
            leave(path 's')
            local server = track(loop.newserver(path 's', nil, echo))
            assert.equal('echo hello', ask(path 's'))
            server:close()
        end)
    end)

    it('raises when a live server is there', function()
        run(function()
            local server = track(loop.newserver(path 's', nil, echo))
            local ok, err = pcall(loop.newserver, path 's', nil, echo)
            assert.is_false(ok)
            assert.matches('newserver: address already in use', err, 1, true)
            assert.equal('echo hello', ask(path 's'))
            server:close()
            -- One that does not accept, too.
            local object = assert(unix.stream())
            assert(object:bind(path 's'))
            assert(object:listen())
            assert.is_false((pcall(loop.newserver, path 's', nil, echo)))
            object:close()
        end)
    end)

    it('raises when datagrams are received there', function()
        run(function()
            local object = assert(unix.dgram())
            assert(object:bind(path 's'))
            assert.is_false((pcall(loop.newserver, path 's', nil, echo)))
            assert.equal('socket', kind_of(path 's'))
            object:close()
        end)
    end)

    it('never removes what is not a socket', function()
        process.write_file(path 'file', 'precious')
        assert.is_true(lfs.mkdir(path 'folder'))
        assert.is_truthy(lfs.link('file', path 'link', true))
        leave(path 's')
        assert.is_truthy(lfs.link('s', path 'link to s', true))
        for _, name in ipairs {'file', 'folder', 'link', 'link to s'} do
            local before = kind_of(path(name))
            local ok, err = pcall(loop.newserver, path(name), nil, echo)
            assert.is_false(ok)
            assert.matches('address already in use', err, 1, true)
            assert.equal(before, kind_of(path(name)))
        end
        assert.equal('precious', process.read_file(path 'file'))
    end)

    it('raises where it cannot be', function()
        for _, bad in ipairs {path 'no/folder', path(('x'):rep(200)),
                path 'a\0b'} do
            local ok, err = pcall(loop.newserver, bad, nil, echo)
            assert.is_false(ok)
            assert.is_string(err)
        end
        local ok, err = pcall(loop.newserver, path 's', 80, echo)
        assert.is_false(ok)
        assert.matches('bad argument #2', err, 1, true)
        assert.is_nil(kind_of(path 's'))
        ok, err = pcall(loop.newserver, path 's')
        assert.is_false(ok)
        assert.matches('bad argument #3', err, 1, true)
    end)

    it('takes paths that are relative', function()
        local here = lfs.currentdir()
        lfs.chdir(folder)
        local ok, err = pcall(run, function()
            local server = track(loop.newserver('./s', nil, echo))
            assert.equal('echo hello', ask 's')
            server:close()
            assert.is_nil(kind_of 's')
        end)
        lfs.chdir(here)
        assert.is_true(ok, err)
    end)

    if process.which 'curl' then
        it('serves curl', function()
            run(function()
                local server = track(loop.newserver(path 's', nil,
                    function(client)
                        local request = client:receive()
                        repeat until client:receive() == ''
                        client:send {'HTTP/1.0 200 OK\r\n\r\n', request, '\n',
                            ('x'):rep(300000)}
                        client:close()
                    end))
                local program = process.start(
                    'exec curl -sS --max-time 20 --unix-socket ' ..
                    process.quote(path 's') .. ' http://localhost/page')
                local status, output = program:wait(loop.sleep)
                assert.equal(0, status, output)
                assert.equal('GET /page HTTP/1.1', output:match '[^\n]*')
                assert.equal(300000, #output - #'GET /page HTTP/1.1\n')
                server:close()
            end)
        end)
    end

    if nginx.path then
        it('is not needed to talk to nginx', function()
            lfs.mkdir(path 'html')
            process.write_file(path 'html/page', ('a page\n'):rep(20000))
            local server = nginx.start(folder,
                'server { listen unix:FOLDER/nginx.sock; root html; }',
                {FOLDER = folder})
            run(function()
                server:expect(function()    -- the file is there earlier
                    local probe = loop.unix()
                    local ok = probe:connect(path 'nginx.sock')
                    probe:close()
                    return ok
                end, loop.sleep)
                -- LuaSocket's library, none the wiser.
                local http = require 'socket.http'
                local pages = 0
                for _ = 1, 20 do
                    loop.newthread(function()
                        local parts = {}
                        local ok, code = http.request {
                            url = 'http://localhost/page',
                            sink = require 'ltn12'.sink.table(parts),
                            create = function()
                                local s = loop.unix()
                                local connect = s.connect
                                function s:connect()
                                    return connect(self, path 'nginx.sock')
                                end
                                return s
                            end,
                        }
                        assert.equal(1, ok, code)
                        assert.equal(200, code)
                        assert.equal(140000, #table.concat(parts))
                        pages = pages + 1
                    end)
                end
                assert.is_true(support.eventually(function()
                    return pages == 20
                end))
                server:stop()
            end)
        end)
    end
end)

describe('A unix datagram socket does as LuaSocket:', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    local function each(name, f)
        compare(dgram_makers, unix.dgram, name, f)
    end

    each('sendto and receivefrom', function(make, note)
        local a, b = make(), make()
        note(a:bind(path 'a'))
        note(a:getsockname())
        note(b:sendto('hello', path 'a'))
        note(a:receivefrom())           -- from nowhere
        note(b:bind(path 'b'))
        note(b:sendto('hello', path 'a'))
        local data, from = a:receivefrom()
        note(data, from == path 'b')
        note(a:sendto('you too', from))
        note(b:receive())
        note(b:sendto('x', path 'nobody'))
        note(b:sendto('x', ('x'):rep(108)))
        note.err(b.sendto, b, 'x')
        close(a, b)
        note(kind_of(path 'a'))
    end)

    each('connected sockets', function(make, note)
        local a, b = make(), make()
        note(a:bind(path 'a'))
        note(b:connect(path 'a'))
        note(b:send('hello'))
        note(a:receive())
        note(b:send(''))
        note(a:receive())
        note.err(b.sendto, b, 'x', path 'a')
        note.err(b.receivefrom, b)
        note.err(b.bind, b, path 'b')
        note.err(a.send, a, 'x')
        local c = make()
        note(c:bind(path 'c'))
        note(b:setpeername(path 'c'))   -- another one
        note(b:send('hello'))
        note(c:receive())
        close(a, b, c)
    end)

    each('bounds and what does not fit', function(make, note)
        local a, b = make(), make()
        note(a:bind(path 'a'))
        note(b:connect(path 'a'))
        for i = 1, 5 do note(b:send(('x'):rep(i))) end
        for _ = 1, 5 do note(a:receive()) end
        note(b:send(('x'):rep(20000)))
        note(#a:receive())
        note(b:send(('x'):rep(150000)))
        note(#a:receive(200000))
        note(b:send(('x'):rep(150000)))
        note(#a:receive(100000))
        note(b:send('abc'))
        note((a:receivefrom(2)))
        note(b:send(('x'):rep(10000000)))
        a:settimeout(0)
        note(a:receive())
        close(a, b)
    end)

    each('a peer that is gone', function(make, note)
        local a, b = make(), make()
        note(a:bind(path 'a'))
        note(b:connect(path 'a'))
        a:close()
        note(b:send('x'))
        note(make():connect(path 'a'))
        note(make():sendto('x', path 'a'))
        b:close()
    end)

    each('options', function(make, note)
        local a = make()
        note(a:setoption('reuseaddr', true))
        note((pcall(a.setoption, a, 'keepalive', true)))
        note(a.getoption, a.getpeername, a.listen, a.accept)
        note(a:dirty())
        close(a)
    end)
end)

describe('A unix datagram socket in the loop', function()
    support.hooks(before_each, after_each)
    before_each(function() folder = process.tempdir() end)
    after_each(process.cleanup)

    local make = dgram_makers['a wrapped object']

    it('waits while the queue of its peer is full', function()
        run(function()
            local a, b = make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            local sent, done = 0, false
            loop.newthread(function()
                for i = 1, 100 do
                    assert.equal(#tostring(i), b:send(tostring(i)))
                    sent = i
                end
                done = true
            end)
            assert.is_true(sent < 100)
            for i = 1, 100 do assert.equal(tostring(i), a:receive()) end
            assert.is_true(support.eventually(function() return done end))
            close(a, b)
        end)
    end)

    it('waits while the queue of whoever it sends to is full', function()
        run(function()
            local a, b = make(), make()
            assert(a:bind(path 'a'))
            local sent, done = 0, false
            loop.newthread(function()
                for i = 1, 100 do
                    assert.equal(#tostring(i),
                        b:sendto(tostring(i), path 'a'))
                    sent = i
                end
                done = true
            end)
            assert.is_true(sent < 100)
            for i = 1, 100 do assert.equal(tostring(i), a:receive()) end
            assert.is_true(support.eventually(function() return done end))
            close(a, b)
        end)
    end)

    it('waits while the queue is full of what others sent', function()
        run(function()
            local a, b, c = make(), make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            b:settimeout(0)
            local count = 0
            while b:send 'other' do count = count + 1 end
            local sent
            loop.newthread(function() sent = c:sendto('mine', path 'a') end)
            local clock = os.clock()
            loop.sleep(0.3)
            assert.is_nil(sent)
            assert.is_true(os.clock() - clock < 0.1)    -- not busily
            for _ = 1, count do assert.equal('other', a:receive()) end
            assert.equal('mine', a:receive())
            assert.equal(4, sent)
            close(a, b, c)
        end)
    end)

    it('gives up sending when the time is over', function()
        run(function()
            local a, b, c = make(), make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            for _, seconds in ipairs {0, 0.01} do
                b:settimeout(seconds)
                local result
                repeat result = pack(b:send('x')) until not result[1]
                assert.same(pack(nil, 'timeout'), result)
                c:settimeout(seconds)
                assert.same(pack(nil, 'timeout'),
                    pack(c:sendto('x', path 'a')))
            end
            assert.equal('x', a:receive())
            assert.equal(1, b:send('x'))
            close(a, b, c)
        end)
    end)

    it('is closed while it waits to send', function()
        run(function()
            local a, b, c = make(), make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            local results = {}
            loop.newthread(function()
                local result
                repeat result = pack(b:send('x')) until not result[1]
                results[1] = result
            end)
            loop.newthread(function()
                results[2] = pack(c:sendto('x', path 'a'))
            end)
            loop.sleep(0.002)
            assert.is_nil(results[1] or results[2])
            close(b, c)
            assert.is_true(support.eventually(function()
                return results[1] and results[2]
            end))
            assert.same(pack(nil, 'closed'), results[1])
            assert.same(pack(nil, 'closed'), results[2])
            a:close()
        end)
    end)

    it('is told when its peer goes while it waits', function()
        run(function()
            local a, b = make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            local result
            loop.newthread(function()
                repeat result = pack(b:send('x')) until not result[1]
            end)
            loop.sleep(0.002)
            a:close()
            assert.is_true(support.eventually(function()
                return not result[1]
            end))
            assert.same(pack(nil, 'connection refused'), result)
            b:close()
        end)
    end)

    it('makes LuaSocket objects on demand', function()
        run(function()
            local bare = dgram_makers['a bare descriptor']
            local a, b = bare(), bare()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            assert.matches('unixdgram{unconnected}', tostring(a.socket), 1,
                true)
            assert.matches('unixdgram{connected}', tostring(b.socket), 1,
                true)
            assert.equal(5, b:send('hello'))
            assert.equal('hello', a:receive())
            close(a, b)
        end)
    end)
end)
