-- After setsocket, wrap still mapped the old object to the socket.

local loop = require 'socketloop'
local support = require 'support'

local run, plain = support.run, support.plain

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('wrap of an object that setsocket replaced is a new socket', function()
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
