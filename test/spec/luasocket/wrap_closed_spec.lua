-- wrap: objects and descriptors that another owner closes.

local loop = require 'socketloop'
local scenes = require 'scenes'
local support = require 'support'

local pack = support.pack
local run, plain = support.run, support.plain
local talk = scenes.dialogue

describe('wrap', function()
    support.hooks(before_each, after_each)

    describe('of an object that another owner closes', function()
        it('is closed', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                talk(s, peer)
                client:close()
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                assert.same(pack(nil, 'closed', 0), pack(s:send('hello')))
                assert.equal(1, s:close())
                peer:close()
            end)
        end)

        it('is closed when it was made on demand', function()
            run(function()
                local a, b = support.pair()
                local object = a:getsocket()
                object:close()
                assert.same(pack(nil, 'closed', ''), pack(a:receive()))
                assert.same(pack(nil, 'closed', 0), pack(a:send('hello')))
                assert.equal(1, a:close())
                b:close()
            end)
        end)

        it('is closed for waiting threads, at the latest by close', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                local result
                loop.newthread(function() result = pack(s:receive()) end)
                assert.is_nil(result)
                client:close()
                -- Some pollers notice the close, others only when this process
                -- closes it, too.
                loop.sleep(0.005)
                s:close()
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack(nil, 'closed', ''), result)
                peer:close()
            end)
        end)

        it('never does I/O on a reused descriptor', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                talk(s, peer)
                local fd = client:getfd()
                client:close()
                -- The lowest free number is assigned again.
                local listener, port = plain.listen()
                local t = assert(loop.connect('127.0.0.1', port))
                local other = assert(listener:accept())
                assert.is_true(fd == t:getfd() or fd == listener:getfd() or
                    fd == other:getfd())
                assert.equal('closed', select(2, s:receive()))
                assert.equal('closed', select(2, s:send('stray\n')))
                s:close()
                talk(t, other)
                t:close()
                other:close()
                listener:close()
                peer:close()
            end)
        end)

        it('never does I/O on one that is reused outside the loop', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                talk(s, peer)
                local fd = client:getfd()
                client:close()
                local other, other_peer = plain.pair()
                assert.is_true(fd == other:getfd() or
                    fd == other_peer:getfd())
                other:send 'not yours\n'
                other_peer:send 'not yours\n'
                assert.same(pack(nil, 'closed', 0), pack(s:send('stray\n')))
                assert.same(pack(nil, 'closed', ''), pack(s:receive()))
                s:close()
                assert.equal('not yours', other:receive())
                assert.equal('not yours', other_peer:receive())
                other:send 'fine\n'
                assert.equal('fine', other_peer:receive())
                other:close()
                other_peer:close()
                peer:close()
            end)
        end)

        it('never closes a reused descriptor', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                client:close()
                local a, b = support.pair()
                s:close()
                s, client = nil, nil     -- luacheck: ignore
                support.collect()
                a:send 'alive\n'
                assert.equal('alive', b:receive())
                b:send 'too\n'
                assert.equal('too', a:receive())
                a:close()
                b:close()
                peer:close()
            end)
        end)

        it('wakes waiting threads when the descriptor is reused', function()
            run(function()
                local client, peer = plain.pair()
                local s = loop.wrap(client)
                local result
                loop.newthread(function() result = pack(s:receive()) end)
                assert.is_nil(result)
                local fd = client:getfd()
                client:close()
                local reused
                local sockets = {}
                for i = 1, 5 do
                    local t = loop.tcp('127.0.0.1', 0)
                    sockets[i] = t
                    if t:getfd() == fd then
                        reused = true
                        assert(t:listen())
                        local timeout = 0
                        t:settimeout(timeout)
                        t:accept()
                        break
                    end
                end
                assert.is_true(reused)
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack(nil, 'closed', ''), result)
                for _, t in ipairs(sockets) do t:close() end
                peer:close()
            end)
        end)
    end)
end)
