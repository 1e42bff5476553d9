-- Runs random programs in the module and in the model, and compares the events.
-- The script is a process of its own (see model_spec.lua), with a clock of its
-- own (preload/model_clock.c):
--
--     LD_PRELOAD=.../model.so lua run.lua SEED PROGRAMS SECONDS FOLDER
--
-- It ends after so many programs, or so many seconds of CPU time. Each program
-- has a seed of its own. A program that fails is printed; `run.lua SEED 1 1
-- FOLDER` with its seed runs it alone.

-- With so busy a collector, LuaJIT's compiled code may loop without progress:
-- it leaves a trace for a collection, which is due again when the trace
-- continues.
if os.getenv 'SOCKETLOOP_TEST_GC' then
    require 'gc'
    if rawget(_G, 'jit') then rawget(_G, 'jit').off() end
end

local program = require 'model.program'
local real = require 'model.real'
local reference = require 'model.reference'
local values = require 'fuzz.values'

local first_seed, total, limit = tonumber(arg[1]), tonumber(arg[2]),
                                 tonumber(arg[3])
local folder = arg[4]

local function show(seed, p, events, wanted, at)
    print(('seed %d'):format(seed))
    print(program.text(p))
    print 'what happened:'
    for i, text in ipairs(events) do
        print((i == at and '> ' or '  ') .. text)
    end
    print(('wanted at event %d: %s'):format(at, wanted))
    os.exit(1)
end

local start, done = os.clock(), 0
repeat
    local seed = first_seed + done
    values.seed(seed)
    local p = program.make()
    if os.getenv 'SOCKETLOOP_FUZZ_TRACE' then print(seed, program.text(p)) end
    local events = real.run(p, 1 + seed % 2, folder)
    local wanted, at = reference(p, events)
    if wanted then show(seed, p, events, wanted, at) end
    done = done + 1
until done >= total or os.clock() - start > limit
print('done', done)
