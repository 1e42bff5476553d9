-- Sockets that get another object while one of their methods runs, so that
-- another driver does their I/O afterwards.

local loop = require 'socketloop'
local own_io = require 'own_io'
local support = require 'support'

local run, plain, close = support.run, support.plain, support.close

describe('a socket that gets another object', function()
    support.hooks(before_each, after_each)

    -- Calls f with the class of a TCP object, in which the first setsockname
    -- calls meanwhile() and then fails.
    local function with_method(class, meanwhile, f)
        local original = class.setsockname
        class.setsockname = function()
            class.setsockname = original
            meanwhile()
            return nil, 'connection refused'
        end
        local ok, err = pcall(f)
        class.setsockname = original
        assert(ok, err)
    end

    it('while its own one binds has the class of the new one', function()
        local client, peer = plain.pair()
        local s, o = loop.tcp(), own_io.object(client)
        local class = getmetatable(s:getsocket()).__index
        with_method(class, function() s:setsocket(o) end, function()
            run(function()
                local ok, err = s:bind('127.0.0.1', 0)
                assert.is_nil(ok)
                assert.equal('connection refused', err)
                peer:send 'hello\n'
                assert.equal('hello', s:receive())
            end)
        end)
        assert.equal(o, s:getsocket())
        assert.matches('^foreign{client}: fd ', tostring(s))
        close(s, peer)
    end)

    it('and then lacks the method returns an error', function()
        local client, peer = plain.pair()
        local s = loop.wrap(own_io.object(client))
        local udp = loop.udp()
        local ok, err = udp.setpeername(s, '127.0.0.1', 9)
        assert.is_nil(ok)
        assert.matches('not supported', err)
        close(s, udp, peer)
    end)
end)
