-- The loops for which install is in effect, and waiting in the loop of the
-- running thread.

local loops = {}

-- Loops by id, the result of tools.running. Each entry is the loop's tools
-- table of install.c, with these fields added:
--
--     loop     the module's table
--     users    number of calls of install that are not undone
--     idle     unused watchers
--     receivers, collectors    class -> results of the tools' functions
--     spent    calls that did not wait since the last call that did
local all = {}
local running

local TURN = 64         -- the budget: calls before other threads run
local BYTES = 1024      -- so many bytes count as one call

local coroutine_running, status = coroutine.running, coroutine.status

-- Whether install is in effect for any loop.
loops.used = false

function loops.add(loop, tools)
    local here = all[tools.id]
    if not here then
        here = tools
        here.loop, here.users, here.idle, here.spent = loop, 0, {}, 0
        here.receivers, here.collectors = {}, {}
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

-- The loop of the running thread, nil outside threads. A coroutine that was
-- entered by coro.transfer belongs to the loop that runs it.
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

-- A stand-in for a watcher while the coroutine only yields its turn.
local turn = {}
turn.__index = turn

function turn:waits() return status(self.coroutine) ~= 'dead' end
function turn:wake() return self end

-- Lets other ready threads run. With a table `waiters` the thread is registered
-- under the key meanwhile.
function loops.turn(here, waiters, key)
    here.spent = 0
    if waiters then
        waiters[key] = setmetatable({coroutine = coroutine_running()}, turn)
    end
    here.loop.sleep(0)
    if waiters then waiters[key] = nil end
end

-- Charges a call that did not wait and moved so many bytes to the budget. Lets
-- other threads run when the budget is used up.
function loops.count(here, bytes)
    local spent = here.spent + 1 + (bytes or 0) / BYTES
    here.spent = spent
    if spent >= TURN then loops.turn(here) end
end

-- Whether coroutine.resume of a waiting coroutine ends the wait: on Luas whose
-- C functions cannot continue after a yield.
local ends_early = tonumber(_VERSION:match '%d+%.%d+') < 5.3

-- Waits until one of the descriptors may be ready: true; false when the time is
-- over (negative: no limit) or the wait ended early; or nil, error. Where only
-- one thread may wait, the caller passes a table and a key for loops.busy.
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

-- Whether a thread waits under that key. A closed coroutine does not wait.
function loops.busy(waiters, key)
    local watcher = waiters[key]
    return watcher ~= nil and watcher:waits()
end

-- Wakes the thread that waits under that key, which tries again.
function loops.wake(waiters, key)
    if waiters[key] then waiters[key]:wake() end
end

-- To be called before a descriptor is closed: wakes the threads of all loops
-- that wait for it.
function loops.release(fd)
    for _, here in pairs(all) do here.release(fd) end
end

return loops
