-- A thread of one loop that runs the other loop and is dropped during its step.

local loop = require 'socketloop'
local coro = require 'coro'
local support = require 'support'

local main = coro.running()

local function leave() coro.transfer(main) end

-- Points in a step of the inner loop at which the step is abandoned. Each
-- function prepares one and returns a function that undoes the preparation.
local places = {
    ['its threads run'] = function(inner)
        inner.newthread(function()
            inner.sleep(0)
            leave()
        end)
    end,
    ['onerror runs'] = function(inner)
        inner.onerror = leave
        inner.newthread(function()
            inner.sleep(0)
            error 'boom'
        end)
        return function() inner.onerror = nil end
    end,
    ['a handler of a server runs'] = function(inner)
        local port, listener = support.serve(leave, nil, inner)
        local client = support.plain.connect(port)
        return function() support.close(listener, client) end
    end,
    ['a handler of a full server runs'] = function(inner)
        local port, listener = support.serve(leave, nil, inner)
        listener:setmaxclients(1)
        local client = support.plain.connect(port)
        local another = support.plain.connect(port)
        return function() support.close(listener, client, another) end
    end,
}

for kind, loops in pairs {
    ['loop, in a thread of loop.coro,'] = {loop, loop.coro},
    ['loop.coro, in a thread of loop,'] = {loop.coro, loop},
} do
    local inner, outer = loops[1], loops[2]

    describe(kind .. ' can be run again after a drop', function()
        support.hooks(before_each, after_each)
        support.ends_in_main(after_each)
        after_each(function() support.at_rest(loop.coro) end)

        -- Calls f, which runs the inner loop, in a thread that is dropped
        -- meanwhile.
        local function drop(f)
            local list = setmetatable({}, {__mode = 'k'})
            local kept = {outer.newthread(f)}
            list[kept[1]] = true
            outer.step(0)
            assert.matches('already running', support.failure(inner.step, 0))
            kept[1] = nil
            assert.equal(0, support.alive(list))
        end

        for name, prepare in pairs(places) do
            for _, how in ipairs {'step', 'start'} do
                it('in ' .. how .. ', while ' .. name, function()
                    local undo = prepare(inner)
                    drop(function() inner[how](0.1) end)
                    local ran = false
                    inner.newthread(function()
                        inner.sleep(0)
                        ran = true
                    end)
                    for _ = 1, 10 do inner.step(0) end
                    assert.is_true(ran)
                    if undo then undo() end
                end)
            end
        end
    end)
end
