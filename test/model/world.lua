-- What there is while the model runs a program.

local world = {}

function world.begin()
    world.now = 0          -- in ticks
    world.threads = {}     -- by their numbers
    world.main = {number = 0}        -- the main program, which is no thread
    world.running = world.main       -- the thread that runs, or main
    world.safes = {}       -- what safewrap has made
    world.sockets = {}     -- those of the program's statements
    world.ready = {}       -- queue of {thread, what it is woken with}
    world.sleepers = {}    -- set of threads that wait for a time
    world.waiting = {}     -- set of threads that wait for a socket
end

return world
