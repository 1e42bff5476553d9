-- Scripts whose system calls fail now and then: see faults.c.

local process = require 'process'

local faulty = {}

-- Where the library was built (beside the module), and the scripts are.
local built = (os.getenv 'LUA_CPATH' or ''):match '([^;]*)/%?%.so'
local library = built and built .. '/test/faults.so'
local scripts = (os.getenv 'LUA_PATH' or ''):match '([^;]*/test)/%?%.lua'

faulty.folder, faulty.scripts = built and built .. '/test', scripts

faulty.available = library and scripts and
    process.read_file(library) ~= nil

-- What calls fail differs from run to run; a run that failed is repeated with
-- the seed from its message in the environment.
faulty.seed = tonumber(os.getenv 'SOCKETLOOP_TEST_SEED') or os.time() % 1000000

-- Less of it where everything is slow.
function faulty.some(many)
    return os.getenv 'SOCKETLOOP_TEST_LIMIT' and math.ceil(many / 10) or many
end

local function preload(settings)
    settings = ('seed=%d %s'):format(faulty.seed, settings)
    return ('FAULTS=%s LD_PRELOAD=%s ' ..
        'ASAN_OPTIONS=verify_asan_link_order=0; ' ..
        'export FAULTS LD_PRELOAD ASAN_OPTIONS'):format(
        process.quote(settings), library)
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

-- Runs a file of this folder with arguments.
function faulty.file(settings, name, ...)
    return run(settings, ('%s; exec %s %s/%s %s'):format(preload(settings),
        process.quote(process.interpreter), scripts, name,
        table.concat({...}, ' ')))
end

-- Runs a script given as text.
function faulty.script(settings, code)
    return run(settings, process.script(code, preload(settings)))
end

return faulty
