-- Waits in receive, and calls that are refused meanwhile.

local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack
local run = support.run
local raises = support.raises

describe('receive', function()
    support.hooks(before_each, after_each)

    describe('waiting', function()
        it('lets other threads run', function()
            support.with_pair(function(a, b)
                local order = {}
                loop.newthread(function()
                    order[#order + 1] = 'waits'
                    local line = a:receive()
                    order[#order + 1] = line
                end)
                order[#order + 1] = 'runs'
                b:send 'gets\n'
                assert.is_true(support.eventually(function()
                    return order[3]
                end))
                assert.same({'waits', 'runs', 'gets'}, order)
            end)
        end)

        it('gathers a line from pieces', function()
            support.with_pair(function(a, b)
                local result
                loop.newthread(function() result = pack(a:receive()) end)
                for piece in ('one\r two\r\n'):gmatch '.' do
                    b:send(piece)
                    loop.sleep(0)
                end
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack('one two', nil, nil), result)
            end)
        end)

        it('gathers everything from pieces', function()
            run(function()
                local a, b = support.pair()
                local result
                loop.newthread(function()
                    result = pack(a:receive('*a', '>'))
                end)
                for i = 1, 20 do
                    b:send(i .. '\r\n')
                    loop.sleep(0)
                end
                b:close()
                assert.is_true(support.eventually(function()
                    return result
                end))
                local all = {'>'}
                for i = 1, 20 do all[i + 1] = i .. '\r\n' end
                assert.same(pack(table.concat(all), nil, nil), result)
                a:close()
            end)
        end)

        it('gathers a number of bytes from pieces', function()
            support.with_pair(function(a, b)
                local result
                loop.newthread(function() result = pack(a:receive(6, '>')) end)
                for piece in ('\r\n\0abc'):gmatch '.' do
                    b:send(piece)
                    loop.sleep(0)
                end
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack('>\r\n\0ab', nil, nil), result)
                assert.equal('c', a:receive(1))
            end)
        end)

        it('sees the end that came together with the data', function()
            run(function()
                local a, b = support.pair()
                local lines = {}
                local ended
                loop.newthread(function()
                    while true do
                        local line, err = a:receive()
                        if not line then ended = err break end
                        lines[#lines + 1] = line
                    end
                end)
                b:send 'one\ntwo\n'
                b:close()
                assert.is_true(support.eventually(function()
                    return ended
                end))
                assert.same({'one', 'two'}, lines)
                assert.equal('closed', ended)
                a:close()
            end)
        end)

        it('is not needed for data in the buffer', function()
            support.with_mixed(function(s, peer)
                peer:send 'one\ntwo\nthree'
                assert.equal('one', s:receive())
                local others
                loop.newthread(function()
                    loop.sleep(0)
                    others = true
                end)
                assert.equal('two', s:receive())
                assert.equal('thr', s:receive(3))
                assert.is_nil(others)
            end)
        end)

        it('outlives any amount of data', function()
            run(function()
                local a, b = support.pair()
                local block = ('0123456789abcdef'):rep(4096)
                local all = block:rep(20)
                loop.newthread(function()
                    for _ = 1, 20 do assert(b:send(block)) end
                    b:close()
                end)
                local got = assert(a:receive('*a'))
                assert.equal(#all, #got)
                assert.is_true(all == got)
                a:close()
            end)
        end)

        it('gets a line of megabytes whole', function()
            support.with_pair(function(a, b)
                local line = ('0123456789abcdef'):rep(65536)
                loop.newthread(function()
                    assert(b:send(line))
                    assert(b:send('\r\nnext\n'))
                end)
                assert.is_true(line == a:receive('*l'))
                assert.equal('next', a:receive('*l'))
            end)
        end)
    end)

    describe('misused', function()
        it('raises for a second reader and spares the first', function()
            support.with_mixed(function(s, peer)
                local first
                loop.newthread(function() first = pack(s:receive()) end)
                local ok, err = pcall(s.receive, s)
                assert.is_false(ok)
                assert.matches('already waited on by another thread', err, 1,
                    true)
                peer:send 'for the first\n'
                assert.is_true(support.eventually(function() return first end))
                assert.same(pack('for the first', nil, nil), first)
                peer:send 'for the next\n'
                assert.equal('for the next', s:receive())
            end)
        end)

        it('raises outside a loop thread', function()
            local s, peer = support.mixed()
            local ok, err = pcall(function() return s:receive() end)
            assert.is_false(ok)
            assert.matches('must be called from a loop thread', err, 1, true)
            assert.matches('newthread', err, 1, true)
            assert.matches('receive', err, 1, true)
            s:close()
            peer:close()
        end)

        it('raises on a socket that was never connected', function()
            run(function()
                local s = loop.tcp()
                raises('tcp{client} expected', s.receive, s)
                s:close()
            end)
        end)

        it('raises on a listening socket', function()
            run(function()
                local s = loop.tcp('127.0.0.1', 0)
                assert(s:listen())
                raises('tcp{client} expected', s.receive, s)
                s:close()
            end)
        end)

        it('raises for another self', function()
            support.with_mixed(function(s, peer)
                for _, self in ipairs {42, 'x', {}, io.stdout, peer} do
                    assert.is_false((pcall(s.receive, self)))
                end
                assert.is_false((pcall(s.receive)))
            end)
        end)
    end)
end)
