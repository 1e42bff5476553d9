-- Random programs of coroutines that wait in two loops, and meanwhile are
-- resumed, closed and dropped by any means (see programs.lua). In a process of
-- its own (see fuzz_spec.lua), with a clock that passes only while a loop
-- waits (model_clock.c), which aborts where nothing would end a wait:
--
--     LD_PRELOAD=.../model.so lua resumed.lua SEED PROGRAMS SECONDS

if os.getenv 'SOCKETLOOP_TEST_GC' then
    require 'gc'
    if rawget(_G, 'jit') then rawget(_G, 'jit').off() end
end

local function nothing() end

require 'fuzz.programs'.run(nothing, nothing)
