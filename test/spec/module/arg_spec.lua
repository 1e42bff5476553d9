-- Argument errors name the function, however the function is called.

local loop = require 'socketloop'
local coro = require 'coro'
local support = require 'support'

local run, unpack = support.run, support.unpack

local function nothing() end

-- A value that no function of the module accepts.
local bad = io.stdout

-- Valid arguments for each function that checks arguments.
local functions = {
    connect = {'127.0.0.1', 1, '127.0.0.1', 0},
    newserver = {'127.0.0.1', 0, nothing, {}},
    newthread = {nothing},
    resolve = {'127.0.0.1', 80, 1},
    resume = {coroutine.create(nothing)},
    sleep = {0},
    start = {0},
    step = {0},
    tcp = {'127.0.0.1', 0},
    udp = {'127.0.0.1', 0},
    wrap = {0},
}

local of_coro = {
    create = {nothing},
    ptransfer = {coroutine.create(nothing)},
    resume = {coroutine.create(nothing)},
    safewrap = {nothing},
    status = {coroutine.create(nothing)},
    transfer = {coroutine.create(nothing)},
    wrap = {nothing},
}

if coro.close then of_coro.close = {coroutine.create(nothing)} end

local of_all = {
    call_async = {},
    setfd = {-1},
    setoption = {'reuseaddr', true},
    setsocket = {},
    settimeout = {1, 'b'},
}

local of_streams = {
    listen = {1},
    receive = {'*l', ''},
    send = {'x', 1, 1},
    setmaxclients = {1},
    setlingertime = {1},
    setmaxline = {1},
    setmaxread = {1},
    setstats = {1, 1, 1},
    shutdown = {'both'},
    starttls = {{}, 'host'},
}

local of_tcp = {
    bind = {'127.0.0.1', 0},
    connect = {'127.0.0.1', 1},
    getoption = {'reuseaddr'},
}

local of_udp = {
    getoption = {'reuseaddr'},
    receive = {1},
    receivefrom = {1},
    send = {'x'},
    sendto = {'x', '127.0.0.1', 1},
    setpeername = {'127.0.0.1', 1},
    setsockname = {'127.0.0.1', 0},
}

if not pcall(require, 'ssl') then
    of_streams.starttls, functions.newserver[4] = nil, nil
end

-- Methods without arguments: only self can be wrong.
local plain = {
    'accept', 'close', 'dirty', 'getfamily', 'getfd', 'getpeername',
    'getsocket', 'getsockname', 'getstats', 'gettimeout',
}

-- Ways to call a function so that Lua knows no name for it.
local ways = {
    ['by pcall'] = pcall,
    ['by pcall, in a tail call'] = function(f, ...)
        return pcall(pcall, f, ...)
    end,
    ['as a coroutine'] = function(f, ...)
        local ok, err = coro.resume(coro.create(f), ...)
        return ok, err
    end,
    ['under another name'] = function(f, ...)
        local something = f
        return pcall(function(...) local _ = something(...) end, ...)
    end,
}

local function check_message(name, ...)
    local results = support.pack(...)
    local err = results[results.n]
    if type(err) ~= 'string' then return end
    assert.not_matches("'%?'", err)
    assert.not_matches("'something'", err)
    if err:find('bad argument', 1, true) or err:find('bad self', 1, true) then
        assert.matches("'" .. name .. "'", err)
    end
    return err
end

-- Calls f(..., bad) for each position in a list of valid arguments.
local function check_arguments(way, name, f, arguments, ...)
    local n = select('#', ...)
    for i = 1, #arguments do
        local all = support.pack(...)
        for k = 1, #arguments do all[n + k] = arguments[k] end
        all[n + i] = bad
        local err = check_message(name, way(f, unpack(all, 1, n + #arguments)))
        assert.matches(("bad argument #%d to '%s'"):format(i, name), err)
    end
end

local function check_self(way, name, f)
    for _, arguments in ipairs {{}, {bad}, {{}}} do
        if name == 'close' then return end
        local err = check_message(name, way(f, unpack(arguments)))
        assert.matches("calling '" .. name .. "' on bad self", err)
    end
end

for how, way in pairs(ways) do
    describe('a bad argument, of a function called ' .. how, function()
        support.hooks(before_each, after_each)
        after_each(function() support.at_rest(loop.coro) end)

        for kind, which in pairs {loop = loop, ['loop.coro'] = loop.coro} do
            for name, arguments in pairs(functions) do
                it(('is reported with the name: %s.%s'):format(kind, name),
                function()
                    run(check_arguments, way, name, which[name], arguments)
                end)
            end
        end

        for name, arguments in pairs(of_coro) do
            it('is reported with the name: coro.' .. name, function()
                check_arguments(way, name, coro[name], arguments)
                check_message(name, way(coro[name]))
            end)
        end

        for kind, lists in pairs {
            tcp = {of_all, of_streams, of_tcp},
            udp = {of_all, of_udp},
            unix = {of_all, of_streams},
        } do
            it('names the methods of ' .. kind, function()
                for _, list in ipairs(lists) do
                    for name, arguments in pairs(list) do
                        run(function()
                            local s = loop[kind]()
                            if not s[name] then return end
                            check_self(way, name, s[name])
                            local err = check_message(name, way(s[name], s,
                                                                bad))
                            if err and err:find('bad self', 1, true) then
                                s:close()
                                return
                            end
                            check_arguments(way, name, s[name], arguments, s)
                            s:close()
                        end)
                    end
                end
            end)

            it('is the self of the methods of ' .. kind, function()
                local s = loop[kind]()
                for _, name in ipairs(plain) do
                    if s[name] then check_self(way, name, s[name]) end
                end
                check_message('close', way(s.close))
                check_message('close', way(s.close, {}))
                s:close()
            end)
        end

        it('is reported by connected sockets', function()
            support.with_pair(function(client)
                local skipped = {
                    listen = true, setmaxclients = true, starttls = true,
                }
                for name, arguments in pairs(of_streams) do
                    if not skipped[name] then
                        check_arguments(way, name, client[name], arguments,
                                        client)
                    end
                end
            end)
        end)

        it('is reported by starttls, which closes the socket', function()
            for place in pairs(of_streams.starttls or {}) do
                local arguments = {unpack(of_streams.starttls)}
                arguments[place] = bad
                run(function()
                    local s, peer = support.pair()
                    local err = check_message('starttls', way(s.starttls, s,
                        unpack(arguments)))
                    assert.matches(("bad argument #%d to 'starttls'"):format(
                        place), err)
                    assert.equal(-1, s:getfd())
                    peer:close()
                end)
            end
        end)
    end)
end

describe('a bad argument of an object of LuaSocket in a thread', function()
    support.hooks_installed(before_each, after_each)

    it('is reported with the name of the method', function()
        run(function()
            local client, peer = support.unwrapped()
            for name, arguments in pairs {
                receive = {'*l', ''}, send = {'x', 1, 1}, settimeout = {1, 'b'}
            } do
                for _, way in pairs(ways) do
                    check_arguments(way, name, client[name], arguments, client)
                end
            end
            client:close()
            peer:close()
        end)
    end)
end)

describe('every function', function()
    it('can be given anything', function()
        local skipped = {install = true, suspend = true, stop = true}
        for kind, list in pairs {loop = loop, coro = coro,
                                 ['loop.coro'] = loop.coro} do
            for name, f in pairs(list) do
                if type(f) == 'function' and not skipped[name] then
                    for _, way in pairs(ways) do
                        check_message(name, way(f, bad))
                    end
                end
            end
            assert(kind)
        end
    end)
end)
