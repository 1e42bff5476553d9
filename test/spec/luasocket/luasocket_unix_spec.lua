-- LuaSocket's own unix sockets in loop threads while install is in effect.

local loop = require 'socketloop'
local support = require 'support'

local has_unix, unix = pcall(require, 'socket.unix')

local run, pack, track = support.run, support.pack, support.track

describe('a LuaSocket object on a path, in a thread,', function()
    if not has_unix or type(unix) ~= 'table' then
        pending 'LuaSocket was built without unix sockets'
        return
    end

    local path
    before_each(function() path = os.tmpname() os.remove(path) end)
    after_each(function() os.remove(path) end)
    support.hooks_installed(before_each, after_each)

    it('accepts, connects, sends and receives', function()
        run(function()
            local listener = track(unix.stream())
            assert(listener:bind(path))
            assert(listener:listen())
            loop.newthread(function()
                local client = assert(listener:accept())
                client:send(client:receive() .. '\n')
                client:close()
            end)
            local s = track(unix.stream())
            assert.equal(1, s:connect(path))
            loop.sleep(0.002)
            s:send 'hello\n'
            assert.equal('hello', s:receive())
            assert.same({nil, 'closed', '', n = 3}, pack(s:receive()))
            s:close()
            listener:close()
        end)
    end)

    it('honours its timeout', function()
        run(function()
            local listener = track(unix.stream())
            assert(listener:bind(path))
            assert(listener:listen())
            listener:settimeout(0.01)
            assert.same({nil, 'timeout', n = 2}, pack(listener:accept()))
            local s = track(unix.stream())
            s:settimeout(0.01, 't')
            assert.equal(1, s:connect(path))
            assert.same({nil, 'timeout', '', n = 3}, pack(s:receive()))
            s:close()
            listener:close()
        end)
    end)

    it('waits for room in the listener\'s queue', function()
        run(function()
            local listener = track(unix.stream())
            assert(listener:bind(path))
            assert(listener:listen(1))
            local connected, all = 0, {}
            for i = 1, 10 do
                all[i] = track(unix.stream())
                loop.newthread(function()
                    assert(all[i]:connect(path))
                    connected = connected + 1
                end)
            end
            loop.sleep(0.01)
            assert.is_true(connected < 10)
            for i = 1, 10 do all[i + 10] = assert(listener:accept()) end
            support.eventually(function() return connected == 10 end)
            assert.equal(10, connected)
            for _, s in ipairs(all) do s:close() end
            listener:close()
        end)
    end)

    it('sends datagrams', function()
        run(function()
            local there = track(unix.dgram())
            assert(there:bind(path))
            local here = track(unix.dgram())
            local count = 0
            loop.newthread(function()
                for i = 1, 100 do assert(here:sendto('n' .. i, path)) end
            end)
            for i = 1, 100 do
                if there:receive() == 'n' .. i then count = count + 1 end
            end
            assert.equal(100, count)
            here:close()
            there:close()
        end)
    end)
end)
