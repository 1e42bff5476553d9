-- LuaSocket objects that several threads use.

local loop = require 'socketloop'
local socket = require 'socket'
local scenes = require 'scenes'
local support = require 'support'

local run, pack, track = support.run, support.pack, support.track
local with_pair, trickle = scenes.with_unwrapped, scenes.trickle

describe('a LuaSocket object in a thread', function()
    support.hooks_installed(before_each, after_each)

    describe('that several threads use', function()
        it('is read and written at the same time', function()
            local big = ('0123456789'):rep(300000)
            with_pair(function(client, peer)
                local line
                loop.newthread(function() line = client:receive() end)
                loop.newthread(function()
                    client:send(big)
                    client:shutdown 'send'
                end)
                assert.is_true(peer:receive '*a' == big)
                peer:send 'thanks\n'
                assert(support.eventually(function() return line end))
                assert.equal('thanks', line)
            end)
        end)

        it('has one reader only', function()
            with_pair(function(client, peer)
                local line
                loop.newthread(function() line = client:receive() end)
                local ok, err = pcall(client.receive, client)
                assert.is_false(ok)
                assert.matches('receive: the socket is already waited on by ' ..
                               'another thread', err)
                peer:send 'x\n'
                assert(support.eventually(function() return line end))
                assert.equal('x', line)
                peer:send 'y\n'
                assert.equal('y', client:receive())
            end)
        end)

        it('has one writer only', function()
            local big = ('0123456789'):rep(500000)
            with_pair(function(client, peer)
                loop.newthread(function()
                    client:send(big)
                    client:close()
                end)
                assert.error_matches(function() client:send 'x' end,
                                     'send: .* already waited on')
                assert.is_true(peer:receive '*a' == big)
            end)
        end)

        it('wakes waiting threads when it is closed', function()
            with_pair(function(client)
                local result
                loop.newthread(function() result = pack(client:receive()) end)
                loop.sleep(0.002)
                assert.equal(1, client:close())
                assert(support.eventually(function() return result end))
                assert.same({nil, 'closed', '', n = 3}, result)
            end)
        end)

        it('wakes an accepting thread when it is closed', function()
            run(function()
                local listener = track(assert(socket.bind('127.0.0.1', 0)))
                local result
                loop.newthread(function() result = pack(listener:accept()) end)
                loop.sleep(0.002)
                listener:close()
                assert(support.eventually(function() return result end))
                assert.is_nil(result[1])
                assert.is_string(result[2])
            end)
        end)

        it('may be wrapped by one, while another waits', function()
            with_pair(function(client, peer)
                local line
                loop.newthread(function() line = client:receive() end)
                loop.sleep(0.002)
                local wrapped = loop.wrap(client)
                trickle(peer, 'a', 'b\n')
                assert(support.eventually(function() return line end))
                assert.equal('ab', line)
                trickle(peer, 'c', 'd\n')
                assert.equal('cd', wrapped:receive())
                wrapped:close()
            end)
        end)

        if coroutine.close then
            it('is free again when the thread was closed', function()
                with_pair(function(client, peer)
                    local thread = loop.newthread(function()
                        client:receive()
                    end)
                    loop.sleep(0.002)
                    assert(coroutine.close(thread))
                    trickle(peer, 'a', 'b\n')
                    assert.equal('ab', client:receive())
                end)
            end)
        end
    end)
end)
