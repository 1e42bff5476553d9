-- coro: symmetric coroutines. They share their state with socketloop, so
-- they are in its shared object.

return require 'socketloop.symmetric'
