-- connect, the function and the method: to one address, and to a host that does
-- not answer. Hosts with several addresses are in race_spec.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run, plain = support.run, support.plain

-- Returns the family of a listener on localhost, and the addresses of
-- localhost.
local function families()
    local found = {}
    for _, info in ipairs(socket.dns.getaddrinfo('localhost') or {}) do
        found[info.family] = true
    end
    return found
end

-- Returns a listening plain socket whose queue is full, so that further
-- connects hang, or nil where the system's queue has no limit.
local function full_listener()
    local listener = assert(socket.tcp4())
    assert(listener:bind('127.0.0.1', 0))
    assert(listener:listen(0))
    local port = support.port(listener)
    local queued = {}
    for i = 1, 32 do
        local c = assert(socket.tcp4())
        queued[i] = c
        c:settimeout(0)
        c:connect('127.0.0.1', port)
        local _, writable = socket.select(nil, {c}, 0.05)
        if not writable[c] then
            return port, function()
                listener:close()
                for _, q in ipairs(queued) do q:close() end
            end
        end
    end
    listener:close()
    for _, q in ipairs(queued) do q:close() end
end

-- Calls f(new socket, port, plain listener) in the loop, then closes the two.
local function with_listener(f)
    run(function()
        local listener, port = plain.listen()
        local s = loop.tcp()
        f(s, port, listener)
        s:close()
        listener:close()
    end)
end

