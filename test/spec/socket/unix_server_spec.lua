-- newserver on a path, also with other programs as peers.

local loop = require 'socketloop'
local lfs = require 'lfs'
local names = require 'name_service'
local nginx = require 'nginx'
local paths = require 'socket_paths'
local process = require 'process'
local support = require 'support'

local unix = paths.unix(describe, pending)
if not unix then return end

local run, track, path = support.run, support.track, paths.path
local kind_of = paths.kind_of

describe('newserver on a path', function()
    support.hooks(before_each, after_each)
    before_each(paths.new)
    after_each(process.cleanup)

    local function echo(client)
        while true do
            local line = client:receive()
            if not line then break end
            client:send('echo ' .. line .. '\n')
        end
        client:close()
    end

    -- Whether a server answers at the path.
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

    -- Leaves the socket file of a server that was killed.
    local function leave(name)
        local object = assert(unix.stream())
        assert(object:bind(name))
        assert(object:listen())
        object:close()
        assert.equal('socket', kind_of(name))
    end

    -- A client that connects as soon as the server listens gets the limits that
    -- are set afterwards.
    it('accepts no client before it has returned', function()
        local client, gone, err
        debug.sethook(function()
            if client then return end
            local s = unix.stream()
            if s:connect(path 's') then client = track(s) else s:close() end
        end, 'c')
        local server = loop.newserver(path 's', nil, function(s)
            err = select(2, s:receive())
            gone = true
            s:close()
        end)
        debug.sethook()
        if not client then    -- LuaJIT's hook sees no calls of C functions
            server:close()
            return pending 'nobody was there in time'
        end
        server:setmaxline(5)
        client:send '123456\n'
        run(function()
            assert.is_true(support.eventually(function() return gone end))
            assert.equal('line too long', err)
            server:close()
        end)
        client:close()
    end)

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

    it('leaves it when another server has it', function()
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
            -- A socket that is bound but does not listen occupies its path,
            -- too.
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

    it('never removes other files than sockets', function()
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

    it('raises for impossible paths', function()
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
        lfs.chdir(paths.folder)
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
            local server = nginx.start(paths.folder,
                'server { listen unix:FOLDER/nginx.sock; root html; }',
                {FOLDER = paths.folder})
            run(function()
                server:expect(function()    -- the file appears before
                    local probe = loop.unix()
                    local ok = probe:connect(path 'nginx.sock')
                    probe:close()
                    return ok
                end, loop.sleep)
                -- LuaSocket's library, unchanged.
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
