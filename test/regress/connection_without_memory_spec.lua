-- When there was no memory for connect's result, the connection stayed open in
-- an internal object of install until that was used again.

local loop = require 'socketloop'
local own = require 'socketloop.own'
local socket = require 'socket'
local support = require 'support'

local run, track = support.run, support.track

describe('install', function()
    -- install would replace the function itself, wherever it is kept.
    local connect = tostring(getmetatable(socket.tcp4()).__index.connect)
    local method, undo = own.method, nil
    support.hooks(before_each, after_each, function()
        if undo then undo() end
        own.method, undo = method, nil
    end)

    it('closes a connection for whose result there is no memory', function()
        own.method = function(name, f, ...)
            if tostring(f) ~= connect then return method(name, f, ...) end
            method(name, f, ...)
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
