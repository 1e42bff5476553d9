-- install inspected a function that load was still compiling: a crash.

local loop = require 'socketloop'
local support = require 'support'

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('install in the middle of a load', function()
        local pieces = {'return', ' 1'}
        local f = assert(load(function()
            if #pieces == 1 then loop.install()() end
            return table.remove(pieces, 1)
        end))
        assert.equal(1, f())
    end)
end)
