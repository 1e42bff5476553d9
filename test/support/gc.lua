-- Helper for busted: keeps the garbage collector busy all the time, so that
-- whatever isn't anchored is collected soon:
--
--     SOCKETLOOP_TEST_GC=1 tools/test.sh lua5.4:epoll
--
-- A cycle begins when the last one has ended and is over within a few KiB of
-- allocation. More than that (a whole cycle each time) the specs that measure
-- time don't bear; the settings mean something else on each Lua.

local pause, work = 0, 5000
if _VERSION == 'Lua 5.2' or _VERSION == 'Lua 5.3' then
    pause, work = 101, 1000000      -- at 100 these two do nothing else
elseif _VERSION ~= 'Lua 5.1' then
    -- The interpreter starts with the generational one.
    collectgarbage('incremental', pause, 500, 10)
    work = 500
end
if _VERSION == 'Lua 5.5' then
    collectgarbage('param', 'pause', pause)
    collectgarbage('param', 'stepmul', work)
    collectgarbage('param', 'stepsize', 0)
else
    collectgarbage('setpause', pause)
    collectgarbage('setstepmul', work)
end
