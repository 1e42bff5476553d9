-- After install, a socket.tcp() object kept the family of the first address
-- that it had tried in a thread. If 'localhost' was ::1 and 127.0.0.1, a server
-- on 127.0.0.1 only was refused with 'Address family for hostname not
-- supported'. LuaSocket keeps the family only of an address that it tries
-- without waiting, as install makes it do.

local names = require 'name_service'
local process = require 'process'
local support = require 'support'

-- For scripts: an echo server of the loop, a description of a connection, and a
-- function that runs f in a thread while install is in effect and checks that
-- no descriptor is left open.
local prelude = [[
    -- Sockets bound to the servers' ports in the other family, so that no other
    -- server listens there.
    local occupied = {}

    local function serve(host)
        local listener = loop.newserver(host, 0, function(client)
            client:send((client:receive() or '') .. '\n')
            client:close()
        end)
        local _, port = listener:getsockname()
        local is_six = host:find ':'
        local other = is_six and socket.tcp4() or socket.tcp6()
        local _, err = other:bind(is_six and '127.0.0.1' or '::1', port)
        if err ~= 'address already in use' then
            occupied[#occupied + 1] = other
            return tonumber(port), listener
        end
        other:close()
        listener:close()
        return serve(host)
    end

    local function talk(s, family)
        expect('tcp{client}', tostring(s):match '^[^:]+')
        expect(family, (s:getfamily():gsub('4', '')))
        expect(family, (select(3, s:getpeername())))
        expect(family, (select(3, s:getsockname())))
        expect(6, s:send 'hello\n')
        expect('hello', s:receive())
        s:close()
    end

    local function free_occupied()
        for _, s in ipairs(occupied) do s:close() end
        occupied = {}
    end

    -- Returns a port of 127.0.0.1 and ::1 on which no server listens or can
    -- listen.
    local function closed()
        local four, six = assert(socket.tcp4()), socket.tcp6()
        assert(four:bind('127.0.0.1', 0))
        local _, port = four:getsockname()
        local _, err = six and six:bind('::1', port)
        if err ~= 'address already in use' then
            occupied[#occupied + 1] = four
            occupied[#occupied + 1] = six
            return tonumber(port)
        end
        four:close()
        six:close()
        return closed()
    end

    local function test(f)
        local ended
        local undo = loop.install()
        socket.connect('127.0.0.1', closed())
        run(function()
            socket.connect('+127.0.0.1+__1', closed())   -- a thread, helpers
            loop.resolve('+127.0.0.1')
            free_occupied()
            collectgarbage()
            local before = count 'fd'
            f()
            free_occupied()
            collectgarbage()
            collectgarbage()
            expect(before, count 'fd')
            ended = true
        end)
        undo()
        assert(ended, 'waits for nothing')
    end
]]

describe('a LuaSocket object in a thread', function()
    after_each(process.cleanup)

    if not names.available then
        pending 'the helpers were not built'
        return
    end

    -- `without` is true if the script can run without IPv6. A script that ends
    -- by os.exit leaves connects in progress.
    local function script(name, code, without)
        it(name, function()
            if not without and not support.has_ipv6() then
                pending 'no IPv6 here'
                return
            end
            names.script(prelude .. 'test(function()\n' .. code .. '\nend)',
                         code:find 'os.exit' and
                             'TEST_LEAKS=0; export TEST_LEAKS')
        end)
    end

    script('connects to the second of two families', [[
        local port, listener = serve '127.0.0.1'
        local s = socket.tcp()
        expect(1, s:connect('+__1+127.0.0.1', port))
        talk(s, 'inet')
        talk(socket.connect('+__1+127.0.0.1', port), 'inet')
        listener:close()
    ]], true)

    script('connects to the second of two families, if that is IPv6', [[
        local port, listener = serve '::1'
        local s = socket.tcp()
        expect(1, s:connect('+127.0.0.1+__1', port))
        talk(s, 'inet6')
        talk(socket.connect('+127.0.0.1+__1', port), 'inet6')
        listener:close()
    ]])

    script('connects to the first one', [[
        local port, listener = serve '::1'
        talk(socket.connect('+__1+127.0.0.1', port), 'inet6')
        listener:close()
        port, listener = serve '127.0.0.1'
        talk(socket.connect('+127.0.0.1+__1', port), 'inet')
        listener:close()
    ]])

    script('takes another family after it was refused', [[
        local port, listener = serve '127.0.0.1'
        local s = socket.tcp()
        for i = 1, 3 do assert(not s:connect('::1', closed())) end
        expect_error('connection refused', s:connect('+__1+127.0.0.1',
                                                     closed()))
        expect(1, s:connect('127.0.0.1', port))
        talk(s, 'inet')
        listener:close()
    ]], true)

    for _, host in ipairs {'127.0.0.1', '::1'} do
        it('takes another family after it was refused outside: ' .. host,
           function()
            names.script(prelude .. [[
                local s = socket.tcp()
                assert(not s:connect(']] .. host .. [[', closed()))
                local fd = s:getfd()
                test(function()
                    local port, listener = serve '127.0.0.1'
                    expect(1, s:connect('+__1+127.0.0.1', port))
                    expect(fd >= 0, s:getfd() >= 0)
                    talk(s, 'inet')
                    listener:close()
                    held = fd >= 0 and io.open '/dev/null'    -- keeps the count
                end)
            ]])
        end)
    end

    script('keeps one descriptor after it was refused, as elsewhere', [[
        local s = {}
        for i = 1, 20 do
            s[i] = socket.tcp()
            expect_error('connection refused',
                         s[i]:connect('+__1+127.0.0.1', closed()))
            expect(true, s[i]:getfd() >= 0)
        end
    ]], true)

    script('counts as connected after it was refused, as elsewhere', [[
        for _, host in ipairs {'127.0.0.1', '+__1+127.0.0.1', '+'} do
            local s = socket.tcp()
            assert(not s:connect(host, closed()))
            expect('tcp{client}', tostring(s):match '^[^:]+')
            expect_error('closed', s:receive())
            expect_error('closed', s:send 'x')
            s:close()
        end
    ]], true)

    script('is bound with one result', [[
        for _, make in ipairs {socket.tcp, socket.udp} do
            local s = make()
            expect(1, select('#', s:setsockname('127.0.0.1', 0)))
            s:close()
        end
    ]], true)

    script('is bound to the family of its own address', [[
        local port, listener = serve '127.0.0.1'
        local s = socket.tcp()
        expect(1, s:bind('127.0.0.1', 0))
        local _, own = s:getsockname()
        expect(1, s:connect('+__1+127.0.0.1', port))
        expect(own, (select(2, s:getsockname())))
        talk(s, 'inet')
        s = socket.tcp()
        expect(1, s:bind('127.0.0.1', 0))
        expect_error('host or service not provided, or not known',
                     s:connect('+__1', port))
        local fd = s:getfd()
        expect_error('Address family for hostname not supported',
                     s:connect('::1', port))
        expect(fd, s:getfd())
        s:close()
        listener:close()
    ]])

    script('is bound to the family that it was made for', [[
        local port, listener = serve '127.0.0.1'
        local s = socket.tcp4()
        expect(1, s:setoption('tcp-nodelay', true))
        local fd = s:getfd()
        expect(1, s:connect('+__1+127.0.0.1', port))
        expect(fd, s:getfd())
        expect(true, s:getoption 'tcp-nodelay')
        talk(s, 'inet')
        s = socket.tcp4()
        s:close()
        expect_error('Address family for hostname not supported',
                     s:connect('::1', port))
        s = socket.tcp6()
        expect_error('host or service not provided, or not known',
                     s:connect('+127.0.0.1', port))
        s:close()
        expect_error('host or service not provided, or not known',
                     s:connect('+127.0.0.1', port))
        listener:close()
    ]])

    script('keeps its timeouts', [[
        local port, listener = serve '127.0.0.1'
        local s = socket.tcp()
        s:settimeout(3)
        s:settimeout(4, 't')
        expect(1, s:connect('+__1+127.0.0.1', port))
        local block, total = s:gettimeout()
        expect(3, block)
        expect(4, total)
        talk(s, 'inet')
        listener:close()
    ]], true)

    script('begins to connect with a timeout of 0', [[
        local port = hang '127.0.0.3'
        local s = socket.tcp()
        s:settimeout(0)
        expect_error('timeout', s:connect('+127.0.0.3+__1', port))
        expect('tcp{client}', tostring(s):match '^[^:]+')
        expect('inet4', s:getfamily())
        assert(s:getfd() >= 0)
        s:close()
        local listener
        port, listener = serve '127.0.0.1'
        s = socket.tcp()
        s:settimeout(0)
        local ok, err = s:connect('+127.0.0.1+__1', port)
        assert(ok == 1 or err == 'timeout')
        local _, writable = socket.select(nil, {s}, 5)
        expect(s, writable[1])
        s:settimeout(5)
        talk(s, 'inet')
        listener:close()
        os.exit(0)
    ]], true)

    script('gives up after its timeout, and goes on', [[
        local port = hang '127.0.0.3'
        local s = socket.tcp()
        s:settimeout(0.5, 't')      -- includes the look-up
        expect_error('timeout', s:connect('+127.0.0.3+127.0.0.1', port))
        assert(s:getfd() >= 0)
        expect('tcp{client}', tostring(s):match '^[^:]+')
        s:close()
        s = socket.tcp4()
        s:settimeout(0.05, 't')
        expect_error('timeout', s:connect('+127.0.0.3+127.0.0.1', port))
        s:close()
        os.exit(0)
    ]], true)

    script('has its timeout for each address', [[
        local port, listener = serve '::1'
        hang('127.0.0.3', port)
        local s = socket.tcp()
        s:settimeout(0.05)
        expect(1, s:connect('+127.0.0.3+__1', port))
        talk(s, 'inet6')
        listener:close()
        os.exit(0)
    ]])

    script('may be closed by another thread', [[
        local port, listener = serve '127.0.0.1'
        hang('127.0.0.3', port)
        local s = socket.tcp()
        loop.newthread(function()
            loop.sleep(0.01)
            s:close()
        end)
        expect_error('closed', s:connect('+127.0.0.3+127.0.0.1', port))
        expect(-1, s:getfd())
        listener:close()
        os.exit(0)
    ]], true)

    it('goes on where descriptors are scarce', function()
        names.script(prelude .. [[
            test(function()
                local port, listener = serve '127.0.0.1'
                local held, s = {}, socket.tcp()
                collectgarbage()    -- closes descriptors now
                collectgarbage()
                local file
                repeat
                    file = io.open '/dev/null'
                    held[#held + 1] = file
                until not file or #held == 64
                local function free(n)
                    for i = 1, n do table.remove(held):close() end
                    collectgarbage()
                end
                -- A look-up takes two descriptors.
                expect_error('Too many open files',
                             s:connect('+__1+127.0.0.1', port))
                repeat
                    free(1)
                    local ok = s:connect('+__1+127.0.0.1', port)
                until ok
                expect('tcp{client}', tostring(s):match '^[^:]+')
                expect(6, s:send 'hello\n')
                free(#held)
                expect('hello', s:receive())
                s:close()
                listener:close()
            end)
        ]], 'ulimit -n 40')
    end)
end)

describe('a LuaSocket datagram in a thread', function()
    after_each(process.cleanup)

    it('takes the second of two families', function()
        if not (names.available and support.has_ipv6()) then
            pending 'no IPv6 here'
            return
        end
        names.script(prelude .. [[
            test(function()
                local s = socket.udp()
                -- Broadcasting requires a socket option and a route.
                expect(1, s:setpeername('+255.255.255.255+__1', 9))
                expect('::1', (s:getpeername()))
                s:close()
                s = socket.udp()
                assert(not s:setpeername('+255.255.255.255', 9))
                expect(1, s:setpeername('::1', 9))
                s:settimeout(0.01)
                s:close()
            end)
        ]])
    end)
end)
