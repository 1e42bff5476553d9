-- receive after a failure.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run = support.run

describe('receive', function()
    support.hooks(before_each, after_each)

    describe('after a failure', function()
        it('continues with the partial result as prefix', function()
            support.with_mixed(function(s, peer)
                s:settimeout(0.01)
                peer:send 'hel'
                assert(socket.select({s}, nil, 5)[1])
                local _, err, partial = s:receive(8)
                assert.equal('timeout', err)
                assert.equal('hel', partial)
                peer:send 'lo you'
                s:settimeout(5)
                assert.equal('hello yo', s:receive(8, partial))
                assert.equal('u', s:receive(1))
            end)
        end)

        it('is closed as often as it is asked', function()
            run(function()
                local a, b = support.pair()
                b:close()
                for _ = 1, 3 do
                    assert.same(pack(nil, 'closed', ''), pack(a:receive()))
                    assert.same(pack(nil, 'closed', ''), pack(a:receive('*a')))
                    assert.same(pack(nil, 'closed', ''), pack(a:receive(1)))
                end
                a:close()
            end)
        end)

        it('reports a reset as closed', function()
            run(function()
                local s, peer = support.mixed()
                peer:setoption('linger', {on = true, timeout = 0})
                peer:close()
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                s:close()
            end)
        end)

        it('reports a reset while waiting as closed', function()
            run(function()
                local s, peer = support.mixed()
                local result
                loop.newthread(function() result = pack(s:receive('*a')) end)
                peer:setoption('linger', {on = true, timeout = 0})
                peer:close()
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack(nil, 'closed', ''), result)
                s:close()
            end)
        end)
    end)
end)
