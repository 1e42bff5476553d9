-- setmaxline: the maximum length of a line that is received.

local loop = require 'socketloop'
local support = require 'support'
local certificates = require 'certificates'

local pack = support.pack
local run, plain, track = support.run, support.plain, support.track
local eventually = support.eventually
local close = support.close

-- A connection holds up to one read more than the limit.
local read_size = 4096

describe('setmaxline', function()
    support.hooks(before_each, after_each)

    it('lets lines pass that are just as long', function()
        support.with_mixed(function(s, peer)
            s:setmaxline(5)
            peer:send '12345\n\n1234\r\n1\n'
            assert.same(pack('12345', nil, nil), pack(s:receive()))
            assert.same(pack('', nil, nil), pack(s:receive()))
            assert.same(pack('1234', nil, nil), pack(s:receive()))
            assert.same(pack('1', nil, nil), pack(s:receive '*l'))
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
        support.with_mixed(function(s, peer)
            s:setmaxline(5)
            peer:send '12345\r\n'
            assert.same(pack(nil, 'line too long', '12345'),
                        pack(s:receive()))
        end)
    end)

    it('counts the prefix', function()
        support.with_mixed(function(s, peer)
            s:setmaxline(5)
            peer:send '345\n'
            assert.same(pack('12345', nil, nil), pack(s:receive('*l', '12')))
            peer:send '3456\n'
            assert.same(pack(nil, 'line too long', '12345'),
                        pack(s:receive('*l', '12')))
            s:setmaxline(5)
            assert.same(pack(nil, 'line too long', 'longer than that'),
                        pack(s:receive('*l', 'longer than that')))
        end)
    end)

    it('holds for a line that comes drop by drop', function()
        support.with_mixed(function(s, peer)
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
        end)
    end)

    it('receives nothing more then, and still sends', function()
        support.with_mixed(function(s, peer)
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
        end)
    end)

    it('called again goes on behind the bytes returned', function()
        support.with_mixed(function(s, peer)
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
        end)
    end)

    it('nil turns it off', function()
        support.with_mixed(function(s, peer)
            s:setmaxline(5)
            peer:send '1234567890\nanother long one\n'
            assert.equal('line too long', select(2, s:receive()))
            s:setmaxline(nil)
            assert.equal('67890', s:receive())
            assert.equal('another long one', s:receive())
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
        support.with_mixed(function(s, peer)
            s:setmaxline(5)
            peer:send '12345678901\n12'
            for _, piece in ipairs {'12345', '67890', '1', '12'} do
                assert.same(pack(piece, nil, nil),
                            pack(s:receive('*l', '', true)))
            end
            peer:send '123'
            assert.same(pack(nil, 'line too long', '12345'),
                        pack(s:receive('*l', '12345', true)))
        end)
    end)

    it('does not change timeouts and the end of the stream', function()
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
        support.with_pair(function(a, b)
            local line = ('x'):rep(200000)
            a:setmaxline(#line)
            loop.newthread(function() b:send(line .. '\n' .. line .. 'x\n') end)
            assert.is_true(line == a:receive())
            local _, err, partial = a:receive()
            assert.equal('line too long', err)
            assert.is_true(line == partial)
        end)
    end)

    it('loses no lines that were read ahead', function()
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

    it('works with data in LuaSocket\'s buffer', function()
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
    local certs = certificates.of_block(pending, setup, teardown)
    if not certs then return end
    support.hooks(before_each, after_each)

    it('takes lines of that length', function()
        run(function()
            local a, b = certs.pair()
            a:setmaxline(5)
            b:send '12345\r\n1234\r\n\n123'
            assert.equal('line too long', select(2, a:receive()))
            a:setmaxline(6)
            assert.equal('', a:receive())    -- the CR is left
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

    it('turned off finds data that was read ahead', function()
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
        support.with_pair(function(a, b)
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
        end)
    end)
end)
