-- Found where there was no memory at times.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack, unpack = support.pack, support.unpack
local run, track = support.run, support.track

-- Calls f, which install does not find in a coroutine that has not begun.
local function hidden(f)
    return coroutine.wrap(function(...)
        local arguments = pack(...)
        while true do
            arguments = pack(coroutine.yield(
                f(unpack(arguments, 1, arguments.n))))
        end
    end)
end

describe('install', function()
    local class, connect, undo = getmetatable(socket.tcp4()).__index
    support.hooks(before_each, function(check)
        after_each(function()
            if undo then undo() end
            class.connect, undo = connect, nil
            check()
        end)
    end)

    before_each(function() connect = class.connect end)

    -- It stayed open in an object of install's own until that was used again,
    -- while the peer waited.
    it('closes a connection for whose result there is no memory', function()
        local as_ever = hidden(connect)
        class.connect = function(...)
            as_ever(...)
            error('on purpose', 0)
        end
        undo = loop.install()
        run(function()
            local listener = track(loop.tcp('127.0.0.1', 0))
            assert(listener:listen(8))
            local s = socket.tcp()
            local ok, err = pcall(s.connect, s, '127.0.0.1',
                                  support.port(listener))
            assert.same({false, 'on purpose'}, {ok, err})
            local peer = track(assert(listener:accept()))
            peer:settimeout(support.limit)
            assert.equal('closed', select(2, peer:receive()))
            peer:close()
            listener:close()
            s:close()
        end)
    end)
end)
