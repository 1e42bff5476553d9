-- Lua 5.1 cannot resume a C function at the bottom of a coroutine.

local coro = require 'coro'
local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('a C function that yields is the body of a thread', function()
        local thread = coro.create(coroutine.yield)
        assert.same(pack(true, 1, nil), pack(coro.resume(thread, 1, nil)))
        assert.same(pack(true, 2), pack(coro.resume(thread, 2)))
        assert.equal('dead', coro.status(thread))
        local wrapped = coro.wrap(coroutine.yield)
        assert.equal(1, wrapped(1))
        assert.equal(2, wrapped(2))
        thread = loop.newthread(coroutine.yield)
        loop.resume(thread)
        assert.equal('dead', coro.status(thread))
    end)
end)
