-- Random things, many of them, done by a script in a process of its own: the
-- same few each time, or what `make fuzz` has in the environment.

local process = require 'process'

local quote = process.quote

local seed = os.getenv 'SOCKETLOOP_FUZZ_SEED' or '1'

-- Runs the script of the folder test with the arguments seed, how many, for how
-- many seconds at most, and a folder of its own to be in. before is what the
-- shell does first; many is what the environment asks for, nil if it does not.
return function(script, before, many, few, seconds)
    local folder, limit = process.tempdir(), process.limit
    process.limit = many and 3600 or 100
    local ok, status, output = pcall(process.run, ('%s; cd %s; ' ..
        'exec %s %s %s %s %s %s'):format(before, quote(folder),
        quote(process.interpreter), quote(process.folder .. '/' .. script),
        quote(seed), quote(many or few), many and 1e9 or seconds,
        quote(folder)))
    process.limit = limit
    if not ok then error(status, 0) end
    if status ~= 0 then
        error(('status %d: make fuzz SEED=%s\n%s'):format(status, seed,
              output:sub(-10000)), 0)
    end
    return output
end
