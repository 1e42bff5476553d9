-- redis-lua, a client that does not know loops and threads, unchanged, against
-- a Redis server. Its subscriptions are iterators made by coroutine.wrap, which
-- read from the socket.

local loop = require 'socketloop'
local coro = require 'coro'
local support = require 'support'
local process = require 'process'

local some = support.some

local coro_loop = loop.coro     -- so that no test seems to leak it

-- The package installs redis-lua for some Luas only; it works on the others.
local function load_client()
    local ok, redis = pcall(require, 'redis')
    if ok then return redis end
    local file = loadfile '/usr/share/lua/5.1/redis.lua'
    return file and file()
end

local redis = load_client()

describe('redis-lua', function()
    if not redis or not process.which 'redis-server' then
        pending 'Redis or its client is not installed'
        return
    end

    local port, holder, path

    setup(function()
        local folder = process.tempdir()
        port, holder = process.freeport()
        path = folder .. '/redis.sock'
        process.serve(process.unprivileged(folder) ..
            process.which 'redis-server' .. (' --port %d --bind 127.0.0.1 ' ..
            '--save "" --daemonize no --dir %s --unixsocket %s ' ..
            '--unixsocketperm 777'):format(port, process.quote(folder),
                                           process.quote(path)), port)
        os.execute('chmod 755 ' .. process.quote(folder))
    end)
    teardown(function()
        if holder then holder:close() end
        process.cleanup()
    end)
    support.hooks_installed(before_each, after_each)

    local function connect()
        local client = redis.connect('127.0.0.1', port)
        support.track(client.network.socket)
        return client
    end

    -- Runs f with a new client in a thread.
    local function with_client(f)
        return support.run(function()
            local client = connect()
            client:flushall()
            f(client)
            client.network.socket:close()
        end)
    end

    it('asks and is answered', function()
        with_client(function(client)
            assert.is_true(client:ping())
            assert.is_true(client:set('key', 'value'))
            assert.equal('value', client:get 'key')
            assert.is_nil(client:get 'other')
            local big = ('x\r\n'):rep(300000)
            assert.is_true(client:set('big', big))
            assert.is_true(client:get 'big' == big)
            for i = 1, 10 do client:rpush('list', i) end
            assert.equal('1 2 3 4 5 6 7 8 9 10',
                         table.concat(client:lrange('list', 0, -1), ' '))
        end)
    end)

    it('pipelines', function()
        if support.lua_version > 5.1 then
            pending 'redis-lua\'s pipelines are for Lua 5.1'
            return
        end
        with_client(function(client)
            local replies = client:pipeline(function(p)
                for i = 1, 1000 do p:set('key' .. i, i) end
                p:get 'key1000'
            end)
            assert.equal(1001, #replies)
            assert.equal('1000', replies[1001])
        end)
    end)

    it('makes transactions', function()
        with_client(function(client)
            local replies = client:transaction(function(t)
                t:incr 'counter'
                t:incr 'counter'
            end)
            assert.same({1, 2}, replies)
        end)
    end)

    it('raises the server\'s errors', function()
        with_client(function(client)
            client:set('key', 'word')
            assert.error_matches(function() client:incr 'key' end,
                                 'not an integer')
            assert.is_true(client:ping())
        end)
    end)

    it('gives up after a timeout', function()
        with_client(function(client)
            client.network.socket:settimeout(0.02)
            assert.error_matches(function() client:blpop('nothing', 5) end,
                                 'timeout')
        end)
    end)

    it('connects to a path', function()
        if not pcall(require, 'socket.unix') then
            pending 'LuaSocket was built without unix sockets'
            return
        end
        support.run(function()
            local client = redis.connect('unix://' .. path)
            assert.is_true(client:ping())
            client.network.socket:close()
        end)
    end)

    it('reports a refused connection', function()
        support.run(function()
            assert.error_matches(function()
                redis.connect('127.0.0.1', support.closedport())
            end, 'connection refused')
        end)
    end)

    it('waits in a hundred threads at the same time', function()
        local all, got, ended = some(100), {}, 0
        for _ = 1, all do
            loop.newthread(function()
                local client = connect()
                local reply = client:blpop('queue', 0)
                got[reply[2]] = true
                client.network.socket:close()
                ended = ended + 1
            end)
        end
        with_client(function(client)
            -- Returns the number of clients that wait, as counted by the
            -- server.
            local function waiting()
                return tonumber(client:info().clients.blocked_clients)
            end
            assert.is_true(support.eventually(function()
                return waiting() == all
            end))
            assert.equal(0, ended)
            for i = 1, all do client:rpush('queue', 'job' .. i) end
            assert.is_true(support.eventually(function()
                return ended == all
            end))
        end)
        for i = 1, all do assert.is_true(got['job' .. i]) end
    end)

    -- In threads of the loop `which`: one subscribes, another publishes.
    local function publish_and_subscribe(which)
        local messages, turns = {}, 0
        local is_subscribed = false
        which.newthread(function()
            local client = connect()
            for message, abort in client:pubsub {subscribe = {'news'}} do
                if message.kind == 'subscribe' then
                    is_subscribed = true
                elseif message.payload == 'end' then
                    abort()
                else
                    messages[#messages + 1] = message.payload
                end
            end
            client.network.socket:close()
            is_subscribed = false
        end)
        which.newthread(function()
            local client = connect()
            while not is_subscribed do which.sleep(0.001) end
            for i = 1, 5 do
                which.sleep(0.002)
                assert.equal(1, client:publish('news', 'message ' .. i))
            end
            client:publish('news', 'end')
            client.network.socket:close()
            while is_subscribed do
                turns = turns + 1
                which.sleep(0.001)
            end
        end)
        while which.step() do end
        assert.same({'message 1', 'message 2', 'message 3', 'message 4',
                     'message 5'}, messages)
    end

    it('is an iterator over messages', function()
        publish_and_subscribe(loop)
    end)

    it('is one in the coro loop, with the coroutines of coro', function()
        local undo_coro = coro_loop.install()
        local old = coro.install()
        finally(function()
            _G.coroutine = old
            undo_coro()
        end)
        publish_and_subscribe(coro_loop)
        publish_and_subscribe(loop)
    end)

    it('works in the main program', function()
        local client = connect()
        client:set('key', 'main')
        assert.equal('main', client:get 'key')
        client.network.socket:close()
    end)
end)
