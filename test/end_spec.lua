-- How a stream ends, and what only looks like its end: a reset, or that
-- somebody closed the socket, possibly the program itself.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack, run, track = support.pack, support.run, support.track
local eventually = support.eventually

describe('A LuaSocket datagram object in a thread', function()
    support.hooks_installed(before_each, after_each)

    for _, name in ipairs {'receive', 'receivefrom'} do
        it('that is closed gives no datagrams with ' .. name, function()
            run(function()
                local s = track(assert(socket.udp4()))
                assert(s:setsockname('127.0.0.1', 0))
                local result
                loop.newthread(function() result = pack(s[name](s)) end)
                s:close()
                assert.is_true(eventually(function() return result end))
                assert.same({n = 2, nil, 'closed'}, result)
                assert.same({n = 2, nil, 'closed'}, pack(s[name](s)))
            end)
        end)
    end
end)
