-- The benchmarks' server for lines, with a minimal library in C:
--
--     lua bare.lua line        prints its port

local serve = require 'bare'

serve(function(client)
    local line = client:receive()
    while line do
        client:send(line .. '\n')
        line = client:receive()
    end
    client:close()
end)
