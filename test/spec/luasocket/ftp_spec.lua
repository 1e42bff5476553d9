-- LuaSocket's socket.ftp, unchanged, against vsftpd.

local loop = require 'socketloop'
local ftp = require 'socket.ftp'
local ltn12 = require 'ltn12'
local support = require 'support'
local process = require 'process'

local run = support.run
local some = support.some

local config = [[
listen=YES
listen_port=PORT
listen_address=127.0.0.1
background=NO
run_as_launching_user=YES
seccomp_sandbox=NO
one_process_model=YES
secure_chroot_dir=FOLDER/root
allow_writeable_chroot=YES
anonymous_enable=YES
no_anon_password=YES
local_enable=NO
anon_root=FOLDER/root
write_enable=YES
anon_upload_enable=YES
anon_umask=022
xferlog_enable=NO
connect_from_port_20=NO
max_clients=0
max_per_ip=0
]]

local big = ('0123456789abcdef\n'):rep(20000)

describe('socket.ftp', function()
    if not process.which 'vsftpd' then
        pending 'vsftpd is not installed'
        return
    end

    local port, holder

    setup(function()
        local folder = process.tempdir()
        port, holder = process.freeport()
        os.execute('mkdir -p ' .. process.quote(folder .. '/root/pub'))
        process.write_file(folder .. '/root/pub/big.txt', big)
        process.write_file(folder .. '/vsftpd.conf',
            (config:gsub('PORT', port):gsub('FOLDER', folder)))
        process.serve(process.unprivileged(folder) ..
            process.which 'vsftpd' .. ' ' ..
            process.quote(folder .. '/vsftpd.conf'), port)
    end)
    teardown(function()
        if holder then holder:close() end
        process.cleanup()
    end)
    support.hooks_installed(before_each, after_each)

    local function url(path)
        return ('ftp://127.0.0.1:%d/%s;type=i'):format(port, path)
    end

    it('downloads', function()
        local text, err = run(ftp.get, url 'pub/big.txt')
        assert.is_nil(err)
        assert.is_true(text == big)
    end)

    it('uploads', function()
        local text = run(function()
            assert.equal(#big, assert(ftp.put(url 'pub/up.txt', big)))
            return assert(ftp.get(url 'pub/up.txt'))
        end)
        assert.is_true(text == big)
    end)

    it('lists a folder', function()
        local lines = {}
        run(function()
            assert(ftp.get {
                host = '127.0.0.1', port = port, path = 'pub',
                command = 'nlst', sink = ltn12.sink.table(lines),
            })
        end)
        assert.matches('big%.txt', table.concat(lines))
    end)

    it('reports that a file is missing', function()
        local text, err = run(ftp.get, url 'pub/missing.txt')
        assert.is_nil(text)
        assert.matches('^550', err)
    end)

    it('reports a refused connection', function()
        local text, err = run(ftp.get, ('ftp://127.0.0.1:%d/x'):format(
            support.closedport()))
        assert.is_nil(text)
        assert.equal('connection refused', err)
    end)

    -- Calls request(i, arrived) in a hundred threads at once. Each request
    -- calls arrived in the middle of its transfer and waits there for the last
    -- one. The server's queue of new connections is short.
    local function at_once(request)
        local all, begun, here, ended = some(100), 0, 0, 0
        local function arrived()
            here = here + 1
            support.eventually(function() return here == all end)
        end
        for i = 1, all do
            loop.newthread(function()
                support.eventually(function() return begun < here + 10 end)
                begun = begun + 1
                request(i, arrived)
                ended = ended + 1
            end)
        end
        run(function()
            support.eventually(function() return ended == all end)
        end)
        assert.equal(all, here)
        assert.equal(all, ended)
    end

    local function content(i)
        return 'file ' .. i .. '\n' .. ('more\n'):rep(1000)
    end

    it('transfers a hundred files at the same time', function()
        at_once(function(i, arrived)
            local pieces = {content(i):sub(1, 3), content(i):sub(4)}
            assert(ftp.put {
                host = '127.0.0.1', port = port, type = 'i',
                path = 'pub/up' .. i .. '.txt',
                source = function()
                    if #pieces == 1 then arrived() end
                    return table.remove(pieces, 1)
                end,
            })
        end)
        at_once(function(i, arrived)
            local pieces = {}
            assert(ftp.get {
                host = '127.0.0.1', port = port, type = 'i',
                path = 'pub/up' .. i .. '.txt',
                sink = function(piece)
                    if not pieces[1] then arrived() end
                    pieces[#pieces + 1] = piece
                    return 1
                end,
            })
            assert.equal(content(i), table.concat(pieces))
        end)
    end)

    it('works in the main program', function()
        assert.is_true(ftp.get(url 'pub/big.txt') == big)
    end)
end)
