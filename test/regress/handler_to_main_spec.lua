-- A server's own thread had started the handler. When control was passed to the
-- main program, that thread was left behind, and no thread could pass control
-- back.

local coro = require 'coro'
local loop = require 'socketloop'
local support = require 'support'

local loops = {loop, loop.coro}     -- so that no test seems to leak it

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    it('a server goes on though its handler transfers to main', function()
        local main = coro.running()
        for _, l in ipairs(loops) do
            local handlers = 0
            local server = support.track(l.newserver('127.0.0.1', 0,
                function(client)
                    handlers = handlers + 1
                    client:close()
                    coro.transfer(main)
                end))
            local port = support.port(server)
            for i = 1, 3 do
                local client = support.plain.connect(port)
                while handlers < i do assert(l.step(5)) end
                client:close()
            end
            server:close()
            while l.step(0) do collectgarbage() end
        end
    end)
end)
