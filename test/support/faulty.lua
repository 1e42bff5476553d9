-- Scripts whose system calls fail now and then: see preload/faults.c.

local process = require 'process'

local faulty = {}

local library = process.helper 'faults.so'

faulty.available = library and process.folder

-- The failing calls differ from run to run. A failed run is repeated by setting
-- SOCKETLOOP_TEST_SEED to the seed in its message.
faulty.seed = tonumber(os.getenv 'SOCKETLOOP_TEST_SEED') or os.time() % 1000000

-- Returns a reduced count where everything is slow.
function faulty.some(many)
    return os.getenv 'SOCKETLOOP_TEST_LIMIT' and math.ceil(many / 10) or many
end

local function preload(settings)
    settings = ('seed=%d %s'):format(faulty.seed, settings)
    return ('FAULTS=%s; export FAULTS; %s'):format(process.quote(settings),
        process.preload(library))
end

-- Runs the shell command. Returns its output, and the number of faults of each
-- kind.
local function run(settings, command)
    local status, output = process.run(command)
    local counts = {}
    for kind, count in (output:match 'faults: [^\n]*' or ''):gmatch
        '(%l+) (%d+)' do
        counts[kind] = tonumber(count)
    end
    if status ~= 0 then
        error(('SOCKETLOOP_TEST_SEED=%d, %s: ended with status %d\n%s')
            :format(faulty.seed, settings, status, output), 3)
    end
    return output, counts
end

-- Runs a file of the folder preload, with arguments, under faults.c.
function faulty.file(settings, name, ...)
    return run(settings, ('%s; exec %s %s/preload/%s %s'):format(
        preload(settings), process.quote(process.interpreter), process.folder,
        name, table.concat({...}, ' ')))
end

-- Runs a script given as text under faults.c.
function faulty.script(settings, code)
    return run(settings, process.script(code, preload(settings)))
end

return faulty
