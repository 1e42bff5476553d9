-- settimeout and gettimeout.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run, plain = support.run, support.plain

describe('settimeout', function()
    support.hooks(before_each, after_each)

    it('gives 1', function()
        local s = loop.tcp()
        assert.same(pack(1), pack(s:settimeout(5)))
        assert.same(pack(1), pack(s:settimeout(5, 't')))
        assert.same(pack(1), pack(s:settimeout(nil)))
        assert.same(pack(1), pack(s:settimeout()))
        s:close()
    end)

    it('sets the values of gettimeout, as LuaSocket does', function()
        local a, b = loop.tcp(), socket.tcp()
        for _, args in ipairs {
            {5}, {0}, {0.25, 'b'}, {7, 't'}, {8, 'r'}, {-1}, {-1, 't'},
            {nil, 't', n = 2}, {nil, n = 1}, {}, {'3'}, {-5}, {3, 'total'},
            {4, 'block'},
        } do
            local n = args.n or #args
            assert.same(pack(b:settimeout(support.unpack(args, 1, n))),
                pack(a:settimeout(support.unpack(args, 1, n))))
            local block, total = a:gettimeout()
            local bblock, btotal = b:gettimeout()
            assert.equal(bblock < 0, block < 0)
            assert.equal(btotal < 0, total < 0)
            if block >= 0 then assert.equal(bblock, block) end
            if total >= 0 then assert.equal(btotal, total) end
        end
        a:close()
        b:close()
    end)

    it('starts out as for ever', function()
        local s, peer = support.mixed()
        assert.same(pack(-1, -1), pack(s:gettimeout()))
        s:close()
        peer:close()
        s = loop.tcp()
        assert.same(pack(-1, -1), pack(s:gettimeout()))
        s:close()
    end)

    it('raises for another mode', function()
        local s = loop.tcp()
        local ok, err = pcall(function() s:settimeout(1, 'x') end)
        assert.is_false(ok)
        assert.matches('invalid timeout mode', err, 1, true)
        assert.is_false((pcall(s.settimeout, s, 1, {})))
        s:close()
    end)

    it('raises for a time that is no number', function()
        local s = loop.tcp()
        assert.is_false((pcall(s.settimeout, s, 'soon')))
        assert.is_false((pcall(s.settimeout, s, {})))
        assert.same(pack(-1, -1), pack(s:gettimeout()))
        s:close()
    end)

    it('is not inherited from a wrapped object', function()
        run(function()
            local client, peer = plain.pair()
            client:settimeout(0.001)
            local s = loop.wrap(client)
            assert.same(pack(-1, -1), pack(s:gettimeout()))
            local got
            loop.newthread(function() got = s:receive() end)
            loop.sleep(0.01)
            peer:send 'late\n'
            assert.is_true(support.eventually(function() return got end))
            assert.equal('late', got)
            s:close()
            peer:close()
        end)
    end)

    it('changes the timeout of later calls', function()
        support.with_mixed(function(s, peer)
            s:settimeout(0.005)
            assert.equal('timeout', select(2, s:receive()))
            s:settimeout(nil)
            loop.newthread(function()
                loop.sleep(0.02)
                peer:send 'hello\n'
            end)
            assert.equal('hello', s:receive())
        end)
    end)
end)