describe('connect', function()
    support.hooks(before_each, after_each)

    describe('of the module', function()
        it('gives a connected loop socket', function()
            run(function()
                local listener, port = plain.listen()
                local s = assert(loop.connect('127.0.0.1', port))
                assert.equal('socketloop_socket', s.type)
                local peer = assert(listener:accept())
                peer:send 'hello\n'
                assert.equal('hello', s:receive())
                s:send 'world\n'
                assert.equal('world', peer:receive())
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('gives one result', function()
            run(function()
                local listener, port = plain.listen()
                local results = pack(loop.connect('127.0.0.1', port))
                assert.equal(1, results.n)
                results[1]:close()
                listener:close()
            end)
        end)

        it('takes the port as a string', function()
            run(function()
                local listener, port = plain.listen()
                local s = assert(loop.connect('127.0.0.1', tostring(port)))
                assert.equal(port, (select(2, s:getpeername())))
                s:close()
                listener:close()
            end)
        end)

        it('takes a name', function()
            if not support.knows_localhost(pending) then return end
            local family = families()
            run(function()
                local listener, port = plain.listen(
                    family.inet and '127.0.0.1' or '::1')
                local s = assert(loop.connect('localhost', port))
                assert.equal(port, (select(2, s:getpeername())))
                s:close()
                listener:close()
            end)
        end)

        it('tries every address of a name', function()
            local family = families()
            if not (family.inet and family.inet6 and support.has_ipv6()) then
                pending 'localhost has no more than one address here'
                return
            end
            for host, other in pairs {
                ['127.0.0.1'] = '::1', ['::1'] = '127.0.0.1',
            } do
                run(function()
                    local listener, port = plain.listen(host)
                    local occupant = plain.occupy(other, port)
                    if not occupant then return pending 'somebody is there' end
                    local s = assert(loop.connect('localhost', port))
                    assert.equal(host, (s:getpeername()))
                    s:close()
                    occupant:close()
                    listener:close()
                end)
            end
        end)

        it('is nil and the reason when refused', function()
            run(function()
                assert.same(pack(nil, 'connection refused'),
                    pack(loop.connect('127.0.0.1', support.closedport())))
            end)
        end)

        it('closes its descriptor when it fails', function()
            run(function()
                local port = support.closedport()
                local before = support.fd_count()
                for _ = 1, 20 do loop.connect('127.0.0.1', port) end
                assert.equal(before, support.fd_count())
            end)
        end)

        it('takes a local address', function()
            run(function()
                local listener, port = plain.listen()
                local s = assert(loop.connect('127.0.0.1', port, '127.0.0.1'))
                assert.equal('127.0.0.1', (s:getsockname()))
                s:close()
                listener:close()
            end)
        end)

        it('honours the local port', function()
            run(function()
                local listener, port = plain.listen()
                local free = support.unusedport()
                local s = assert(
                    loop.connect('127.0.0.1', port, '127.0.0.1', free))
                assert.equal(free, support.port(s))
                -- Closes with a reset; otherwise the port would stay in use for
                -- a while.
                s:setoption('linger', {on = true, timeout = 0})
                s:close()
                listener:close()
            end)
        end)

        it('honours the local port alone', function()
            run(function()
                local listener, port = plain.listen()
                local free = support.unusedport()
                local s = assert(loop.connect('127.0.0.1', port, nil, free))
                assert.equal(free, support.port(s))
                s:setoption('linger', {on = true, timeout = 0})
                s:close()
                listener:close()
            end)
        end)

        it('lets others run', function()
            run(function()
                local port, listener = support.serve(function(client)
                    client:send 'hello\n'
                    client:close()
                end)
                local got = 0
                for _ = 1, 20 do
                    loop.newthread(function()
                        local s = assert(loop.connect('127.0.0.1', port))
                        if s:receive() == 'hello' then got = got + 1 end
                        s:close()
                    end)
                end
                assert.is_true(support.eventually(function()
                    return got == 20
                end))
                listener:close()
            end)
        end)

        it('reports a local address that makes no sense', function()
            run(function()
                local listener = support.track(loop.tcp('127.0.0.1', 0))
                assert(listener:listen())
                local s, err = loop.connect(listener:getsockname())
                assert.is_nil(s)
                assert.matches("^local address 'inet'", err)
                listener:close()
                s, err = loop.connect('127.0.0.1', 80, '*', 'no such service')
                assert.is_nil(s)
                assert.matches("port 'no such service'", err)
            end)
        end)

        it('raises for missing or wrong arguments', function()
            run(function()
                assert.is_false((pcall(loop.connect)))
                assert.is_false((pcall(loop.connect, '127.0.0.1')))
                assert.is_false((pcall(loop.connect, {}, 80)))
                assert.is_false((pcall(loop.connect, '127.0.0.1', {})))
                local ok, err = pcall(function() loop.connect({}, 80) end)
                assert.is_false(ok)
                assert.matches('bad argument', err, 1, true)
            end)
        end)

        it('raises outside a loop thread', function()
            local ok, err = pcall(function()
                return loop.connect('127.0.0.1', 80)
            end)
            assert.is_false(ok)
            assert.matches('must be called from a loop thread', err, 1, true)
            assert.matches('connect', err, 1, true)
        end)
    end)

    describe('of a socket', function()
        it('gives true', function()
            with_listener(function(s, port, listener)
                assert.same(pack(true), pack(s:connect('127.0.0.1', port)))
                local peer = assert(listener:accept())
                peer:send 'hello\n'
                assert.equal('hello', s:receive())
                peer:close()
            end)
        end)

        it('is nil and the reason when refused', function()
            run(function()
                local s = loop.tcp()
                assert.same(pack(nil, 'connection refused'),
                    pack(s:connect('127.0.0.1', support.closedport())))
                s:close()
            end)
        end)

        it('can be tried again elsewhere', function()
            with_listener(function(s, port, listener)
                assert.is_nil((s:connect('127.0.0.1', support.closedport())))
                assert.is_true(s:connect('127.0.0.1', port))
                local peer = assert(listener:accept())
                peer:send 'hello\n'
                assert.equal('hello', s:receive())
                peer:close()
            end)
        end)

        it('twice is nil, already connected', function()
            with_listener(function(s, port, listener)
                assert(s:connect('127.0.0.1', port))
                assert.same(pack(nil, 'already connected'),
                    pack(s:connect('127.0.0.1', port)))
                local peer = assert(listener:accept())
                peer:send 'still there\n'
                assert.equal('still there', s:receive())
                peer:close()
            end)
        end)

        it('keeps the address it is bound to', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.tcp('127.0.0.1', 0)
                local host, own = s:getsockname()
                assert(s:connect('127.0.0.1', port))
                local peer = assert(listener:accept())
                assert.same(support.name(host, own, 'inet'),
                    support.name(peer:getpeername()))
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('takes host and port as numbers and strings', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.tcp()
                assert.is_true(s:connect('127.0.0.1', tostring(port)))
                s:close()
                listener:close()
            end)
        end)

        it('keeps the options and fields set before', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.tcp('127.0.0.1', 0)
                s.mine = 'here'
                assert(s:setoption('tcp-nodelay', true))
                s:settimeout(3)
                assert(s:connect('127.0.0.1', port))
                assert.equal('here', s.mine)
                assert.is_true(s:getoption('tcp-nodelay'))
                assert.equal(3, (s:gettimeout()))
                s:close()
                listener:close()
            end)
        end)

        it('raises for missing or wrong arguments', function()
            run(function()
                local s = loop.tcp()
                assert.is_false((pcall(s.connect, s)))
                assert.is_false((pcall(s.connect, s, '127.0.0.1')))
                assert.is_false((pcall(s.connect, s, {}, 80)))
                assert.is_false((pcall(s.connect, s, '127.0.0.1', {})))
                s:close()
            end)
        end)

        it('raises outside a loop thread', function()
            local s = loop.tcp()
            local ok, err = pcall(function()
                return s:connect('127.0.0.1', 80)
            end)
            assert.is_false(ok)
            assert.matches('must be called from a loop thread', err, 1, true)
            s:close()
        end)
    end)

    describe('to a host that does not answer', function()
        local function unanswered(name, f)
            it(name, function()
                local port, stop = full_listener()
                if not port then
                    pending 'this system queues connections without end'
                    return
                end
                local ok, err = pcall(run, f, port)
                stop()
                if not ok then error(err, 0) end
            end)
        end

        unanswered('times out', function(port)
            local s = loop.tcp()
            s:settimeout(0.03)
            local result = pack(s:connect('127.0.0.1', port))
            assert.same(pack(nil, 'timeout'), result)
            s:close()
        end)

        unanswered('is closed when the socket is closed', function(port)
            local s = loop.tcp()
            local result
            loop.newthread(function()
                result = pack(s:connect('127.0.0.1', port))
            end)
            assert.is_nil(result)
            s:close()
            assert.is_true(support.eventually(function() return result end))
            assert.same(pack(nil, 'closed'), result)
        end)

        unanswered('raises for a second thread that connects', function(port)
            local s = loop.tcp()
            loop.newthread(function() s:connect('127.0.0.1', port) end)
            local ok, err = pcall(s.connect, s, '127.0.0.1', port)
            assert.is_false(ok)
            assert.matches('already waited on by another thread', err, 1, true)
            s:close()
            loop.sleep(0)
        end)
    end)
end)
