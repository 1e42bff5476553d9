-- LuaSocket objects that are made in a thread: connect, bind, listen, accept.

local loop = require 'socketloop'
local socket = require 'socket'
local scenes = require 'scenes'
local support = require 'support'

local run, pack, track = support.run, support.pack, support.track
local pair = support.unwrapped
local trickle = scenes.trickle

describe('a LuaSocket object in a thread', function()
    support.hooks_installed(before_each, after_each)

    describe('that is made', function()
        -- A listening LuaSocket object with a thread that accepts.
        local function echo(host)
            local listener = track(assert(socket.bind(host, 0)))
            loop.newthread(function()
                local client = assert(listener:accept())
                client:send(client:receive() .. '\n')
                client:close()
                listener:close()
            end)
            return support.port(listener)
        end

        local function talk(s)
            assert(s:send 'hello\n')
            local line = s:receive()
            s:close()
            return line
        end

        for _, name in ipairs {'127.0.0.1', 'localhost'} do
            it('connects to ' .. name, function()
                if not support.knows_localhost(pending) then return end
                run(function()
                    local port = echo '127.0.0.1'
                    local s = assert(socket.tcp4())
                    assert.same({1, n = 1}, pack(s:connect(name, port)))
                    assert.equal('hello', talk(s))
                end)
            end)

            it('is given by connect to ' .. name, function()
                if not support.knows_localhost(pending) then return end
                run(function()
                    local port = echo '127.0.0.1'
                    local s = assert(socket.connect(name, port))
                    assert.matches('^tcp{client}', tostring(s))
                    assert.equal('hello', talk(s))
                end)
            end)
        end

        it('connects by connect4 and tcp', function()
            run(function()
                assert.equal('hello', talk(assert(
                    socket.connect4('127.0.0.1', echo '127.0.0.1'))))
                local port = echo '127.0.0.1'
                local s = socket.tcp()
                assert.equal(1, s:connect('127.0.0.1', port))
                assert.equal('hello', talk(s))
            end)
        end)

        it('connects by IPv6', function()
            if not support.has_ipv6() then
                pending 'no IPv6 here'
                return
            end
            run(function()
                local port = echo '::1'
                local s = assert(socket.connect6('::1', port))
                assert.equal('inet6', s:getfamily())
                assert.equal('hello', talk(s))
                port = echo '::1'
                s = assert(socket.tcp6())
                assert.equal(1, s:connect('::1', port))
                assert.equal('hello', talk(s))
                assert.is_nil(socket.connect4('::1', port))
                assert.is_nil(socket.connect6('127.0.0.1', port))
            end)
        end)

        it('keeps its local address', function()
            run(function()
                local port = echo '127.0.0.1'
                local mine = support.unusedport()
                local s = assert(socket.connect('127.0.0.1', port,
                                                '127.0.0.1', mine))
                assert.equal(mine, support.port(s))
                assert.equal('hello', talk(s))
            end)
        end)

        it('is bound to a name', function()
            if not support.knows_localhost(pending) then return end
            run(function()
                local s = socket.tcp4()
                assert.equal(1, s:bind('localhost', 0))
                assert.equal('127.0.0.1', (s:getsockname()))
                s:close()
            end)
        end)

        it('reports a refused connection', function()
            run(function()
                local port = support.closedport()
                assert.same({nil, 'connection refused', n = 2},
                            pack(socket.connect('127.0.0.1', port)))
                local s = socket.tcp()
                assert.same({nil, 'connection refused', n = 2},
                            pack(s:connect('127.0.0.1', port)))
                s:close()
            end)
        end)

        it('reports an unknown host', function()
            run(function()
                local s = socket.tcp()
                local ok, err = s:connect('nobody.invalid', 80)
                assert.is_nil(ok)
                assert.is_string(err)
                assert.same({nil, err, n = 2},
                            pack(socket.connect('nobody.invalid', 80)))
                s:close()
            end)
        end)

        it('reports an address in use', function()
            run(function()
                local first = track(assert(socket.bind('127.0.0.1', 0)))
                local second = socket.tcp()
                assert.same({nil, 'address already in use', n = 2},
                    pack(second:bind('127.0.0.1', support.port(first))))
                second:close()
                first:close()
            end)
        end)

        it('waits in accept', function()
            run(function()
                local listener = track(assert(socket.bind('127.0.0.1', 0)))
                local accepted
                loop.newthread(function()
                    accepted = assert(listener:accept())
                end)
                loop.sleep(0.005)
                assert.is_nil(accepted)
                local client = assert(loop.connect('127.0.0.1',
                                                   support.port(listener)))
                assert(support.eventually(function() return accepted end))
                assert.matches('^tcp{client}', tostring(accepted))
                trickle(client, 'a', 'b\n')
                assert.equal('ab', accepted:receive())
                accepted:close()
                client:close()
                listener:close()
            end)
        end)

        it('gives up accepting after a timeout', function()
            run(function()
                local listener = track(assert(socket.bind('127.0.0.1', 0)))
                listener:settimeout(0.01)
                assert.same({nil, 'timeout', n = 2}, pack(listener:accept()))
                listener:close()
            end)
        end)

        it('is closed when it is collected', function()
            local count = run(function()
                local client, peer = pair()
                trickle(peer, 'a\n')
                assert.equal('a', client:receive())
                support.made[client] = nil
                client = nil        -- luacheck: ignore
                support.collect()
                assert.same({nil, 'closed', '', n = 3}, pack(peer:receive()))
                peer:close()
                return support.fd_count()
            end)
            assert.is_number(count)
        end)
    end)
end)
