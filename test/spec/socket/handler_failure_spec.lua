-- A handler of newserver that fails.

local loop = require 'socketloop'
local scenes = require 'scenes'
local support = require 'support'

local run = support.run
local echo, ask = scenes.echo, scenes.ask

describe('a handler that fails', function()
    support.hooks(before_each, after_each)
    after_each(function() loop.onerror = nil end)

    local waits = {
        ['before its first wait'] = function() end,
        ['after a wait'] = function() loop.sleep(0) end,
        ['after I/O'] = function(client) client:receive '*l' end,
        ['after a wait inside a C function'] = function()
            table.sort({1, 2}, function() loop.sleep(0) end)
        end,
        ['inside a C function'] = function()
            table.sort({1, 2}, function()
                loop.sleep(0)
                error 'boom'
            end)
        end,
    }

    for name, wait in pairs(waits) do
        local function handler(client)
            wait(client)
            error 'boom'
        end

        it(name .. ' has its client closed and kills no server', function()
            local errors = {}
            loop.onerror = function(_, err) errors[#errors + 1] = err end
            local port, listener = support.serve(handler)
            run(function()
                for _ = 1, 3 do
                    local answer, err = ask(port, 'x')
                    assert.is_nil(answer)
                    assert.equal('closed', err)
                end
                listener:close()
            end)
            assert.equal(3, #errors)
            for i = 1, 3 do assert.matches('boom', errors[i]) end
        end)

        it(name .. ' leaves step, and the server goes on', function()
            local port, listener = support.serve(handler)
            local refused = 0
            loop.newthread(function()
                for _ = 1, 3 do
                    local _, err = ask(port, 'x')
                    if err == 'closed' then refused = refused + 1 end
                end
                listener:close()
            end)
            local errors = {}
            repeat
                local ok, waiting = pcall(loop.step, 1)
                if not ok then errors[#errors + 1] = waiting end
            until ok and not waiting
            assert.equal(3, refused)
            assert.equal(3, #errors)
            for i = 1, 3 do
                assert.matches('_spec%.lua:%d+: boom', errors[i])
            end
        end)
    end

    it('closes the client also when something else refers to it', function()
        local kept
        loop.onerror = function() end
        local port, listener = support.serve(function(client)
            kept = client
            loop.sleep(0)
            error 'boom'
        end)
        run(function()
            local _, err = ask(port, 'x')
            assert.equal('closed', err)
            assert.same({nil, 'closed', ''}, {kept:receive()})
            listener:close()
        end)
    end)

    it('with an error that is not a string has that reported', function()
        local value, got = {}, nil
        loop.onerror = function(_, err) got = err end
        local port, listener = support.serve(function() error(value) end)
        run(function()
            ask(port, 'x')
            listener:close()
        end)
        assert.equal(value, got)
    end)

    it('does not disturb the other clients', function()
        local failed = 0
        loop.onerror = function() failed = failed + 1 end
        local port, listener = support.serve(function(client)
            local line = client:receive()
            if line == 'fail' then error {} end
            client:send('echo ' .. line .. '\n')
            echo(client)
        end)
        run(function()
            local good, bad, ended = 0, 0, 0
            for i = 1, 60 do
                loop.newthread(function()
                    local answer, err = ask(port, i % 2 == 0 and 'fail' or i)
                    if answer == 'echo ' .. i then good = good + 1 end
                    if err == 'closed' then bad = bad + 1 end
                    ended = ended + 1
                end)
            end
            assert(support.eventually(function() return ended == 60 end))
            assert.equal(30, good)
            assert.equal(30, bad)
            listener:close()
        end)
        assert.equal(30, failed)
    end)

    it('in onerror itself kills no server either', function()
        loop.onerror = function() error('worse', 0) end
        local port, listener = support.serve(function() error 'boom' end)
        loop.newthread(function()
            ask(port, 'x')
            ask(port, 'x')
            listener:close()
        end)
        local errors = {}
        repeat
            local ok, waiting = pcall(loop.step, 1)
            if not ok then errors[#errors + 1] = waiting end
        until ok and not waiting
        assert.equal(2, #errors)
        for i = 1, 2 do assert.matches('worse', errors[i]) end
    end)
end)
