-- The size of one read from a stream that has more data. On a unix socket all
-- bytes that were sent can be read at once.

local loop = require 'socketloop'
local support = require 'support'

local run, track, close = support.run, support.track, support.close

local KIB = 1024

-- Returns a socket whose peer has sent more than so many bytes.
local function busy(size)
    local path, s = os.tmpname(), nil
    os.remove(path)
    local listener = track(loop.newserver(path, nil, function(client)
        s = track(client)
    end))
    local peer = track(loop.unix())
    assert(peer:connect(path))
    assert.is_true(support.eventually(function() return s end))
    peer:settimeout(0)
    local sent, _, partial = peer:send(('x'):rep(256 * KIB))
    assert((sent or partial) > size)
    listener:close()
    return s, peer
end

describe('A busy stream', function()
    support.hooks(before_each, after_each)

    for _, size in ipairs {4 * KIB, 16 * KIB, 64 * KIB} do
        it('is read in pieces of ' .. size .. ' bytes', function()
            run(function()
                local s, peer = busy(128 * KIB)
                for _ = 1, 128 * KIB / size do
                    assert.equal(size, #s:receive(size, nil, true))
                end
                close(s, peer)
            end)
        end)
    end

    it('is not read beyond a power of two', function()
        run(function()
            local s, peer = busy(128 * KIB)
            assert.equal(10, #s:receive(10))
            assert.equal(64 * KIB, (s:getstats()))
            assert.equal(64 * KIB - 10, #s:receive(64 * KIB, nil, true))
            assert.equal(64 * KIB, #s:receive(64 * KIB, nil, true))
            assert.equal(128 * KIB, (s:getstats()))
            close(s, peer)
        end)
    end)
end)
