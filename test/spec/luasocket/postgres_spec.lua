-- A client for PostgreSQL that does not know loops (postgres.lua), against a
-- server of its own.

local loop = require 'socketloop'
local postgres = require 'postgres'
local support = require 'support'
local process = require 'process'

local some = support.some

-- Returns the folder of the newest server's programs, which is not in PATH.
local function find_programs()
    local newest
    local pipe = io.popen 'ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null'
    for line in pipe:lines() do newest = line:match '^(.*)/initdb$' end
    pipe:close()
    return newest
end

describe('a PostgreSQL client', function()
    local programs = find_programs()
    if not programs then
        pending 'PostgreSQL is not installed'
        return
    end

    local port, holder

    setup(function()
        local folder = process.tempdir()
        port, holder = process.freeport()
        local prefix = process.unprivileged(folder)
        local data = process.quote(folder .. '/data')
        local status, output = process.run(prefix .. programs ..
            '/initdb --no-sync --auth trust --username tester ' ..
            '--no-locale --pgdata ' .. data)
        assert(status == 0, output)
        local server = process.serve(prefix .. programs .. '/postgres -D ' ..
            data .. (" -p %d -c listen_addresses=127.0.0.1 -c fsync=off " ..
            "-c unix_socket_directories='' -c max_connections=120"):format(
            port), port)
        server:expect(function(text)
            return text:match 'ready to accept connections'
        end)
    end)
    teardown(function()
        if holder then holder:close() end
        process.cleanup()
    end)
    support.hooks_installed(before_each, after_each)

    local function connect(host)
        local client = assert(postgres.connect(host or '127.0.0.1', port,
                                               'tester', 'postgres'))
        support.track(client.socket)
        return client
    end

    local function with_client(f)
        return support.run(function()
            local client = connect()
            f(client)
            client:close()
        end)
    end

    it('asks and is answered', function()
        with_client(function(client)
            assert.same({{a = '1', b = 'two'}},
                        client:query "select 1 as a, 'two' as b, null as c")
        end)
    end)

    it('gets many rows', function()
        with_client(function(client)
            local all = some(10000)
            local rows = client:query((
                'select i, repeat(i::text, 100) as t ' ..
                'from generate_series(1, %d) as i'):format(all))
            assert.equal(all, #rows)
            for i, each in ipairs(rows) do
                assert(each.i == tostring(i))
                assert(each.t == tostring(i):rep(100))
            end
        end)
    end)

    it('sends and gets a large value', function()
        with_client(function(client)
            local big = ('0123456789'):rep(200000)
            local rows = client:query("select '" .. big .. "' as big")
            assert.is_true(rows[1].big == big)
        end)
    end)

    it('gets errors, and goes on', function()
        with_client(function(client)
            local rows, err = client:query 'select nonsense'
            assert.is_nil(rows)
            assert.matches('nonsense', err)
            assert.same({{one = '1'}}, client:query 'select 1 as one')
        end)
    end)

    it('connects to a name', function()
        if not support.knows_localhost(pending) then return end
        support.run(function()
            local client = connect 'localhost'
            assert.same({{one = '1'}}, client:query 'select 1 as one')
            client:close()
        end)
    end)

    it('is refused where there is no server', function()
        support.run(function()
            local client, err = postgres.connect('127.0.0.1',
                support.closedport(), 'tester', 'postgres')
            assert.is_nil(client)
            assert.equal('connection refused', err)
        end)
    end)

    it('gives up after a timeout', function()
        with_client(function(client)
            client.socket:settimeout(0.02)
            assert.error_matches(function()
                client:query 'select pg_sleep(0.2)'
            end, 'timeout')
        end)
    end)

    it('waits in a hundred threads at the same time', function()
        -- All clients wait for a lock; the server counts them.
        local all, right, ended = some(100), 0, 0
        with_client(function(keeper)
            keeper:query 'select pg_advisory_lock(1)'
            for i = 1, all do
                loop.newthread(function()
                    local client = connect()
                    local rows = client:query(('select %d as i ' ..
                        'from pg_advisory_lock_shared(1)'):format(i))
                    if rows[1].i == tostring(i) then right = right + 1 end
                    client:close()
                    ended = ended + 1
                end)
            end
            local function waiting()
                return tonumber(keeper:query(
                    "select count(*) as n from pg_locks " ..
                    "where locktype = 'advisory' and not granted")[1].n)
            end
            assert.is_true(support.eventually(function()
                return waiting() == all
            end))
            assert.equal(0, ended)
            keeper:query 'select pg_advisory_unlock(1)'
            assert.is_true(support.eventually(function()
                return ended == all
            end))
        end)
        assert.equal(all, right)
    end)

    it('works in the main program', function()
        local client = connect()
        assert.same({{one = '1'}}, client:query 'select 1 as one')
        client:close()
    end)
end)
