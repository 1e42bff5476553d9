-- wrap: LuaSocket's objects.

local loop = require 'socketloop'
local socket = require 'socket'
local scenes = require 'scenes'
local support = require 'support'

local pack = support.pack
local run, plain, raises = support.run, support.plain, support.raises
local talk, bare_fd = scenes.dialogue, scenes.bare_fd

describe('wrap', function()
    support.hooks(before_each, after_each)

    describe('of a LuaSocket object', function()
        it('takes one that has no descriptor yet', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.wrap(socket.tcp())
                assert.is_true(s:connect('127.0.0.1', port))
                local peer = assert(listener:accept())
                talk(s, peer)
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('takes one of tcp4', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.wrap(assert(socket.tcp4()))
                assert.is_true(s:connect('127.0.0.1', port))
                local peer = assert(listener:accept())
                talk(s, peer)
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('takes one of tcp6', function()
            if not support.has_ipv6() then pending 'no IPv6 here' return end
            run(function()
                local listener, port = plain.listen '::1'
                local s = loop.wrap(assert(socket.tcp6()))
                assert.is_true(s:connect('::1', port))
                local peer = assert(listener:accept())
                talk(s, peer)
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('takes a bound one', function()
            run(function()
                local listener, port = plain.listen()
                local object = assert(socket.tcp())
                assert(object:bind('127.0.0.1', 0))
                local own = support.port(object)
                local s = loop.wrap(object)
                assert.equal(own, support.port(s))
                assert.is_true(s:connect('127.0.0.1', port))
                local peer = assert(listener:accept())
                assert.equal(own, (select(2, peer:getpeername())))
                talk(s, peer)
                s:close()
                peer:close()
                listener:close()
            end)
        end)

        it('takes a bound one that then listens', function()
            run(function()
                local object = assert(socket.tcp())
                assert(object:bind('127.0.0.1', 0))
                local s = loop.wrap(object)
                assert.equal(1, s:listen())
                local peer = plain.connect(support.port(s))
                local accepted = assert(s:accept())
                talk(accepted, peer)
                accepted:close()
                peer:close()
                s:close()
            end)
        end)

        it('takes a fresh one that then binds and listens', function()
            run(function()
                local s = loop.wrap(socket.tcp())
                assert.equal(1, s:bind('127.0.0.1', 0))
                assert.equal(1, s:listen())
                local peer = plain.connect(support.port(s))
                local accepted = assert(s:accept())
                talk(accepted, peer)
                accepted:close()
                peer:close()
                s:close()
            end)
        end)

        it('takes a connected one', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                assert.same(support.name(client:getpeername()),
                    support.name(s:getpeername()))
                talk(s, peer)
                s:close()
                assert.equal(-1, client:getfd())
                peer:close()
            end)
        end)

        it('takes an accepted one and makes it non-blocking', function()
            run(function()
                local client, accepted = plain.pair()
                local s = loop.wrap(accepted)
                talk(s, client)
                s:close()
                client:close()
            end)
        end)

        it('takes a listening one', function()
            run(function()
                local listener, port = plain.listen()
                local s = loop.wrap(listener)
                local accepted
                loop.newthread(function() accepted = s:accept() end)
                assert.is_nil(accepted)
                local peer = plain.connect(port)
                assert.is_true(support.eventually(function()
                    return accepted
                end))
                talk(accepted, peer)
                accepted:close()
                peer:close()
                s:close()
            end)
        end)

        it('takes a closed one, which is closed', function()
            run(function()
                local client, peer = plain.pair()
                client:close()
                local s = loop.wrap(client)
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                assert.same(pack(nil, 'closed', 0), pack(s:send('hello')))
                s:close()
                peer:close()
            end)
        end)

        it('takes the data it has read already', function()
            run(function()
                local client, peer = plain.pair()
                peer:send 'one\ntwo\nthree'
                assert.equal('one', client:receive())
                assert.is_true(client:dirty())
                local s = loop.wrap(client)
                assert.equal('two', s:receive())
                assert.equal('th', s:receive(2))
                peer:send ' and four\n'
                assert.equal('ree and four', s:receive())
                talk(s, peer)
                s:close()
                peer:close()
            end)
        end)

        it('takes the data it has read already and its end', function()
            run(function()
                local client, peer = plain.pair()
                peer:send 'one\ntwo\nthree'
                peer:close()
                assert.equal('one', client:receive())
                local s = loop.wrap(client)
                assert.equal('two\nthree', s:receive('*a'))
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                s:close()
            end)
        end)

        it('is dirty if the object is', function()
            local client, peer = plain.pair()
            peer:send 'one\ntwo\n'
            client:receive()
            local s = loop.wrap(client)
            assert.is_true(s:dirty())
            s:close()
            peer:close()
        end)

        it('works in a loop thread and outside', function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            run(function()
                talk(s, peer)
                local c, p = plain.pair()
                local t = loop.wrap(c)
                talk(t, p)
                t:close()
                p:close()
            end)
            s:close()
            peer:close()
        end)

        it('keeps the object alive', function()
            support.with_mixed(function(s, peer)
                support.collect()
                talk(s, peer)
            end)
        end)
    end)

    describe('of the same', function()
        it('object gives the same socket', function()
            local client, peer = plain.pair()
            local s = loop.wrap(client)
            s.name = 'mine'
            assert.equal(s, loop.wrap(client))
            assert.equal('mine', loop.wrap(client).name)
            s:close()
            peer:close()
        end)

        it('loop socket gives the same socket', function()
            local s, peer = support.mixed()
            assert.equal(s, loop.wrap(s))
            local t = loop.tcp()
            assert.equal(t, loop.wrap(t))
            s:close()
            t:close()
            assert.equal(s, loop.wrap(s))
            peer:close()
        end)

        it('object made on demand gives its loop socket', function()
            support.with_pair(function(a, b)
                assert.equal(a, loop.wrap(a:getsocket()))
                assert.equal(b, loop.wrap(b:getsocket()))
            end)
        end)

        it('fresh object gives the same socket', function()
            local object = socket.tcp()
            local s = loop.wrap(object)
            assert.equal(s, loop.wrap(object))
            s:close()
        end)

        it('descriptor gives the same socket', function()
            local fd, peer = bare_fd()
            local s = loop.wrap(fd)
            assert.equal(s, loop.wrap(fd))
            s:close()
            peer:close()
        end)
    end)

    describe('with bad arguments', function()
        it('raises', function()
            for _, bad in ipairs {true, 'x', '3', {}, print, io.stdout,
                    coroutine.create(function() end)} do
                raises('bad argument', loop.wrap, bad)
            end
            assert.is_false((pcall(loop.wrap)))
            assert.is_false((pcall(loop.wrap, nil)))
        end)

        it('names the function', function()
            local _, err = pcall(function() loop.wrap({}) end)
            assert.matches('wrap', err, 1, true)
        end)
    end)

    it('raises each time if the poller cannot hold the descriptor', function()
        if loop.poller ~= 'select' then
            return pending 'the other pollers have no limit'
        end
        local files, file = {}, io.stdout
        while file and #files < 1100 do
            file = io.open '/dev/null'
            files[#files + 1] = file
        end
        local object = file and plain.listen()
        for _, one in ipairs(files) do one:close() end
        if not object then return pending 'there are too few descriptors' end
        raises('too many open sockets', loop.wrap, object)
        raises('too many open sockets', loop.wrap, object)
        object:close()
    end)

    it('lets many exchange at once', function()
        run(function()
            local count = 0
            for i = 1, 50 do
                local client, server = plain.pair()
                local a, b = loop.wrap(client), loop.wrap(server)
                loop.newthread(function()
                    local line = a:receive()
                    a:send(line .. ' answered\n')
                    a:close()
                end)
                loop.newthread(function()
                    b:send('question ' .. i .. '\n')
                    if b:receive() == 'question ' .. i .. ' answered' then
                        count = count + 1
                    end
                    b:close()
                end)
            end
            assert.is_true(support.eventually(function()
                return count == 50
            end))
        end)
    end)
end)
