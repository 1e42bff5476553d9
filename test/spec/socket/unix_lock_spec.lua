-- Two servers on one path: each of them either serves the path or gets an
-- error, and no other server's files are removed.

local loop = require 'socketloop'
local lfs = require 'lfs'
local paths = require 'socket_paths'
local process = require 'process'
local support = require 'support'

local unix = paths.unix(describe, pending)
if not unix then return end

local path, kind_of = paths.path, paths.kind_of
local run, track = support.run, support.track

describe('The path of a server', function()
    local gate = process.helper 'gate.so'
    local flock = process.which 'flock'

    support.hooks(before_each, after_each)
    before_each(paths.new)
    after_each(process.cleanup)

    -- Leaves the socket file of a server that was killed.
    local function leave(name)
        local object = assert(unix.stream())
        assert(object:bind(name))
        assert(object:listen())
        object:close()
    end

    local function say(word)
        return function(client)
            client:send(word .. '\n')
            client:close()
        end
    end

    -- Returns which server is at the path, or nil and an error.
    local function ask(name)
        local s = track(loop.unix())
        s:settimeout(5)
        local ok, err = s:connect(name)
        local word = ok and s:receive()
        s:close()
        return word or nil, err
    end

    -- Starts a process that serves the path and is held up just before that
    -- system call, until open(). The process prints that it serves, or its
    -- error.
    local function hold_up(name, call)
        local other = process.start(process.script(([[
            local loop = require 'socketloop'
            loop.onerror = print
            local ok, err = pcall(loop.newserver, %q, nil, function(client)
                client:send 'other\n'
                client:close()
            end)
            print(ok and 'serves' or err)
            io.stdout:flush()
            if ok then loop.start() end
        ]]):format(name), ('%s; GATE=%s GATE_CALL=%s; export GATE GATE_CALL')
            :format(process.preload(gate), path 'gate', call)))
        other:expect(function() return kind_of(path 'gate.reached') end,
                     loop.sleep)
        function other.open()
            process.write_file(path 'gate.open', '')
        end
        return other
    end

    -- Returns the files in the folder, without the gate's.
    local function files()
        local list = {}
        for name in lfs.dir(paths.folder) do
            if not name:match '^%.' and not name:match '^gate' then
                list[#list + 1] = name
            end
        end
        table.sort(list)
        return table.concat(list, ' ')
    end

    -- Asserts that the other server gets the path, and this one is refused.
    local function meet(call)
        run(function()
            local other = hold_up(path 's', call)
            local ok, err = pcall(loop.newserver, path 's', nil, say 'this')
            other.open()
            other:expect(function(output) return output:match '\n' end,
                         loop.sleep)
            assert.is_false(ok)
            assert.matches('newserver: address already in use', err, 1, true)
            assert.equal('serves\n', other:output())
            assert.equal('other', ask(path 's'))
            assert.equal('s', files())
            other:stop()
        end)
    end

    if gate then
        it('goes to one of two servers that find it stale', function()
            leave(path 's')
            meet 'unlink'
        end)

        it('is not taken from one that does not listen yet', function()
            meet 'listen'
        end)

        it('is not taken from one that follows a stale one', function()
            leave(path 's')
            meet 'listen'
        end)

        it('can be taken when the other server is ended', function()
            run(function()
                leave(path 's')
                hold_up(path 's', 'unlink'):stop()
                local server = track(loop.newserver(path 's', nil,
                                                    say 'this'))
                assert.equal('this', ask(path 's'))
                server:close()
                assert.equal('', files())
            end)
        end)

        it('is not locked where it is an abstract name', function()
            if not process.read_file '/proc/net/unix' then return end
            run(function()
                local name = '\0' .. path 's'
                local other = hold_up(path 's', 'listen')
                local server = track(loop.newserver(name, nil, say 'this'))
                assert.equal('this', ask(name))
                server:close()
                other:stop()
            end)
        end)
    end

    if flock then
        -- Whether any process holds a lock of the folder.
        local function is_locked()
            return (process.run('exec flock -n ' .. paths.folder ..
                                ' true')) ~= 0
        end

        it('is not locked once there is a server, or none', function()
            run(function()
                leave(path 's')
                local server = track(loop.newserver(path 's', nil,
                                                    say 'this'))
                assert.is_false(is_locked())
                assert.is_false((pcall(loop.newserver, path 's', nil, print)))
                assert.is_false(is_locked())
                assert.equal('s', files())
                server:close()
                assert.is_false(is_locked())
            end)
        end)

        it('is served though another process keeps the lock', function()
            run(function()
                leave(path 'stale')
                local holder = process.start('exec flock ' .. paths.folder ..
                    " -c 'echo locked; sleep 50'")
                holder:expect(function(output) return output ~= '' end,
                              loop.sleep)
                local server = track(loop.newserver(path 's', nil,
                                                    say 'this'))
                assert.equal('this', ask(path 's'))
                -- While the lock is held, no file is removed.
                local ok, err = pcall(loop.newserver, path 'stale', nil,
                                      say 'this')
                assert.is_false(ok)
                assert.matches('address already in use', err, 1, true)
                assert.equal('s stale', files())
                server:close()
                holder:stop()
            end)
        end)
    end

    it('may be in a folder that cannot be read', function()
        run(function()
            local before = process.unprivileged(paths.folder)
            os.execute('chmod 300 ' .. process.quote(paths.folder))
            local script = process.script(([[
                local loop = require 'socketloop'
                local server = loop.newserver(%q, nil, print)
                print(server:getsockname())
                server:close()
            ]]):format(path 's'))
            os.execute('chmod 755 "$(dirname ' ..
                       script:match "[^ ]+$" .. ')"')
            local status, output = process.run(before .. 'sh -c ' ..
                                               process.quote(script))
            assert.equal(path 's' .. '\n', output)
            assert.equal(0, status)
            assert.equal('', files())
        end)
    end)
end)
