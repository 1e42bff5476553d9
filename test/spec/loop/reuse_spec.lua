-- Descriptors whose numbers are reused: an event of the closed descriptor wakes
-- no thread, no thread does I/O on an unrelated connection, and the loop does
-- not spin.

local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack
local run, plain, track = support.run, support.plain, support.track
local eventually = support.eventually
local close = support.close

-- Returns a new connected pair: the socket whose descriptor is fd, and its
-- peer. (The system assigns the lowest free number.)
local function pair_with(fd)
    local rest = {}
    for _ = 1, 8 do
        local a, b = plain.pair()
        if a:getfd() == fd or b:getfd() == fd then
            close(support.unpack(rest))
            if b:getfd() == fd then a, b = b, a end
            return a, b
        end
        rest[#rest + 1], rest[#rest + 2] = a, b
    end
    close(support.unpack(rest))
    error 'the number was not used again'
end

-- A thread that waits until s is readable, and counts how often it is woken.
local function count_wakes(s)
    local wakes = {n = 0}
    loop.newthread(function()
        s:call_async(function()
            if s:getfd() < 0 or wakes.done then return true end
            wakes.n = wakes.n + 1
            return nil, 'wantread'
        end)
        wakes.ended = true
    end)
    return wakes
end

-- Ends the thread, by data from the peer.
local function end_wakes(wakes, s, peer)
    wakes.done = true
    peer:send 'end\n'
    assert.is_true(eventually(function() return wakes.ended end))
    assert.equal('end', s:receive())
end

describe('A descriptor used again', function()
    support.hooks(before_each, after_each)

    it('wakes no thread by stale events', function()
        run(function()
            -- All readers are ready in one step. The first one that runs closes
            -- the others and opens new descriptors with their numbers.
            local readers, peers, fresh = {}, {}, {}
            local function replace(own)
                for i, s in ipairs(readers) do
                    if i ~= own then
                        local fd = s:getfd()
                        s:close()
                        local a, b = pair_with(fd)
                        a = track(loop.wrap(a))
                        fresh[#fresh + 1] = {a, b, count_wakes(a)}
                    end
                end
            end
            local first
            for i = 1, 8 do
                readers[i], peers[i] = support.mixed()
                local s = readers[i]
                loop.newthread(function()
                    local line = s:receive()
                    if line and not first then
                        first = i
                        replace(i)
                    end
                end)
            end
            for i = 1, 8 do peers[i]:send 'ready\n' end
            assert.is_true(eventually(function() return #fresh == 7 end))
            for _ = 1, 5 do loop.sleep(0.001) end
            for _, each in ipairs(fresh) do
                assert.equal(1, each[3].n)
                end_wakes(each[3], each[1], each[2])
                close(each[1], each[2])
            end
            readers[first]:close()
            close(support.unpack(peers))
        end)
    end)

    it('by a listening socket accepts only its own clients', function()
        run(function()
            local s, peer = support.mixed()
            local got
            loop.newthread(function() got = pack(s:receive()) end)
            local fd = s:getfd()
            peer:send 'for s\n'
            s:close()
            local listener
            local rest = {}
            repeat
                listener = track(loop.tcp('127.0.0.1', 0))
                rest[#rest + 1] = listener
            until listener:getfd() == fd or #rest == 8
            assert.equal(fd, listener:getfd())
            assert(listener:listen())
            local client
            loop.newthread(function() client = listener:accept() end)
            assert.is_true(eventually(function() return got end))
            assert.same(pack(nil, 'closed', ''), got)
            assert.is_nil(client)
            local other = plain.connect(support.port(listener))
            assert.is_true(eventually(function() return client end))
            close(client, other, peer, support.unpack(rest))
        end)
    end)

    for _, writes in ipairs {false, true} do
        local what = writes and 'send' or 'receive'

        it('by another file is not used by a waiting ' .. what, function()
            run(function()
                local client, peer = plain.pair()
                local s = track(loop.wrap(client))
                local got
                loop.newthread(function()
                    if writes then
                        got = pack(s:send(('x'):rep(2 ^ 25)))
                    else
                        got = pack(s:receive())
                    end
                end)
                assert.is_nil(got)
                local fd = client:getfd()
                client:close()
                local stranger, friend = pair_with(fd)
                friend:send 'for the stranger\n'
                for _ = 1, 5 do loop.sleep(0.001) end
                s:close()
                assert.is_true(eventually(function() return got end))
                assert.equal('closed', got[2])
                assert.equal('for the stranger', stranger:receive())
                stranger:send 'fine\n'
                assert.equal('fine', friend:receive())
                close(stranger, friend, peer)
            end)
        end)
    end

    it('by another listener is not used by a waiting accept', function()
        run(function()
            local listener = plain.listen()
            local s = track(loop.wrap(listener))
            local got
            loop.newthread(function() got = pack(s:accept()) end)
            local fd = listener:getfd()
            listener:close()
            local stranger, port = plain.listen()
            assert.equal(fd, stranger:getfd())
            local client = plain.connect(port)
            for _ = 1, 5 do loop.sleep(0.001) end
            s:close()
            assert.is_true(eventually(function() return got end))
            assert.same(pack(nil, 'closed'), got)
            local accepted = stranger:accept()
            assert.is_truthy(accepted)
            close(accepted, client, stranger)
        end)
    end)

    it('is fine again and again', function()
        run(function()
            for i = 1, 99 do
                local a, b = support.pair()
                local got
                loop.newthread(function() got = pack(a:receive()) end)
                if i % 3 == 0 then
                    a:close()
                elseif i % 3 == 1 then
                    b:send(i .. '\n')
                else
                    b:close()
                end
                if i % 2 == 0 then loop.sleep(0) end
                assert.is_true(eventually(function() return got end))
                if i % 3 == 1 then
                    assert.equal(tostring(i), got[1])
                else
                    assert.equal('closed', got[2])
                end
                close(a, b)
            end
        end)
    end)
end)

describe('A descriptor that another owner closes', function()
    support.hooks(before_each, after_each)

    for _, what in ipairs {'receive', 'send', 'accept'} do
        it('costs no steps while ' .. what .. ' waits', function()
            run(function()
                local object, peer
                if what == 'accept' then
                    object = plain.listen()
                else
                    object, peer = plain.pair()
                end
                local s = track(loop.wrap(object))
                local got
                loop.newthread(function()
                    got = pack(s[what](s, what == 'send' and
                                       ('x'):rep(2 ^ 25) or nil))
                end)
                assert.is_nil(got)
                object:close()
                assert.is_true(support.steps(0.05) < 20)
                s:close()
                assert.is_true(eventually(function() return got end))
                assert.equal('closed', got[2])
                if peer then peer:close() end
            end)
        end)
    end

    it('does not keep a timeout from coming', function()
        run(function()
            local object, peer = plain.pair()
            local s = track(loop.wrap(object))
            s:settimeout(0.02)
            local got
            loop.newthread(function() got = pack(s:receive()) end)
            object:close()
            assert.is_true(eventually(function() return got end))
            assert.is_true(got[2] == 'timeout' or got[2] == 'closed')
            close(s, peer)
        end)
    end)
end)

-- A child process inherits descriptors that are not close-on-exec, such as
-- LuaSocket's: the connection stays open after close in this process.
describe('A descriptor that another process has, too', function()
    support.hooks(before_each, after_each)

    local child
    local function share() child = assert(io.popen('cat >/dev/null', 'w')) end
    after_each(function()
        if child then child:close() end
        child = nil
    end)

    it('wakes no thread whose descriptor has its number', function()
        run(function()
            local object, peer = plain.pair()
            share()
            local s = track(loop.wrap(object))
            local got
            loop.newthread(function() got = pack(s:receive()) end)
            local fd = s:getfd()
            s:close()
            local a, b = pair_with(fd)
            a = track(loop.wrap(a))
            local wakes = count_wakes(a)
            for _ = 1, 5 do
                peer:send 'for the child\n'
                loop.sleep(0.001)
            end
            assert.equal(1, wakes.n)
            assert.equal('closed', got[2])
            end_wakes(wakes, a, b)
            close(a, b, peer)
            child:close()
            child = nil
        end)
    end)

    it('is not used by a waiting receive once its number is reused',
       function()
        run(function()
            local object, peer = plain.pair()
            share()
            local s = track(loop.wrap(object))
            local got
            loop.newthread(function() got = pack(s:receive()) end)
            local fd = object:getfd()
            object:close()
            local stranger, friend = pair_with(fd)
            friend:send 'for the stranger\n'
            peer:send 'for the child\n'
            for _ = 1, 5 do loop.sleep(0.001) end
            s:close()
            assert.is_true(eventually(function() return got end))
            assert.same(pack(nil, 'closed', ''), got)
            assert.equal('for the stranger', stranger:receive())
            close(stranger, friend, peer)
            child:close()
            child = nil
        end)
    end)

    it('costs no steps when it is closed here', function()
        run(function()
            local object, peer = plain.pair()
            share()
            local s = track(loop.wrap(object))
            loop.newthread(function() s:receive() end)
            loop.sleep(0)
            s:close()
            peer:send 'for the child\n'
            peer:shutdown 'send'
            assert.is_true(support.steps(0.05) < 20)
            peer:close()
            child:close()
            child = nil
        end)
    end)

    it('is fine when it comes back under its number', function()
        run(function()
            local object, peer = plain.pair()
            local s = track(loop.wrap(object))
            local got
            loop.newthread(function() got = pack(s:receive()) end)
            local fd = object:getfd()
            -- The owner releases the open descriptor and takes it back.
            s:setfd(-1)
            assert.is_true(eventually(function() return got end))
            assert.equal('closed', got[2])
            local t = track(loop.wrap(fd))
            got = nil
            loop.newthread(function() got = pack(t:receive()) end)
            peer:send 'hello again\n'
            assert.is_true(eventually(function() return got end))
            assert.same(pack('hello again', nil, nil), got)
            close(t, peer)
        end)
    end)
end)
