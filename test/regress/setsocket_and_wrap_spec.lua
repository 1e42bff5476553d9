-- After setsocket the old object was still taken for the socket's.

local loop = require 'socketloop'
local support = require 'support'

local run, plain = support.run, support.plain

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('wrap of what setsocket replaced is another socket', function()
        run(function()
            local first, peer1 = plain.pair()
            local second, peer2 = plain.pair()
            local s = loop.wrap(first)
            s:setsocket(second)
            local other = loop.wrap(first)
            assert.is_false(other == s)
            for _, x in ipairs {s, other, peer1, peer2} do x:close() end
        end)
    end)
end)
