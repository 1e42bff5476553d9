-- The loops for which install is in effect, and waiting in the one whose
-- thread is running.

local loops = {}

-- By id, as tools.running gives it. Each entry is what install.c gives for the
-- loop (its tools), and
--
--     loop     the module's table
--     users    how many installs are not undone yet
--     idle     watchers that nobody uses
--     spent    calls that did not wait, since the last that did
local all = {}
local running

local TURN = 64         -- so many calls, and the other threads get their turn
local BYTES = 1024      -- count as a call

local coroutine_running, status = coroutine.running, coroutine.status

-- Is there any loop for which install is in effect?
loops.used = false

function loops.add(loop, tools)
    local here = all[tools.id]
    if not here then
        here = tools
        here.loop, here.users, here.idle, here.spent = loop, 0, {}, 0
        all[here.id] = here
    end
    here.users = here.users + 1
    loops.used = true
    running = here.running
    return here
end

function loops.remove(here)
    here.users = here.users - 1
    if here.users == 0 then all[here.id] = nil end
    loops.used = next(all) ~= nil
end

-- The loop in whose thread we are, nil outside. A coroutine of coro's that was
-- transferred to is in the thread of the loop that runs it.
function loops.here()
    local id = running()
    if id then return all[id] end
    if id == false then
        for _, here in pairs(all) do
            if here.stepping() then return here end
        end
    end
    return nil
end

-- In the place of a watcher: the coroutine is there, and waits for its turn.
local turn = {}
turn.__index = turn

function turn:waits() return status(self.coroutine) ~= 'dead' end
function turn:wake() return self end

-- The others get their turn. If there is a key, the thread waits under it
-- meanwhile.
function loops.turn(here, waiters, key)
    here.spent = 0
    if waiters then
        waiters[key] = setmetatable({coroutine = coroutine_running()}, turn)
    end
    here.loop.sleep(0)
    if waiters then waiters[key] = nil end
end

-- A call that moved so many bytes did not wait; whoever makes many of them has
-- to let others run.
function loops.count(here, bytes)
    local spent = here.spent + 1 + (bytes or 0) / BYTES
    here.spent = spent
    if spent >= TURN then loops.turn(here) end
end

-- Whether whoever resumes a coroutine that waits ends the wait: where C
-- functions can't go on after a yield.
local ends_early = tonumber(_VERSION:match '%d+%.%d+') < 5.3

-- Waits until one of the descriptors may be ready: true; false when the time
-- is over (negative: never) or the wait ended early; or nil, error. Who waits
-- for something that only one thread may wait for gives a table and the key in
-- it, for busy.
function loops.wait(here, seconds, reads, writes, waiters, key)
    local idle = here.idle
    local watcher = idle[#idle]
    if watcher then
        idle[#idle] = nil
    else
        watcher = here.watcher()
    end
    if waiters then waiters[key] = watcher end
    local ok, err = watcher:wait(seconds, reads, writes)
    if ends_early and watcher:left() then ok, err = false, nil end
    if waiters then waiters[key] = nil end
    idle[#idle + 1] = watcher
    here.spent = 0
    return ok, err
end

-- Does a thread wait under that key? One whose coroutine was closed doesn't.
function loops.busy(waiters, key)
    local watcher = waiters[key]
    return watcher ~= nil and watcher:waits()
end

-- Whoever waits under that key looks again.
function loops.wake(waiters, key)
    if waiters[key] then waiters[key]:wake() end
end

-- A descriptor is about to be closed: in every loop those who wait are woken.
function loops.release(fd)
    for _, here in pairs(all) do here.release(fd) end
end

return loops
