-- Helper for busted: keeps the garbage collector busy all the time, so that an
-- object that is not anchored is collected soon:
--
--     SOCKETLOOP_TEST_GC=1 tools/test.sh lua5.4:epoll
--
-- A cycle begins when the previous one has ended, and is over within a few KiB
-- of allocation. The specs that measure time would fail with a whole cycle at
-- each step. The settings have a different meaning on each Lua.

local pause, work = 0, 5000
if _VERSION == 'Lua 5.2' or _VERSION == 'Lua 5.3' then
    pause, work = 101, 1000000      -- 100 leaves no time for the program
elseif _VERSION ~= 'Lua 5.1' then
    -- The interpreter starts in generational mode.
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
