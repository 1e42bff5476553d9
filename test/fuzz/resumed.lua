-- Random programs of coroutines that wait in two loops, and meanwhile are
-- resumed, closed and dropped in all ways (see programs.lua). The script is a
-- process of its own (see fuzz_spec.lua), with a clock that advances only while
-- a loop waits (preload/model_clock.c). The clock aborts the process if nothing
-- would end a wait.
--
--     LD_PRELOAD=.../model.so lua resumed.lua SEED PROGRAMS SECONDS

if os.getenv 'SOCKETLOOP_TEST_GC' then
    require 'gc'
    if rawget(_G, 'jit') then rawget(_G, 'jit').off() end
end

local function nothing() end

require 'fuzz.programs'.run(nothing, nothing)
