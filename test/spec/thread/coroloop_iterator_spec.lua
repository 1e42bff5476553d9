-- Iterators of coro that wait in the plain loop and the coro loop.

local coro = require 'coro'
local lists = require 'value_lists'
local loops = require 'both_loops'
local support = require 'support'

local pack, unpack, failure = support.pack, support.unpack, support.failure
local count, push, numbers = support.count, support.push, lists.numbers
local drain, errors_of_steps = support.drain, support.errors_of_steps
local alive, run, mixed = support.alive, support.run_in, loops.mixed

for name, which in pairs(loops.all) do
    describe('In ' .. name .. ' an iterator', function()
        loops.hooks(before_each, after_each)

        -- Ways to make an iterator over the lines of a socket.
        local makes = {
            ['coro.wrap'] = function(client)
                return coro.wrap(function()
                    for line in function() return client:receive() end do
                        coro.yield(line)
                    end
                end)
            end,
            ['coro.safewrap'] = function(client)
                return (coro.safewrap(function(yield)
                    for line in function() return client:receive() end do
                        yield(line)
                    end
                end))
            end,
            ['coro.safewrap, yielding from a wrap in it,'] = function(client)
                return (coro.safewrap(function(yield)
                    coro.wrap(function()
                        for line in function() return client:receive() end do
                            yield(line)
                        end
                    end)()
                end))
            end,
            ['coro.resume and coro.yield'] = function(client)
                local thread = coro.create(function()
                    for line in function() return client:receive() end do
                        coro.yield(line)
                    end
                end)
                return function()
                    local ok, line = coro.resume(thread)
                    assert(ok, line)
                    return line
                end
            end,
            ['coro.transfer'] = function(client)
                local consumer
                local thread = coro.create(function()
                    for line in function() return client:receive() end do
                        coro.transfer(consumer, line)
                    end
                    coro.transfer(consumer)
                end)
                return function()
                    consumer = coro.running()
                    return coro.transfer(thread)
                end
            end,
            ['coro.wrap in coro.wrap'] = function(client)
                return coro.wrap(function()
                    for line in coro.wrap(function()
                        for line in function() return client:receive() end do
                            coro.yield(line)
                        end
                    end) do
                        coro.yield(line)
                    end
                end)
            end,
            ['coro.wrap, yielding in a sort,'] = function(client)
                return coro.wrap(function()
                    for line in function() return client:receive() end do
                        table.sort({1, 2}, function()
                            coro.yield(line)
                            return false
                        end)
                    end
                end)
            end,
            ['coro.wrap, reading in gsub and pcall,'] = function(client)
                return coro.wrap(function()
                    repeat
                        local ok, line
                        string.gsub('x', 'x', function()
                            ok, line = pcall(client.receive, client)
                        end)
                        if ok and line then coro.yield(line) end
                    until not (ok and line)
                end)
            end,
            ['coroutine.wrap'] = function(client)
                return coroutine.wrap(function()
                    for line in function() return client:receive() end do
                        coroutine.yield(line)
                    end
                end)
            end,
            ['coroutine.wrap in coro.wrap'] = function(client)
                return coro.wrap(function()
                    for line in coroutine.wrap(function()
                        for line in function() return client:receive() end do
                            coroutine.yield(line)
                        end
                    end) do
                        coro.yield(line)
                    end
                end)
            end,
        }

        for make, lines in pairs(makes) do
            it('by ' .. make .. ' reads lines', function()
                local client, peer = mixed(which)
                local log = {}
                which.newthread(function()
                    for line in lines(client) do log[#log + 1] = line end
                    log[#log + 1] = 'end'
                    client:close()
                end)
                for i = 1, 3 do
                    peer:send('line ' .. i .. '\n')
                    for _ = 1, 3 do which.step(0.01) end
                    support.collect()
                    assert.equal(i, #log)
                end
                peer:send 'line 4\nline 5\n'
                peer:close()
                drain(which)
                assert.same({
                    'line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'end',
                }, log)
            end)

            it('by ' .. make .. ' is one of many', function()
                local clients, peers, sums, ended = {}, {}, {}, 0
                for i = 1, 20 do
                    clients[i], peers[i] = mixed(which)
                    sums[i] = 0
                    which.newthread(function()
                        for line in lines(clients[i]) do
                            sums[i] = sums[i] + tonumber(line)
                            which.sleep(0)
                        end
                        clients[i]:close()
                        ended = ended + 1
                    end)
                end
                for k = 1, 5 do
                    for i = 1, 20 do peers[i]:send(i * k .. '\n') end
                    which.step(0)
                end
                for i = 1, 20 do peers[i]:close() end
                drain(which)
                assert.equal(20, ended)
                for i = 1, 20 do assert.equal(15 * i, sums[i]) end
            end)

            it('by ' .. make .. ' is left half way', function()
                local client, peer = mixed(which)
                local first
                local list = setmetatable({}, {__mode = 'k'})
                which.newthread(function()
                    local iterator = lines(client)
                    list[iterator] = true
                    first = iterator()
                end)
                peer:send 'one\ntwo\n'
                drain(which)
                assert.equal('one', first)
                assert.equal(0, alive(list))
                assert.equal('two', run(which, function()
                    return client:receive()
                end))
                client:close()
                peer:close()
            end)
        end

        it('sleeps and yields by turns', function()
            local values = run(which, function()
                local values = {}
                for a, b, c in coro.wrap(function()
                    for i = 1, 5 do
                        which.sleep(0)
                        coro.yield(i, nil, 'x')
                    end
                end) do
                    assert(b == nil and c == 'x')
                    values[#values + 1] = a
                    which.sleep(0)
                end
                return values
            end)
            assert.same({1, 2, 3, 4, 5}, values)
        end)

        it('passes values both ways across waits', function()
            local log = run(which, function()
                local log = {}
                local generator = coro.wrap(function(...)
                    local list = pack(...)
                    for _ = 1, 4 do
                        which.sleep(0)
                        list = pack(coro.yield(unpack(list, 1, list.n)))
                        which.sleep(0)
                    end
                end)
                for i, list in ipairs {
                    pack(), pack(nil, 1, nil), pack(numbers(250)), pack 'x',
                } do
                    log[i] = pack(generator(unpack(list, 1, list.n)))
                end
                return log
            end)
            assert.same({
                pack(), pack(nil, 1, nil), pack(numbers(250)), pack 'x',
            }, log)
        end)

        it('is used by two threads in turn', function()
            local log = {}
            local iterator = coro.wrap(function()
                for i = 1, 6 do
                    which.sleep(0)
                    coro.yield(i)
                end
            end)
            local turn = 1
            for i = 1, 2 do
                which.newthread(function()
                    for _ = 1, 3 do
                        while turn ~= i do which.sleep(0) end
                        push(log, i .. ':' .. iterator())
                        turn = 3 - i
                    end
                end)
            end
            drain(which)
            assert.same({'1:1', '2:2', '1:3', '2:4', '1:5', '2:6'}, log)
        end)

        it('cannot be run by another thread while it waits', function()
            local err
            local iterator = coro.wrap(function()
                which.sleep(0.001)
                coro.yield 'value'
            end)
            local value
            which.newthread(function() value = iterator() end)
            which.newthread(function() err = failure(iterator) end)
            drain(which)
            assert.equal('string', type(err))
            assert.equal('value', value)
        end)

        it('does not hold up the other threads', function()
            local log = {}
            which.newthread(function()
                for value in coro.wrap(function()
                    for i = 1, 3 do
                        which.sleep(0)
                        coro.yield('iterator ' .. i)
                    end
                end) do log[#log + 1] = value end
            end)
            which.newthread(function()
                for i = 1, 3 do
                    log[#log + 1] = 'thread ' .. i
                    which.sleep(0)
                end
            end)
            drain(which)
            assert.same({
                'thread 1', 'iterator 1', 'thread 2', 'iterator 2',
                'thread 3', 'iterator 3',
            }, log)
        end)

        it('may run the threads that it makes', function()
            local total = run(which, function()
                local total = 0
                for value in coro.wrap(function()
                    local pending = 3
                    for i = 1, 3 do
                        which.newthread(function()
                            which.sleep(0.001 * (4 - i))
                            total = total + i
                            pending = pending - 1
                        end)
                    end
                    while pending > 0 do which.sleep(0.001) end
                    coro.yield(10)
                end) do
                    total = total + value
                end
                return total
            end)
            assert.equal(16, total)
        end)

        it('that fails after a wait raises in its user', function()
            local function culprit() error 'boom' end
            local err = run(which, function()
                local function user_of_iterator()
                    coro.wrap(function()
                        which.sleep(0)
                        culprit()
                    end)()
                end
                return select(2, pcall(function()
                    user_of_iterator()
                end))
            end)
            assert.matches('coroloop_iterator_spec%.lua:%d+: boom\n' ..
                           'stack traceback:\n', err)
            assert.matches('culprit.*user_of_iterator', err)
            assert.equal(1, count(err, 'stack traceback:'))
        end)

        it('that fails after a wait ends the thread', function()
            local function culprit() error 'boom' end
            local function user_of_iterator()
                coro.wrap(function()
                    which.sleep(0)
                    culprit()
                end)()
            end
            which.newthread(function() user_of_iterator() end)
            local errors = errors_of_steps(which)
            assert.equal(1, errors.n)
            assert.matches('culprit.*user_of_iterator', errors[1])
            assert.equal(1, count(errors[1], 'boom'))
            assert.equal(1, count(errors[1], 'stack traceback:'))
        end)

        it('of LuaSocket\'s ltn12 kind pumps', function()
            local client, peer = mixed(which)
            local parts = {}
            local ltn12 = require 'ltn12'
            which.newthread(function()
                local source = coro.wrap(function()
                    while true do
                        local data, err, partial = client:receive(4)
                        data = data or partial
                        if #data > 0 then coro.yield(data) end
                        if err then return end
                    end
                end)
                assert(ltn12.pump.all(source, (ltn12.sink.table(parts))))
                client:close()
            end)
            peer:send 'abcdefghij'
            which.step(0.01)
            peer:close()
            drain(which)
            assert.same({'abcd', 'efgh', 'ij'}, parts)
        end)
    end)
end
