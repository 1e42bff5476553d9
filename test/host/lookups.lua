-- For host.c with the name service getaddrinfo.c: two hundred look-ups in each
-- Lua state, many of them abandoned at various stages, the last ones by closing
-- the state. `make tsan` and resolver_spec.lua run it in several threads.

local loop = require 'socketloop'

local random = math.random
math.randomseed(7)

-- Closes the socket after a random time.
local function close_later(s)
    loop.newthread(function()
        loop.sleep(random() / 200)
        s:close()
    end)
end

local over = 0

local function look_up()
    local name = ('wait%d+127.0.0.1'):format(random(0, 4))
    local way = random(4)
    if way == 1 then
        loop.resolve(name, 80, random() / 200)
    elseif way == 2 then
        assert(loop.resolve(name))
    else
        local s = loop.tcp()
        if way == 3 then
            s:settimeout(random() / 200)
        else
            close_later(s)
        end
        s:connect(name, 9)
        if random(2) == 1 then s:close() end
    end
    over = over + 1
end

for i = 1, 200 do
    loop.newthread(look_up)
    if i % 50 == 0 then
        loop.step(0)
        collectgarbage()
    end
end
while over < 150 do assert(loop.step(30)) end
