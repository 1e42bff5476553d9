-- The least an idle connection can take in Lua: a coroutine with the frames
-- and closures of bench/servers/socketloop.lua, which waits for nothing.
--
--     lua bench/idle.lua        prints the KiB for each

local count = 8000
local yield = coroutine.yield

local function handler(client)
    for line in function() return (yield(client)) end do
        client(line)
    end
end

-- Proportional set size of this process in KiB.
local function size()
    local file = assert(io.open '/proc/self/smaps_rollup')
    local text = file:read '*a'
    file:close()
    return tonumber(text:match 'Pss:%s+(%d+)')
end

local threads = {}
for i = 1, count do threads[i] = false end
collectgarbage()
collectgarbage()
local before = size()
for i = 1, count do
    local thread = coroutine.create(handler)
    coroutine.resume(thread, print)
    threads[i] = thread
end
collectgarbage()
collectgarbage()
print(('%.2f'):format((size() - before) / #threads))
