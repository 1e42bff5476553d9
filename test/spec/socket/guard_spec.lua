-- The client of a handler that fails is closed by its method close, which the
-- program may have replaced.

local loop = require 'socketloop'
local support = require 'support'

local run = support.run

-- Ways in which a handler gets to its error.
local ways = {
    ['before its first wait'] = function() end,
    ['after a wait'] = function(_, which) which.sleep(0) end,
    ['after I/O'] = function(client)
        client:settimeout(0.001)
        client:receive '*l'
    end,
    ['in a C function'] = function(_, which)
        table.sort({1, 2}, function() which.sleep(0) end)
    end,
}

for kind, which in pairs {loop = loop, ['loop.coro'] = loop.coro} do
    describe('of ' .. kind .. ', a client whose close is replaced', function()
        support.hooks(before_each, after_each)
        after_each(function() support.at_rest(loop.coro) end)
        after_each(function() which.onerror = nil end)

        local reports, times

        before_each(function()
            reports, times = {}, 0
            which.onerror = function(thread, err, traceback)
                reports[#reports + 1] = {thread, err, traceback}
            end
        end)

        -- Returns the bytes that a client receives from a server whose handler
        -- fails.
        local function answer_of(way, close)
            local port, listener = support.serve(function(client)
                local original = client.close
                client.close = function(self)
                    times = times + 1
                    return close(self, original)
                end
                way(client, which)
                error 'first'
            end, nil, which)
            return support.run_in(which, function()
                local client = assert(which.connect('127.0.0.1', port))
                client:settimeout(support.limit)
                local answer, err = client:receive '*a'
                client:close()
                listener:close()
                return answer, err
            end)
        end

        local function check_report(i, message)
            assert.equal('thread', type(reports[i][1]))
            assert.matches('^[^\n]*guard_spec%.lua:%d+: ' .. message .. '$',
                           reports[i][2])
            assert.matches('^stack traceback:\n', reports[i][3])
            assert.matches('guard_spec', reports[i][3])
        end

        for name, way in pairs(ways) do
            describe('and whose handler fails ' .. name, function()
                it('is closed by it', function()
                    assert.equal('bye', (answer_of(way, function(self, close)
                        self:send 'bye'
                        close(self)
                    end)))
                    assert.equal(1, times)
                    assert.equal(1, #reports)
                    check_report(1, 'first')
                end)

                it('may wait in it', function()
                    assert.equal('bye', (answer_of(way, function(self, close)
                        which.sleep(0)
                        table.sort({1, 2}, function() which.sleep(0) end)
                        self:send 'bye'
                        close(self)
                    end)))
                    assert.equal(1, times)
                    assert.equal(1, #reports)
                end)

                it('is closed when that raises', function()
                    local _, err = answer_of(way, function() error 'second' end)
                    assert.equal('closed', err)
                    assert.equal(1, times)
                    assert.equal(2, #reports)
                    check_report(1, 'first')
                    check_report(2, 'second')
                end)

                it('is closed when that raises after a wait', function()
                    assert.equal('bye', (answer_of(way, function(self)
                        self:send 'bye'
                        which.sleep(0)
                        error 'second'
                    end)))
                    support.drain(which)
                    assert.equal(1, times)
                    assert.equal(2, #reports)
                    check_report(1, 'first')
                    check_report(2, 'second')
                end)

                it('is closed when that raises no string', function()
                    local value = {}
                    local _, err = answer_of(way, function() error(value) end)
                    assert.equal('closed', err)
                    assert.equal(2, #reports)
                    check_report(1, 'first')
                    assert.equal(value, reports[2][2])
                end)
            end)
        end

        it('is closed when its close is no function', function()
            local port, listener = support.serve(function(client)
                client.close = false
                error 'first'
            end, nil, which)
            support.run_in(which, function()
                local client = assert(which.connect('127.0.0.1', port))
                assert.equal('closed', (select(2, client:receive())))
                client:close()
                listener:close()
            end)
            assert.equal(2, #reports)
            check_report(1, 'first')
            assert.matches('attempt to call', reports[2][2])
        end)

        it('stays open if that does not close it', function()
            local kept
            local port, listener = support.serve(function(client)
                client.close = function(self) kept = self end
                error 'first'
            end, nil, which)
            support.run_in(which, function()
                local client = assert(which.connect('127.0.0.1', port))
                while not kept do which.sleep(0.001) end
                kept.close = nil
                support.talk(kept, client)
                kept:close()
                client:close()
                listener:close()
            end)
        end)
    end)
end

describe('a client whose close is replaced', function()
    support.hooks(before_each, after_each)

    -- Returns the errors of a server with one client, which is closed when its
    -- handler fails.
    local function errors_of(handler)
        local port, listener = support.serve(handler)
        local client = support.plain.connect(port)
        local errors = {n = 0}
        for _ = 1, 100 do
            local ok, err = pcall(loop.step, 0.01)
            if not ok then
                errors.n = errors.n + 1
                errors[errors.n] = err
            end
            if errors.n == 2 then break end
        end
        assert.equal('closed', (select(2, client:receive())))
        client:close()
        listener:close()
        return errors
    end

    for name, way in pairs {
        ['at once'] = function() end,
        ['after a wait'] = function() loop.sleep(0) end
    } do
        it('and raises ' .. name .. ' has both errors leave step', function()
            local errors = errors_of(function(client)
                client.close = function()
                    way()
                    error 'second'
                end
                way()
                error 'first'
            end)
            assert.equal(2, errors.n)
            assert.matches(': first\nstack traceback:\n', errors[1])
            assert.matches(': second\nstack traceback:\n', errors[2])
            assert.equal(1, support.count(errors[1], 'stack traceback'))
            assert.equal(1, support.count(errors[2], 'stack traceback'))
        end)
    end

    it('is closed by it also when resume raises the error', function()
        local thread, served
        local port, listener = support.serve(function(client)
            client.close = function(self)
                self.close = nil
                loop.sleep(0)
                self:send 'bye'
                self:close()
            end
            thread, served = loop.current(), true
            loop.suspend()
            error 'first'
        end)
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            support.eventually(function() return served end)
            assert.matches('first', support.failure(loop.resume, thread))
            assert.equal('bye', client:receive '*a')
            client:close()
            listener:close()
        end)
    end)

    it('is garbage when its close suspends for ever', function()
        local list = setmetatable({}, {__mode = 'k'})
        loop.onerror = function() end
        local port, listener = support.serve(function(client)
            list[client] = true
            client.close = function() loop.suspend() end
            error 'first'
        end)
        run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            support.eventually(function() return next(list) end)
            loop.sleep(0)
            support.eventually(function() return support.alive(list) == 0 end)
            assert.equal('closed', (select(2, client:receive())))
            client:close()
            listener:close()
        end)
        loop.onerror = nil
    end)
end)
