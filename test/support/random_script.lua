-- Runs scripts of random operations, each in a process of its own. The seed and
-- count are fixed, or those that `make fuzz` puts into the environment.

local process = require 'process'

local quote = process.quote

local seed = os.getenv 'SOCKETLOOP_FUZZ_SEED' or '1'

-- Runs the script of the folder test with the arguments seed, count, maximum
-- seconds, and a folder that is its working directory. `before` are shell
-- commands that are run first; many is the count from the environment, or nil;
-- few is the default count.
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
