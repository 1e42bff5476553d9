-- Scripts whose system calls fail now and then: see faults.c.

local process = require 'process'

local faulty = {}

local library = process.helper 'faults.so'

faulty.available = library and process.folder

-- What calls fail differs from run to run; a run that failed is repeated with
-- the seed from its message in the environment.
faulty.seed = tonumber(os.getenv 'SOCKETLOOP_TEST_SEED') or os.time() % 1000000

-- Less of it where everything is slow.
function faulty.some(many)
    return os.getenv 'SOCKETLOOP_TEST_LIMIT' and math.ceil(many / 10) or many
end

local function preload(settings)
    settings = ('seed=%d %s'):format(faulty.seed, settings)
    return ('FAULTS=%s; export FAULTS; %s'):format(process.quote(settings),
        process.preload(library))
end

-- Runs the shell command made by make(before): what it printed, and how many
-- faults there were of each kind.
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

-- Runs a file beside faults.c with arguments.
function faulty.file(settings, name, ...)
    return run(settings, ('%s; exec %s %s/preload/%s %s'):format(
        preload(settings), process.quote(process.interpreter), process.folder,
        name, table.concat({...}, ' ')))
end

-- Runs a script given as text.
function faulty.script(settings, code)
    return run(settings, process.script(code, preload(settings)))
end

return faulty
