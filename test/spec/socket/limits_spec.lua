-- What a peer may cost: setmaxline, the longest line that is received, and
-- setmaxclients, the most clients of a server at a time.

local loop = require 'socketloop'
local support = require 'support'
local process = require 'process'
local certificates = require 'certificates'

local pack = support.pack
local run, plain, track = support.run, support.plain, support.track
local eventually = support.eventually
local close, raises = support.close, support.raises

-- What a connection holds beyond the limit: one read's worth.
local read_size = 4096

describe('setmaxline', function()
    support.hooks(before_each, after_each)

    it('gives 1', function()
        local s = loop.tcp()
        assert.same(pack(1), pack(s:setmaxline(100)))
        assert.same(pack(1), pack(s:setmaxline(nil)))
        assert.same(pack(1), pack(s:setmaxline()))
        assert.same(pack(1), pack(s:setmaxline(math.huge)))
        s:close()
    end)

    it('raises for what is no length', function()
        local s = loop.tcp()
        for _, bad in ipairs {0, -1, 1.5, 0 / 0, -math.huge, 'x', {}, true} do
            raises('bad argument', s.setmaxline, s, bad)
        end
        s:close()
    end)

    it('is not there for datagrams', function()
        local s = loop.udp()
        assert.is_nil(s.setmaxline)
        s:close()
    end)

    it('lets lines pass that are just as long', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            peer:send '12345\n\n1234\r\n1\n'
            assert.same(pack('12345', nil, nil), pack(s:receive()))
            assert.same(pack('', nil, nil), pack(s:receive()))
            assert.same(pack('1234', nil, nil), pack(s:receive()))
            assert.same(pack('1', nil, nil), pack(s:receive '*l'))
            close(s, peer)
        end)
    end)

    it('gives the beginning of one that is longer', function()
        run(function()
            for _, line in ipairs {'123456\n', '123456', '1234567890\n'} do
                local s, peer = support.mixed()
                s:setmaxline(5)
                peer:send(line)
                assert.same(pack(nil, 'line too long', '12345'),
                            pack(s:receive()))
                close(s, peer)
            end
        end)
    end)

    it('counts the CRs that are taken off', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            peer:send '12345\r\n'
            assert.same(pack(nil, 'line too long', '12345'),
                        pack(s:receive()))
            close(s, peer)
        end)
    end)

    it('counts the prefix', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            peer:send '345\n'
            assert.same(pack('12345', nil, nil), pack(s:receive('*l', '12')))
            peer:send '3456\n'
            assert.same(pack(nil, 'line too long', '12345'),
                        pack(s:receive('*l', '12')))
            s:setmaxline(5)
            assert.same(pack(nil, 'line too long', 'longer than that'),
                        pack(s:receive('*l', 'longer than that')))
            close(s, peer)
        end)
    end)

    it('holds for what comes drop by drop', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            local got
            loop.newthread(function() got = pack(s:receive()) end)
            for i = 1, 6 do
                assert.is_nil(got)
                peer:send(tostring(i))
                assert.is_true(eventually(function()
                    return s:getstats() == i
                end))
            end
            assert.is_true(eventually(function() return got end))
            assert.same(pack(nil, 'line too long', '12345'), got)
            close(s, peer)
        end)
    end)

    it('receives nothing more then, and still sends', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            peer:send 'GET / HTTP/1.0 ...\nGET /secret\n'
            assert.equal('line too long', select(2, s:receive()))
            for _, pattern in ipairs {'*l', '*a', 0, 1, 100} do
                assert.same(pack(nil, 'line too long', 'p'),
                            pack(s:receive(pattern, 'p')))
                assert.same(pack(nil, 'line too long', ''),
                            pack(s:receive(pattern, '', true)))
            end
            assert.equal(4, s:send 'bye\n')
            assert.equal('bye', peer:receive())
            close(s, peer)
        end)
    end)

    it('called again goes on behind what was given', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            peer:send '12345678901234\nnext\n'
            local line, err, partial
            local parts = {}
            repeat
                s:setmaxline(5)
                line, err, partial = s:receive()
                parts[#parts + 1] = line or partial
            until err ~= 'line too long'
            assert.same({'12345', '67890', '1234'}, parts)
            assert.equal('next', s:receive())
            close(s, peer)
        end)
    end)

    it('nil turns it off', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            peer:send '1234567890\nanother long one\n'
            assert.equal('line too long', select(2, s:receive()))
            s:setmaxline(nil)
            assert.equal('67890', s:receive())
            assert.equal('another long one', s:receive())
            close(s, peer)
        end)
    end)

    it('leaves counts and whole streams alone', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            peer:send(('x'):rep(20) .. ('y'):rep(20))
            assert.equal(('x'):rep(20), s:receive(20))
            peer:close()
            assert.equal(('y'):rep(20), s:receive '*a')
            s:close()
        end)
    end)

    it('gives no more where less is enough', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            peer:send '12345678901\n12'
            for _, piece in ipairs {'12345', '67890', '1', '12'} do
                assert.same(pack(piece, nil, nil),
                            pack(s:receive('*l', '', true)))
            end
            peer:send '123'
            assert.same(pack(nil, 'line too long', '12345'),
                        pack(s:receive('*l', '12345', true)))
            close(s, peer)
        end)
    end)

    it('leaves timeouts and the end of the stream what they are', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxline(5)
            s:settimeout(0)
            peer:send '123'
            assert.same(pack(nil, 'timeout', '123'), pack(s:receive()))
            peer:send '45'
            peer:close()
            s:settimeout(nil)
            assert.same(pack(nil, 'closed', '12345'),
                        pack(s:receive('*l', '123')))
            s:close()
        end)
    end)

    it('holds little for a peer that never ends its line', function()
        run(function()
            for _, limit in ipairs {1, 1000, 100000} do
                local a, b = support.pair()
                a:setmaxline(limit)
                local sent
                loop.newthread(function()
                    sent = pack(b:send(('x'):rep(16 * 1024 * 1024)))
                end)
                local line, err, partial = a:receive()
                assert.is_nil(line)
                assert.equal('line too long', err)
                assert.equal(limit, #partial)
                assert.is_true(a:getstats() <= limit + read_size)
                a:receive()
                loop.sleep(0)
                assert.is_true(a:getstats() <= limit + read_size)
                close(a, b)
                assert.is_true(eventually(function() return sent end))
                assert.equal('closed', sent[2])
            end
        end)
    end)

    it('is a long line\'s own as well', function()
        run(function()
            local a, b = support.pair()
            local line = ('x'):rep(200000)
            a:setmaxline(#line)
            loop.newthread(function() b:send(line .. '\n' .. line .. 'x\n') end)
            assert.is_true(line == a:receive())
            local _, err, partial = a:receive()
            assert.equal('line too long', err)
            assert.is_true(line == partial)
            close(a, b)
        end)
    end)

    it('costs nobody what was read of many lines', function()
        run(function()
            local a, b = support.pair()
            a:setmaxline(6)
            local lines = {}
            for i = 1, 1000 do lines[i] = 'l' .. i end
            loop.newthread(function()
                b:send(table.concat(lines, '\n') .. '\n')
                b:close()
            end)
            for i = 1, 1000 do assert.equal('l' .. i, a:receive()) end
            assert.equal('closed', select(2, a:receive()))
            a:close()
        end)
    end)

    it('of a listening socket is that of its clients', function()
        run(function()
            local got = {}
            local port, listener = support.serve(function(client)
                got[#got + 1] = pack(client:receive())
                client:close()
            end)
            listener:setmaxline(5)
            local peer = plain.connect(port)
            peer:send '123456\n'
            assert.is_true(eventually(function() return got[1] end))
            assert.same(pack(nil, 'line too long', '12345'), got[1])
            peer:close()
            listener:setmaxline(nil)
            peer = plain.connect(port)
            peer:send '123456\n'
            assert.is_true(eventually(function() return got[2] end))
            assert.same(pack('123456', nil, nil), got[2])
            close(peer, listener)
        end)
    end)

    it('is inherited through accept, too', function()
        run(function()
            local listener = track(loop.tcp('127.0.0.1', 0))
            listener:setmaxline(5)
            assert(listener:listen())
            local peer = plain.connect(support.port(listener))
            local s = assert(listener:accept())
            peer:send '123456\n'
            assert.equal('line too long', select(2, s:receive()))
            close(s, peer, listener)
        end)
    end)

    it('works on unix sockets', function()
        run(function()
            local path = os.tmpname()
            os.remove(path)
            local got
            local listener = track(loop.newserver(path, nil, function(client)
                got = pack(client:receive())
                client:close()
            end))
            listener:setmaxline(5)
            local peer = track(loop.unix())
            assert(peer:connect(path))
            peer:send '123456\n'
            assert.is_true(eventually(function() return got end))
            assert.same(pack(nil, 'line too long', '12345'), got)
            close(peer, listener)
        end)
    end)

    it('works with what lies in LuaSocket\'s buffer', function()
        run(function()
            local client, peer = plain.pair()
            peer:send 'x123456789\n'
            assert.equal('x', client:receive(1))
            local s = loop.wrap(client)
            s:setmaxline(5)
            assert.same(pack(nil, 'line too long', '12345'),
                        pack(s:receive()))
            close(s, peer)
        end)
    end)
end)

describe('setmaxline with TLS', function()
    if not certificates.possible then
        pending 'LuaSec or the command openssl is not installed'
        return
    end

    local certs
    setup(function() certs = certificates.make() end)
    teardown(process.cleanup)
    support.hooks(before_each, after_each)

    it('takes lines of that length', function()
        run(function()
            local a, b = certs.pair()
            a:setmaxline(5)
            b:send '12345\r\n1234\r\n\n123'
            assert.equal('line too long', select(2, a:receive()))
            a:setmaxline(6)
            assert.equal('', a:receive())    -- what is left: the CR
            assert.same(pack('1234', nil, nil), pack(a:receive()))
            assert.same(pack('', nil, nil), pack(a:receive()))
            b:send '45\n'
            assert.same(pack('12345', nil, nil), pack(a:receive()))
            b:send '123'
            b:close()
            assert.same(pack(nil, 'closed', '123'), pack(a:receive()))
            a:close()
        end)
    end)

    it('turned off finds what was read ahead', function()
        run(function()
            local a, b = certs.pair()
            a:setmaxline(5)
            b:send 'one\ntwo\nthr'
            assert.equal('one', a:receive())
            a:setmaxline(nil)
            assert.equal('two', a:receive())
            b:send 'ee and more\n'
            assert.equal('three and more', a:receive())
            close(a, b)
        end)
    end)

    it('holds little for a peer that never ends its line', function()
        run(function()
            local a, b = certs.pair()
            a:setmaxline(1000)
            local sent
            loop.newthread(function()
                sent = pack(b:send(('x'):rep(4 * 1024 * 1024)))
            end)
            assert.same(pack(nil, 'line too long', ('x'):rep(1000)),
                        pack(a:receive()))
            assert.is_true(a:getstats() <= 1000 + read_size)
            assert.same(pack(nil, 'line too long', ''), pack(a:receive '*a'))
            a:close()
            assert.is_true(eventually(function() return sent end))
            b:close()
        end)
    end)

    it('starts anew with the TLS object', function()
        run(function()
            local a, b = support.pair()
            a:setmaxline(3)
            b:send '1234'
            assert.equal('line too long', select(2, a:receive()))
            a:setmaxline(3)
            assert.equal('4', a:receive(1))
            local ok
            loop.newthread(function() ok = b:starttls(certs.good.server) end)
            assert(a:starttls({cafile = certs.ca.certificate}, 'localhost'))
            assert.is_true(eventually(function() return ok end))
            b:send '123\n'
            assert.equal('123', a:receive())
            close(a, b)
        end)
    end)
end)

describe('setmaxclients', function()
    support.hooks(before_each, after_each)

    -- A server whose handlers say who they are and end when told. Counts.
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

    it('raises for what is no number of clients', function()
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

    it('keeps the others waiting, and loses nobody', function()
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

    it('collects clients that nobody refers to', function()
        run(function()
            local all = 0
            local port, listener = support.serve(function(client)
                all = all + 1
                client:send 'hello\n'
            end)
            listener:setmaxclients(2)
            local clients = {}
            for i = 1, 4 do clients[i] = plain.connect(port) end
            -- Nothing but the server itself has a reason to collect.
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

    it('does not keep close from waking who accepts', function()
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
            local kept = {}
            local port, listener = support.serve(function(client)
                kept[#kept + 1] = client
            end)
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
                    loop.sleep(0.001)
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
            local kept = {}
            local port, listener = support.serve(function(client)
                kept[#kept + 1] = client
            end)
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
