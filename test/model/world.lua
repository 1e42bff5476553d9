-- The state of the model while it runs a program.

local world = {}

function world.begin()
    world.now = 0          -- in ticks
    world.threads = {}     -- by number
    world.main = {number = 0}        -- main program, not a thread
    world.running = world.main       -- running thread, or main
    world.safes = {}       -- records of safewrap
    world.sockets = {}     -- sockets used by statements
    world.ready = {}       -- queue of {thread, values}
    world.sleepers = {}    -- threads that wait for a time
    world.waiting = {}     -- threads that wait for a socket
end

return world
