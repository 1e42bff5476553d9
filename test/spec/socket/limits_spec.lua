-- setmaxline and setmaxread: their arguments.

local loop = require 'socketloop'
local support = require 'support'

local pack, raises = support.pack, support.raises

for _, name in ipairs {'setmaxline', 'setmaxread'} do
    describe(name, function()
        support.hooks(before_each, after_each)

        it('gives 1', function()
            local s = loop.tcp()
            assert.same(pack(1), pack(s[name](s, 100)))
            assert.same(pack(1), pack(s[name](s, nil)))
            assert.same(pack(1), pack(s[name](s)))
            assert.same(pack(1), pack(s[name](s, math.huge)))
            s:close()
        end)

        it('raises for invalid lengths', function()
            local s = loop.tcp()
            for _, bad in ipairs {0, -1, 1.5, 0 / 0, -math.huge, 'x', {},
                                  true} do
                raises('bad argument', s[name], s, bad)
            end
            s:close()
        end)

        it('is not there for datagrams', function()
            local s = loop.udp()
            assert.is_nil(s[name])
            s:close()
        end)
    end)
end
