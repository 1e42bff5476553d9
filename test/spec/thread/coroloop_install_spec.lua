-- coro.install() in the plain loop and the coro loop.

local coro = require 'coro'
local loops = require 'both_loops'
local support = require 'support'

local drain = support.drain
local mixed = loops.mixed
local serve = loops.serve

for name, which in pairs(loops.all) do
    describe('With coro.install() in ' .. name, function()
        loops.hooks(before_each, after_each)

        local standard = coroutine
        after_each(function() _G.coroutine = standard end)  -- luacheck: ignore

        -- A client of a publisher that is written for blocking sockets: it does
        -- not know loops or coro, and keeps functions of coroutine in locals
        -- from when it was loaded.
        local library = [[
            local wrap, yield = coroutine.wrap, coroutine.yield
            local M = {}
            function M.subscribe(client, ...)
                local channels, aborting = {...}, false
                for _, channel in ipairs(channels) do
                    assert(client:send('SUBSCRIBE ' .. channel .. '\n'))
                end
                return wrap(function()
                    local count = #channels
                    while count > 0 do
                        local line = assert(client:receive())
                        local kind, channel, payload =
                            line:match '^(%a+) (%S+) ?(.*)$'
                        if kind == 'unsubscribe' then
                            count = count - 1
                        else
                            local message = {
                                kind = kind, channel = channel,
                                payload = payload,
                            }
                            yield(message, function()
                                if aborting then return end
                                aborting = true
                                for _, each in ipairs(channels) do
                                    client:send('UNSUBSCRIBE ' .. each .. '\n')
                                end
                            end)
                        end
                    end
                end)
            end
            return M
        ]]

        local function publisher(client)
            for line in coro.wrap(function()
                for line in function() return client:receive() end do
                    coro.yield(line)
                end
            end) do
                local verb, channel = line:match '^(%a+) (%S+)$'
                if verb == 'SUBSCRIBE' then
                    client:send('subscribe ' .. channel .. '\n')
                    which.newthread(function()
                        for i = 1, 3 do
                            which.sleep(0.001)
                            client:send(('message %s payload %d\n')
                                :format(channel, i))
                        end
                    end)
                else
                    client:send('unsubscribe ' .. channel .. '\n')
                end
            end
            client:close()
        end

        local function test_with(pubsub)
            local port, listener = serve(which, publisher)
            local log, ended = {}, 0
            for i = 1, 5 do
                which.newthread(function()
                    local client = assert(which.connect('127.0.0.1', port))
                    local seen = 0
                    log[i] = {}
                    for message, abort in pubsub.subscribe(client, 'a', 'b') do
                        table.insert(log[i], message.kind .. ' ' ..
                                     message.channel .. ' ' ..
                                     message.payload)
                        if message.kind == 'message' then seen = seen + 1 end
                        if seen == 6 then abort() end
                    end
                    client:close()
                    ended = ended + 1
                    if ended == 5 then listener:close() end
                end)
            end
            drain(which)
            assert.equal(5, ended)
            for i = 1, 5 do
                table.sort(log[i])
                assert.same({
                    'message a payload 1', 'message a payload 2',
                    'message a payload 3', 'message b payload 1',
                    'message b payload 2', 'message b payload 3',
                    'subscribe a ', 'subscribe b ',
                }, log[i])
            end
        end

        it('a library that is loaded later reads in iterators', function()
            coro.install()
            test_with(support.load(library)())
        end)

        it('a library that was loaded before reads in iterators', function()
            local pubsub = support.load(library)()
            coro.install()
            test_with(pubsub)
        end)

        it('a library reads in iterators without it, too', function()
            test_with(support.load(library)())
        end)

        it('a library with a scheduler of its own works', function()
            coro.install()
            local schedule = support.load [[
                -- Runs all functions in turn until they have ended.
                return function(...)
                    local list = {...}
                    for i, f in ipairs(list) do
                        list[i] = coroutine.create(f)
                    end
                    while #list > 0 do
                        for i = #list, 1, -1 do
                            local ok, err = coroutine.resume(list[i])
                            assert(ok, err)
                            if coroutine.status(list[i]) == 'dead' then
                                table.remove(list, i)
                            end
                        end
                    end
                end
            ]]()
            local client, peer = mixed(which)
            local log = {}
            which.newthread(function()
                schedule(function()
                    for i = 1, 3 do
                        log[#log + 1] = client:receive()
                        if i < 3 then coroutine.yield() end
                    end
                end, function()
                    for _ = 1, 3 do
                        which.sleep(0)
                        log[#log + 1] = 'other'
                        coroutine.yield()
                    end
                end)
                client:close()
            end)
            peer:send 'one\ntwo\n'
            which.step(0.01)
            peer:send 'three\n'
            drain(which)
            peer:close()
            assert.same({'other', 'one', 'other', 'two', 'other', 'three'},
                        log)
        end)

        it('the loop works as without it', function()
            coro.install()
            local log = {}
            local thread = which.newthread(function()
                log[#log + 1] = coroutine.running() == which.current()
                which.sleep(0)
                log[#log + 1] = which.suspend()
            end)
            drain(which)
            which.resume(thread, 'resumed')
            assert.equal('dead', coroutine.status(thread))
            assert.same({true, 'resumed'}, log)
        end)
    end)
end
