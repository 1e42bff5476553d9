-- send: failures and misuse.

local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack
local run = support.run
local raises = support.raises

-- Returns two loop sockets with small socket buffers.
local function narrow()
    return support.pair {recvbuf = 8192, sendbuf = 8192}
end

-- More than the socket buffers can hold.
local big = ('0123456789abcdef'):rep(65536)

describe('send', function()
    support.hooks(before_each, after_each)

    describe('that fails', function()
        it('gives the last index sent on timeout', function()
            run(function()
                local a, b = narrow()
                a:settimeout(0.02)
                local ok, err, last = a:send(big)
                assert.is_nil(ok)
                assert.equal('timeout', err)
                assert.is_true(last > 0 and last < #big)
                a:close()
                assert.is_true(big:sub(1, last) == b:receive('*a'))
                b:close()
            end)
        end)

        it('counts from the start that was given', function()
            run(function()
                local a, b = narrow()
                a:settimeout(0.02)
                local ok, err, last = a:send(big, 100001)
                assert.is_nil(ok)
                assert.equal('timeout', err)
                assert.is_true(last > 100000 and last < #big)
                a:close()
                assert.is_true(big:sub(100001, last) == b:receive('*a'))
                b:close()
            end)
        end)

        it('counts over the strings of a table', function()
            run(function()
                local a, b = narrow()
                a:settimeout(0.02)
                local piece = big:sub(1, 1000)
                local pieces = {}
                for i = 1, 1000 do pieces[i] = piece end
                local ok, err, last = a:send(pieces)
                assert.is_nil(ok)
                assert.equal('timeout', err)
                assert.is_true(last > 0 and last < 1000000)
                a:close()
                assert.is_true(piece:rep(1000):sub(1, last) ==
                    b:receive('*a'))
                b:close()
            end)
        end)

        it('can be taken up behind the last index', function()
            run(function()
                local a, b = narrow()
                local data = big:sub(1, 200000)
                local got
                loop.newthread(function() got = b:receive('*a') end)
                a:settimeout(0)
                local at, rounds = 1, 0
                while at <= #data do
                    local last, err, partial = a:send(data, at)
                    assert.is_truthy(last or err == 'timeout')
                    at = (last or partial) + 1
                    rounds = rounds + 1
                    loop.sleep(0)
                end
                assert.is_true(rounds > 1)
                a:close()
                assert.is_true(support.eventually(function() return got end))
                assert.is_true(data == got)
                b:close()
            end)
        end)

        it('is closed when the peer has gone', function()
            run(function()
                local s, peer = support.mixed()
                peer:setoption('linger', {on = true, timeout = 0})
                peer:close()
                local ok, err, last
                assert.is_true(support.eventually(function()
                    ok, err, last = s:send('hello', 2)
                    return not ok
                end))
                assert.equal('closed', err)
                assert.equal(1, last)
                assert.same(pack(nil, 'closed', 0), pack(s:send('more')))
                s:close()
            end)
        end)

        it('is closed when the peer goes while it waits', function()
            run(function()
                local a, b = narrow()
                local results
                loop.newthread(function() results = pack(a:send(big)) end)
                assert.is_nil(results)
                b:setoption('linger', {on = true, timeout = 0})
                b:close()
                assert.is_true(support.eventually(function()
                    return results
                end))
                assert.is_nil(results[1])
                assert.equal('closed', results[2])
                assert.is_true(results[3] > 0 and results[3] < #big)
                a:close()
            end)
        end)

        it('is closed after shutdown', function()
            support.with_mixed(function(s)
                assert.equal(1, s:shutdown('send'))
                assert.same(pack(nil, 'closed', 0), pack(s:send('hello')))
            end)
        end)
    end)

    describe('misused', function()
        it('raises for a second writer and spares the first', function()
            run(function()
                local a, b = narrow()
                local first
                loop.newthread(function() first = pack(a:send(big)) end)
                local ok, err = pcall(a.send, a, 'second')
                assert.is_false(ok)
                assert.matches('already waited on by another thread', err, 1,
                    true)
                assert.is_true(big == b:receive(#big))
                assert.is_true(support.eventually(function() return first end))
                assert.same(pack(#big, nil, nil), first)
                a:send 'third\n'
                assert.equal('third', b:receive())
                a:close()
                b:close()
            end)
        end)

        it('raises outside a loop thread', function()
            local s, peer = support.mixed()
            local ok, err = pcall(function() return s:send('hello') end)
            assert.is_false(ok)
            assert.matches('must be called from a loop thread', err, 1, true)
            assert.matches('send', err, 1, true)
            s:close()
            peer:close()
        end)

        it('raises on a socket that was never connected', function()
            run(function()
                local s = loop.tcp()
                raises('tcp{client} expected', s.send, s, 'hello')
                s:close()
            end)
        end)

        it('raises on a listening socket', function()
            run(function()
                local s = loop.tcp('127.0.0.1', 0)
                assert(s:listen())
                raises('tcp{client} expected', s.send, s, 'hello')
                s:close()
            end)
        end)

        it('raises for another self', function()
            support.with_mixed(function(s, peer)
                for _, self in ipairs {42, 'x', {}, io.stdout, peer} do
                    assert.is_false((pcall(s.send, self, 'hello')))
                end
            end)
        end)
    end)
end)
