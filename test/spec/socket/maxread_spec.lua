-- setmaxread: the most that one receive of a count or of '*a' may return.

local loop = require 'socketloop'
local support = require 'support'
local certificates = require 'certificates'

local pack = support.pack
local run, plain, track = support.run, support.plain, support.track
local eventually = support.eventually
local close = support.close

-- A connection holds up to one read more than the limit.
local read_size = 4096

describe('setmaxread', function()
    support.hooks(before_each, after_each)

    it('refuses counts that are larger, and reads nothing', function()
        support.with_mixed(function(s, peer)
            s:setmaxread(5)
            assert.same(pack(nil, 'too much data', ''), pack(s:receive(6)))
            peer:send '123456789'
            assert.same(pack(nil, 'too much data', 'p'),
                        pack(s:receive(2 ^ 31, 'p')))
            assert.same(pack(nil, 'too much data', 'longer'),
                        pack(s:receive(7, 'longer')))
            assert.equal(0, (s:getstats()))
            assert.same(pack('12345', nil, nil), pack(s:receive(5)))
            assert.same(pack('ppp67', nil, nil), pack(s:receive(5, 'ppp')))
            s:setmaxread(nil)
            peer:send 'abcdef'
            assert.same(pack('89abcdef', nil, nil), pack(s:receive(8)))
        end)
    end)

    it('lets all of a stream pass that is just as long', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxread(5)
            peer:send '123'
            peer:close()
            assert.same(pack('pp123', nil, nil), pack(s:receive('*a', 'pp')))
            s:close()
        end)
    end)

    it('gives the beginning of a stream that is longer', function()
        run(function()
            for _, data in ipairs {'123456', ('1234567890'):rep(1000)} do
                local s, peer = support.mixed()
                s:setmaxread(5)
                peer:send(data)
                assert.same(pack(nil, 'too much data', '12345'),
                            pack(s:receive '*a'))
                close(s, peer)
            end
        end)
    end)

    it('counts the prefix', function()
        support.with_mixed(function(s, peer)
            s:setmaxread(5)
            peer:send '3456'
            assert.same(pack(nil, 'too much data', '12345'),
                        pack(s:receive('*a', '12')))
            s:setmaxread(5)
            assert.same(pack(nil, 'too much data', 'longer than that'),
                        pack(s:receive('*a', 'longer than that')))
        end)
    end)

    it('refuses \'*a\' from then on, but nothing else', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxread(5)
            peer:send '1234567890line\nrest'
            assert.equal('too much data', select(2, s:receive '*a'))
            for _ = 1, 2 do
                assert.same(pack(nil, 'too much data', 'p'),
                            pack(s:receive('*a', 'p')))
                assert.same(pack(nil, 'too much data', ''),
                            pack(s:receive('*a', '', true)))
            end
            assert.equal('67890', s:receive(5))
            assert.equal('line', s:receive())
            assert.equal(4, s:send 'bye\n')
            assert.equal('bye', peer:receive())
            s:setmaxread(4)
            peer:close()
            assert.same(pack('rest', nil, nil), pack(s:receive '*a'))
            s:close()
        end)
    end)

    it('called again goes on behind the bytes returned', function()
        run(function()
            local s, peer = support.mixed()
            peer:send '12345678901234'
            peer:close()
            local data, err, partial
            local parts = {}
            repeat
                s:setmaxread(5)
                data, err, partial = s:receive '*a'
                parts[#parts + 1] = data or partial
            until err ~= 'too much data'
            assert.same({'12345', '67890', '1234'}, parts)
            s:close()
        end)
    end)

    it('gives no more where less is enough', function()
        support.with_mixed(function(s, peer)
            s:setmaxread(5)
            peer:send '123456789012345678'
            for _, piece in ipairs {'12345', '67890'} do
                assert.same(pack(piece, nil, nil),
                            pack(s:receive('*a', '', true)))
            end
            assert.same(pack('12345', nil, nil), pack(s:receive(9, '', true)))
            assert.same(pack(nil, 'too much data', 'prefix'),
                        pack(s:receive(9, 'prefix', true)))
            assert.same(pack('678', nil, nil), pack(s:receive('*a', '', true)))
        end)
    end)

    it('leaves lines alone', function()
        support.with_mixed(function(s, peer)
            s:setmaxread(5)
            peer:send '1234567890\n'
            assert.equal('1234567890', s:receive())
        end)
    end)

    it('does not change timeouts and the end of the stream', function()
        run(function()
            local s, peer = support.mixed()
            s:setmaxread(5)
            s:settimeout(0)
            peer:send '123'
            assert.same(pack(nil, 'timeout', '123'), pack(s:receive '*a'))
            peer:close()
            s:settimeout(nil)
            assert.same(pack(nil, 'closed', '12'),
                        pack(s:receive('*a', '12')))
            s:close()
        end)
    end)

    it('holds little for a peer that sends without end', function()
        run(function()
            for _, limit in ipairs {1, 1000, 100000} do
                local a, b = support.pair()
                a:setmaxread(limit)
                local sent
                loop.newthread(function()
                    sent = pack(b:send(('x'):rep(16 * 1024 * 1024)))
                end)
                local data, err, partial = a:receive '*a'
                assert.is_nil(data)
                assert.equal('too much data', err)
                assert.equal(limit, #partial)
                a:receive '*a'
                loop.sleep(0)
                assert.is_true(a:getstats() <= limit + read_size)
                close(a, b)
                assert.is_true(eventually(function() return sent end))
                assert.equal('closed', sent[2])
            end
        end)
    end)

    it('of a listening socket is that of its clients', function()
        run(function()
            local got
            local port, listener = support.serve(function(client)
                got = pack(client:receive '*a')
                client:close()
            end)
            listener:setmaxread(5)
            local peer = plain.connect(port)
            peer:send '123456'
            assert.is_true(eventually(function() return got end))
            assert.same(pack(nil, 'too much data', '12345'), got)
            close(peer, listener)
        end)
    end)

    it('is inherited through accept, too', function()
        run(function()
            local listener = track(loop.tcp('127.0.0.1', 0))
            listener:setmaxread(5)
            assert(listener:listen())
            local peer = plain.connect(support.port(listener))
            local s = assert(listener:accept())
            assert.equal('too much data', select(2, s:receive(6)))
            close(s, peer, listener)
        end)
    end)

    it('works with data in LuaSocket\'s buffer', function()
        run(function()
            local client, peer = plain.pair()
            peer:send 'x123456789\n'
            assert.equal('x', client:receive(1))
            local s = loop.wrap(client)
            s:setmaxread(5)
            assert.same(pack(nil, 'too much data', '12345'),
                        pack(s:receive '*a'))
            close(s, peer)
        end)
    end)

    it('holds for objects that give more than was asked for', function()
        run(function()
            for _, ends in ipairs {'closed', false} do
                local s, peer = plain.pair()
                local object = setmetatable({}, {__index = {
                    getfd = function() return s:getfd() end,
                    receive = function()
                        if ends then return nil, ends, '123456' end
                        return '123456'
                    end,
                    send = function() return nil, 'closed', 0 end,
                    close = function() s:close() end,
                }})
                local wrapped = loop.wrap(object)
                wrapped:setmaxread(5)
                assert.same(pack(nil, 'too much data', '12345'),
                            pack(wrapped:receive '*a'))
                assert.same(pack(nil, 'too much data', ''),
                            pack(wrapped:receive '*a'))
                close(wrapped, s, peer)
            end
        end)
    end)
end)

describe('setmaxread with TLS', function()
    local certs = certificates.of_block(pending, setup, teardown)
    if not certs then return end
    support.hooks(before_each, after_each)

    it('holds for counts and for all', function()
        run(function()
            local a, b = certs.pair()
            a:setmaxread(5)
            assert.same(pack(nil, 'too much data', ''), pack(a:receive(6)))
            b:send '123456789012'
            assert.same(pack('12345', nil, nil), pack(a:receive(5)))
            assert.same(pack(nil, 'too much data', '67890'),
                        pack(a:receive '*a'))
            assert.same(pack(nil, 'too much data', ''), pack(a:receive '*a'))
            a:setmaxread(5)
            b:send '345'
            b:close()
            assert.same(pack('12345', nil, nil), pack(a:receive '*a'))
            a:close()
        end)
    end)

    it('holds little for a peer that sends without end', function()
        run(function()
            local a, b = certs.pair()
            a:setmaxread(1000)
            local sent
            loop.newthread(function()
                sent = pack(b:send(('x'):rep(4 * 1024 * 1024)))
            end)
            assert.same(pack(nil, 'too much data', ('x'):rep(1000)),
                        pack(a:receive '*a'))
            assert.is_true(a:getstats() <= 1000 + read_size)
            a:close()
            assert.is_true(eventually(function() return sent end))
            b:close()
        end)
    end)

    it('starts anew with the TLS object', function()
        run(function()
            local a, b = support.pair()
            a:setmaxread(3)
            b:send '1234'
            assert.equal('too much data', select(2, a:receive '*a'))
            assert.equal('4', a:receive(1))
            local ok
            loop.newthread(function() ok = b:starttls(certs.good.server) end)
            assert(a:starttls({cafile = certs.ca.certificate}, 'localhost'))
            assert.is_true(eventually(function() return ok end))
            b:send '12'
            b:close()
            assert.equal('12', a:receive '*a')
            a:close()
        end)
    end)
end)
