-- Unix datagram sockets, compared with LuaSocket's, and in the loop.

local loop = require 'socketloop'
local paths = require 'socket_paths'
local process = require 'process'
local support = require 'support'

local unix = paths.unix(describe, pending)
if not unix then return end

local pack, run, track = support.pack, support.run, support.track
local close, path, kind_of = support.close, paths.path, paths.kind_of

local makers = {
    ['a wrapped object'] = function()
        return track(loop.wrap(assert(unix.dgram())))
    end,
    ['a bare descriptor'] = function()
        local object = assert(unix.dgram())
        local fd = object:getfd()
        object:setfd(-1)
        return track(loop.wrap(fd, 'unix'))
    end,
}

local each = paths.tests(it, makers, unix.dgram)

describe('A unix datagram socket does as LuaSocket:', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    each('sendto and receivefrom', function(make, note)
        local a, b = make(), make()
        note(a:bind(path 'a'))
        note(a:getsockname())
        note(b:sendto('hello', path 'a'))
        note(a:receivefrom())           -- from nowhere
        note(b:bind(path 'b'))
        note(b:sendto('hello', path 'a'))
        local data, from = a:receivefrom()
        note(data, from == path 'b')
        note(a:sendto('you too', from))
        note(b:receive())
        note(b:sendto('x', path 'nobody'))
        note(b:sendto('x', ('x'):rep(108)))
        note.err(b.sendto, b, 'x')
        close(a, b)
        note(kind_of(path 'a'))
    end)

    each('connected sockets', function(make, note)
        local a, b = make(), make()
        note(a:bind(path 'a'))
        note(b:connect(path 'a'))
        note(b:send('hello'))
        note(a:receive())
        note(b:send(''))
        note(a:receive())
        note.err(b.sendto, b, 'x', path 'a')
        note.err(b.receivefrom, b)
        note.err(b.bind, b, path 'b')
        note.err(a.send, a, 'x')
        local c = make()
        note(c:bind(path 'c'))
        note(b:setpeername(path 'c'))   -- another one
        note(b:send('hello'))
        note(c:receive())
        close(a, b, c)
    end)

    each('bounds and bytes that do not fit', function(make, note)
        local a, b = make(), make()
        note(a:bind(path 'a'))
        note(b:connect(path 'a'))
        for i = 1, 5 do note(b:send(('x'):rep(i))) end
        for _ = 1, 5 do note(a:receive()) end
        note(b:send(('x'):rep(20000)))
        note(#a:receive())
        note(b:send(('x'):rep(150000)))
        note(#a:receive(200000))
        note(b:send(('x'):rep(150000)))
        note(#a:receive(100000))
        note(b:send('abc'))
        note((a:receivefrom(2)))
        note(b:send(('x'):rep(10000000)))
        a:settimeout(0)
        note(a:receive())
        close(a, b)
    end)

    each('a peer that is gone', function(make, note)
        local a, b = make(), make()
        note(a:bind(path 'a'))
        note(b:connect(path 'a'))
        a:close()
        note(b:send('x'))
        note(make():connect(path 'a'))
        note(make():sendto('x', path 'a'))
        b:close()
    end)

    each('options', function(make, note)
        local a = make()
        note(a:setoption('reuseaddr', true))
        note((pcall(a.setoption, a, 'keepalive', true)))
        note(a.getoption, a.getpeername, a.listen, a.accept)
        note(a:dirty())
        close(a)
    end)
end)

describe('A unix datagram socket in the loop', function()
    support.hooks(before_each, after_each)
    before_each(paths.new)
    after_each(process.cleanup)

    local make = makers['a wrapped object']

    it('waits while the queue of its peer is full', function()
        run(function()
            local a, b = make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            local sent, done = 0, false
            loop.newthread(function()
                for i = 1, 100 do
                    assert.equal(#tostring(i), b:send(tostring(i)))
                    sent = i
                end
                done = true
            end)
            assert.is_true(sent < 100)
            for i = 1, 100 do assert.equal(tostring(i), a:receive()) end
            assert.is_true(support.eventually(function() return done end))
            close(a, b)
        end)
    end)

    it('waits while the queue of a receiver is full', function()
        run(function()
            local a, b = make(), make()
            assert(a:bind(path 'a'))
            local sent, done = 0, false
            loop.newthread(function()
                for i = 1, 100 do
                    assert.equal(#tostring(i),
                        b:sendto(tostring(i), path 'a'))
                    sent = i
                end
                done = true
            end)
            assert.is_true(sent < 100)
            for i = 1, 100 do assert.equal(tostring(i), a:receive()) end
            assert.is_true(support.eventually(function() return done end))
            close(a, b)
        end)
    end)

    it('waits while the queue is full of others\' datagrams', function()
        run(function()
            local a, b, c = make(), make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            b:settimeout(0)
            local count = 0
            while b:send 'other' do count = count + 1 end
            local sent
            loop.newthread(function() sent = c:sendto('mine', path 'a') end)
            local clock = os.clock()
            loop.sleep(0.3)
            assert.is_nil(sent)
            assert.is_true(os.clock() - clock < 0.1)    -- not busily
            for _ = 1, count do assert.equal('other', a:receive()) end
            assert.equal('mine', a:receive())
            assert.equal(4, sent)
            close(a, b, c)
        end)
    end)

    it('gives up sending when the time is over', function()
        run(function()
            local a, b, c = make(), make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            for _, seconds in ipairs {0, 0.01} do
                b:settimeout(seconds)
                local result
                repeat result = pack(b:send('x')) until not result[1]
                assert.same(pack(nil, 'timeout'), result)
                c:settimeout(seconds)
                assert.same(pack(nil, 'timeout'),
                    pack(c:sendto('x', path 'a')))
            end
            assert.equal('x', a:receive())
            assert.equal(1, b:send('x'))
            close(a, b, c)
        end)
    end)

    it('is closed while it waits to send', function()
        run(function()
            local a, b, c = make(), make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            local results = {}
            loop.newthread(function()
                local result
                repeat result = pack(b:send('x')) until not result[1]
                results[1] = result
            end)
            loop.newthread(function()
                results[2] = pack(c:sendto('x', path 'a'))
            end)
            loop.sleep(0.002)
            assert.is_nil(results[1] or results[2])
            close(b, c)
            assert.is_true(support.eventually(function()
                return results[1] and results[2]
            end))
            assert.same(pack(nil, 'closed'), results[1])
            assert.same(pack(nil, 'closed'), results[2])
            a:close()
        end)
    end)

    it('gets an error when its peer goes while it waits', function()
        run(function()
            local a, b = make(), make()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            local result
            loop.newthread(function()
                repeat result = pack(b:send('x')) until not result[1]
            end)
            loop.sleep(0.002)
            a:close()
            assert.is_true(support.eventually(function()
                return not result[1]
            end))
            assert.same(pack(nil, 'connection refused'), result)
            b:close()
        end)
    end)

    it('makes LuaSocket objects on demand', function()
        run(function()
            local bare = makers['a bare descriptor']
            local a, b = bare(), bare()
            assert(a:bind(path 'a'))
            assert(b:connect(path 'a'))
            assert.matches('unixdgram{unconnected}', tostring(a.socket), 1,
                true)
            assert.matches('unixdgram{connected}', tostring(b.socket), 1,
                true)
            assert.equal(5, b:send('hello'))
            assert.equal('hello', a:receive())
            close(a, b)
        end)
    end)
end)
