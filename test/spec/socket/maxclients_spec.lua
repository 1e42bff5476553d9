-- setmaxclients: the maximum number of concurrent clients of a server.

local loop = require 'socketloop'
local scenes = require 'scenes'
local support = require 'support'

local pack = support.pack
local run, plain, track = support.run, support.plain, support.track
local eventually = support.eventually
local close, raises = support.close, support.raises

describe('setmaxclients', function()
    support.hooks(before_each, after_each)

    -- Starts a server whose handlers greet their client and end on request.
    -- Returns its counts.
    local function serve(max, host)
        local server = {now = 0, most = 0, all = 0}
        server.port, server.listener = support.serve(function(client)
            server.now = server.now + 1
            server.all = server.all + 1
            server.most = math.max(server.most, server.now)
            client:send 'hello\n'
            client:receive()
            server.now = server.now - 1
            client:close()
        end, host)
        server.listener:setmaxclients(max)
        return server
    end

    it('gives 1', function()
        local listener = loop.newserver('127.0.0.1', 0, function() end)
        assert.same(pack(1), pack(listener:setmaxclients(1)))
        assert.same(pack(1), pack(listener:setmaxclients(nil)))
        assert.same(pack(1), pack(listener:setmaxclients(1e300)))
        listener:close()
    end)

    it('raises for invalid numbers of clients', function()
        local listener = loop.newserver('127.0.0.1', 0, function() end)
        for _, bad in ipairs {0, -1, 1.5, 0 / 0, 'x', {}, true} do
            raises('bad argument', listener.setmaxclients, listener, bad)
        end
        listener:close()
    end)

    it('raises for a socket that does not listen', function()
        run(function()
            local a, b = support.pair()
            local fresh = loop.tcp()
            for _, s in ipairs {a, b, fresh} do
                raises('tcp{server} expected', s.setmaxclients, s, 1)
            end
            close(a, b, fresh)
        end)
    end)

    it('keeps further clients waiting, and loses none', function()
        run(function()
            local server = serve(3)
            local greeted, ended = 0, 0
            for _ = 1, 20 do
                loop.newthread(function()
                    local client = track(assert(
                        loop.connect('127.0.0.1', server.port)))
                    assert.equal('hello', client:receive())
                    greeted = greeted + 1
                    loop.sleep(0.001)
                    client:send 'bye\n'
                    assert.equal('closed', select(2, client:receive()))
                    client:close()
                    ended = ended + 1
                end)
            end
            assert.is_true(eventually(function() return ended == 20 end))
            assert.equal(20, greeted)
            assert.equal(20, server.all)
            assert.equal(3, server.most)
            server.listener:close()
        end)
    end)

    it('lets the next one in when a client is closed, and not before',
       function()
        run(function()
            local server = serve(1)
            local first = plain.connect(server.port)
            assert.is_true(eventually(function() return server.all == 1 end))
            local second = plain.connect(server.port)
            for _ = 1, 20 do loop.sleep(0.001) end
            assert.equal(1, server.all)
            first:send '\n'
            assert.is_true(eventually(function() return server.all == 2 end))
            assert.equal('hello', second:receive())
            second:send '\n'
            close(first, second)
            assert.is_true(eventually(function() return server.now == 0 end))
            server.listener:close()
        end)
    end)

    it('does not spin while it is full', function()
        run(function()
            local server = serve(1)
            local clients = {}
            for i = 1, 5 do clients[i] = plain.connect(server.port) end
            assert.is_true(eventually(function() return server.all == 1 end))
            assert.is_true(support.steps(0.05) < 20)
            assert.equal(1, server.all)
            for i = 1, 5 do
                assert.equal('hello', clients[i]:receive())
                clients[i]:send '\n'
                assert.is_true(eventually(function()
                    return server.all == math.min(i + 1, 5)
                end))
            end
            close(server.listener, support.unpack(clients))
            assert.is_true(eventually(function() return server.now == 0 end))
        end)
    end)

    it('collects clients that are not referred to', function()
        run(function()
            local all = 0
            local port, listener = support.serve(function(client)
                all = all + 1
                client:send 'hello\n'
            end)
            listener:setmaxclients(2)
            local clients = {}
            for i = 1, 4 do clients[i] = plain.connect(port) end
            -- Only the server itself has a reason to collect garbage.
            assert.is_true(eventually(function() return all == 4 end))
            close(listener, support.unpack(clients))
        end)
    end)

    it('counts those that fail and those that come and go', function()
        local failed = 0
        loop.onerror = function() failed = failed + 1 end
        run(function()
            local port, listener = support.serve(function(client)
                client:receive()
                error 'boom'
            end)
            listener:setmaxclients(2)
            for _ = 1, 10 do
                local client = track(assert(loop.connect('127.0.0.1', port)))
                client:close()
            end
            assert.is_true(eventually(function() return failed == 10 end))
            listener:close()
        end)
        loop.onerror = nil
    end)

    it('can be raised, lowered and turned off', function()
        run(function()
            local server = serve(1)
            local clients = {}
            local function connect(n)
                for _ = 1, n do
                    clients[#clients + 1] = plain.connect(server.port)
                end
            end
            local function settled(n)
                for _ = 1, 10 do loop.sleep(0.001) end
                return eventually(function() return server.now == n end)
            end
            connect(10)
            assert.is_true(settled(1))
            server.listener:setmaxclients(4)
            assert.is_true(settled(4))
            server.listener:setmaxclients(2)
            for i = 1, 3 do clients[i]:send '\n' end
            assert.is_true(settled(2))
            assert.equal(5, server.all)
            server.listener:setmaxclients(nil)
            assert.is_true(settled(7))
            assert.equal(10, server.all)
            for i = 4, 10 do clients[i]:send '\n' end
            assert.is_true(settled(0))
            close(server.listener, support.unpack(clients))
        end)
    end)

    it('holds for accept, with its timeout', function()
        run(function()
            local listener = track(loop.tcp('127.0.0.1', 0))
            assert(listener:listen())
            listener:setmaxclients(1)
            local port = support.port(listener)
            local p, q = plain.connect(port), plain.connect(port)
            local s = assert(listener:accept())
            for _, timeout in ipairs {0, 0.01} do
                listener:settimeout(timeout)
                assert.same(pack(nil, 'timeout'), pack(listener:accept()))
            end
            listener:settimeout(nil)
            local t
            loop.newthread(function() t = listener:accept() end)
            loop.sleep(0.01)
            assert.is_nil(t)
            s:close()
            assert.is_true(eventually(function() return t end))
            close(t, p, q, listener)
        end)
    end)

    it('does not keep close from waking an accept', function()
        run(function()
            local listener = track(loop.tcp('127.0.0.1', 0))
            assert(listener:listen())
            listener:setmaxclients(1)
            local p = plain.connect(support.port(listener))
            local s = assert(listener:accept())
            local got
            loop.newthread(function() got = pack(listener:accept()) end)
            loop.sleep(0.005)
            listener:close()
            assert.is_true(eventually(function() return got end))
            assert.same(pack(nil, 'closed'), got)
            s:close()
            p:close()
        end)
    end)

    it('of a server that is gone does not matter to its clients', function()
        run(function()
            local port, listener, kept = scenes.keeper()
            listener:setmaxclients(2)
            local p, q, r = plain.connect(port), plain.connect(port),
                plain.connect(port)
            assert.is_true(eventually(function() return #kept == 2 end))
            listener:close()
            listener = nil    -- luacheck: ignore
            loop.sleep(0)
            support.collect()
            kept[1]:send 'still here\n'
            assert.equal('still here', p:receive())
            kept[1]:close()
            kept = nil    -- luacheck: ignore
            support.collect()
            close(p, q, r)
        end)
    end)

    it('counts a client for which an object was made', function()
        run(function()
            local kept = {}
            local port, listener = support.serve(function(client)
                kept[#kept + 1] = client
                client:getsocket()
            end)
            listener:setmaxclients(1)
            local p, q = plain.connect(port), plain.connect(port)
            assert.is_true(eventually(function() return #kept == 1 end))
            kept[1]:close()
            assert.is_true(eventually(function() return #kept == 2 end))
            kept[2]:close()
            close(p, q, listener)
        end)
    end)

    it('works on unix sockets', function()
        run(function()
            local path = os.tmpname()
            os.remove(path)
            local all, now, most = 0, 0, 0
            local listener = track(loop.newserver(path, nil, function(client)
                all, now = all + 1, now + 1
                most = math.max(most, now)
                client:receive()
                now = now - 1
                client:close()
            end))
            listener:setmaxclients(2)
            local ended = 0
            for _ = 1, 8 do
                loop.newthread(function()
                    local peer = track(loop.unix())
                    assert(peer:connect(path))
                    while most < 2 do loop.sleep(0.001) end
                    peer:close()
                    ended = ended + 1
                end)
            end
            assert.is_true(eventually(function()
                return ended == 8 and all == 8
            end))
            assert.equal(2, most)
            listener:close()
        end)
    end)

    it('counts a client whose TLS object was wrapped', function()
        run(function()
            local kept = {}
            local port, listener = support.serve(function(client)
                -- As ssl.wrap does: another object gets the descriptor.
                local inner = client:getsocket()
                local object = setmetatable({fd = inner:getfd()}, {
                    __index = {
                        getfd = function(self) return self.fd end,
                        receive = function() return nil, 'closed', '' end,
                        send = function() return nil, 'closed', 0 end,
                        close = function(self)
                            inner:close()
                            self.fd = -1
                        end,
                    }})
                kept[#kept + 1] = loop.wrap(object)
            end)
            listener:setmaxclients(1)
            local p, q = plain.connect(port), plain.connect(port)
            assert.is_true(eventually(function() return #kept == 1 end))
            for _ = 1, 5 do
                loop.sleep(0.001)
                support.collect()
            end
            assert.equal(1, #kept)
            kept[1]:close()
            assert.is_true(eventually(function() return #kept == 2 end))
            kept[2]:close()
            close(p, q, listener)
        end)
    end)

    it('counts no client whose object failed to close', function()
        run(function()
            local port, listener, kept = scenes.keeper()
            listener:setmaxclients(1)
            local p, q = plain.connect(port), plain.connect(port)
            assert.is_true(eventually(function() return #kept == 1 end))
            local inner = kept[1]:getsocket()
            local function closed() return nil, 'closed' end
            kept[1]:setsocket {
                getfd = function() return inner:getfd() end,
                receive = closed, send = closed,
                close = function()
                    inner:close()
                    error 'oops'
                end,
            }
            assert.error_matches(function() kept[1]:close() end, 'oops')
            assert.is_true(eventually(function() return #kept == 2 end))
            kept[2]:close()
            close(p, q, listener)
        end)
    end)
end)
