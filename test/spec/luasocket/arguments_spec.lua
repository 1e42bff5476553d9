-- With install the methods of LuaSocket's objects accept the same arguments in
-- threads as outside.

local support = require 'support'
local socket = require 'socket'

local pack, run, track = support.pack, support.run, support.track
local close = support.close
local unpack = table.unpack or unpack      -- luacheck: ignore

-- Returns two connected objects.
local function pair()
    local listener = track(assert(socket.bind('127.0.0.1', 0)))
    local ip, port = listener:getsockname()
    local near = track(assert(socket.connect(ip, port)))
    local far = track(assert(listener:accept()))
    listener:close()
    return near, far
end

-- Returns the method's results, or its error.
local function outcome(object, name, ...)
    local results = pack(pcall(object[name], object, ...))
    if not results[1] then results[2] = support.reason(results[2]) end
    return results
end

describe('The arguments of LuaSocket\'s', function()
    support.hooks_installed(before_each, after_each)

    -- Defines a test: f(...) gives equal results in the main program and in a
    -- thread.
    local function same(name, f, ...)
        local args = pack(...)
        it(name, function()
            local expected = f(unpack(args, 1, args.n))
            assert.same(expected, run(f, unpack(args, 1, args.n)))
        end)
    end

    local ranges = {
        {}, {1, 3}, {2}, {0}, {-2}, {-9}, {9}, {3, 2}, {2, 0}, {1, 9},
        {1, -1}, {1, -3}, {1, -4}, {1, -5}, {1, -20}, {-2, -5}, {nil, -6},
        {1.5}, {'2', '3'}, {'x'},
    }

    local function send(range)
        local near, far = pair()
        local results = outcome(near, 'send', 'abc', range[1], range[2])
        near:close()
        local received = pack(far:receive '*a')
        far:close()
        return {results, received}
    end

    for _, range in ipairs(ranges) do
        same(('send: from %s to %s'):format(tostring(range[1]),
                                            tostring(range[2])), send, range)
    end

    local patterns = {
        {}, {'*l'}, {'l'}, {'*line'}, {'*a'}, {'a'}, {'*all'}, {'*n'}, {''},
        {0}, {2}, {'2'}, {2.5}, {2.5, 'ab'}, {-0.5}, {-1}, {3, 'ab'},
        {'*l', 'ab'}, {'*l', 1.5}, {true}, {2, {}},
    }

    local function receive(pattern, is_open)
        local near, far = pair()
        assert(near:send 'xy')
        if not is_open then near:close() end
        local results = outcome(far, 'receive', pattern[1], pattern[2])
        near:close()
        local rest = pack(far:receive '*a')
        far:close()
        return {results, rest}
    end

    for _, pattern in ipairs(patterns) do
        local prefix = type(pattern[2]) == 'table' and 'a table' or pattern[2]
        same(('receive: %s, prefix %s'):format(tostring(pattern[1]),
                                               tostring(prefix)),
             receive, pattern)
    end

    -- Calls a method on an object of another class that has the method, too.
    local function on_listener(name, argument)
        local listener = track(assert(socket.bind('127.0.0.1', 0)))
        local near, far = pair()
        assert(near:send 'x')
        assert(far:receive(1))
        local ok, err = pcall(near[name], listener, argument)
        close(listener, near, far)
        return {ok, err:match "calling '.*"}
    end

    same('receive on a listener', on_listener, 'receive', 1)
    same('receive of a line on a listener', on_listener, 'receive')
    same('send on a listener', on_listener, 'send', 'x')

    same('receive does not wait for a part of a byte', receive, {2.5}, true)
end)
