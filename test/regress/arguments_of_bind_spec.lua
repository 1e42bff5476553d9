-- bind copied its arguments to a Lua stack without reserving room.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('bind takes any number of arguments', function()
        local s = loop.wrap(socket.tcp())
        local many = {}
        for i = 1, 200 do many[i] = i end
        assert.equal(1, s:bind('127.0.0.1', 0, support.unpack(many)))
        s:close()
    end)
end)
