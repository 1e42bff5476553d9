-- starttls passed LuaSec a descriptor whose number another socket had reused.

local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    if pcall(require, 'ssl') then
        it('starttls does not touch a reused descriptor', function()
            local object, peer = support.plain.pair()
            local s = loop.wrap(object)
            local fd = s:getfd()
            object:close()
            local others = {}
            repeat    -- the lowest number that is free
                local other = support.plain.listen()
                others[#others + 1] = other
            until other:getfd() == fd
            support.run(function()
                s:settimeout(1)
                assert.same(pack(nil, 'closed'),
                            pack(s:starttls {mode = 'server'}))
            end)
            assert.equal(fd, others[#others]:getfd())
            s:close()
            assert.truthy(others[#others]:getsockname())
            for _, other in ipairs(others) do other:close() end
            peer:close()
        end)
    end
end)
