-- What random calls of everything in any order have broken (test/fuzz).

local coro = require 'coro'
local loop = require 'socketloop'
local support = require 'support'

local pack = support.pack
local loops = {loop, loop.coro}

describe('Once broken:', function()
    support.hooks(before_each, after_each)

    -- There was no caller to yield to, and a crash.
    it("safewrap's yield in a thread that was resumed directly", function()
        local wrapper, thread = coro.safewrap(function(yield)
            local ok, err = pcall(yield, 1)
            return ok, err
        end)
        local ok, yielded, err = coro.resume(thread)
        assert.is_true(ok)
        assert.is_false(yielded)
        assert.equal('yielding from a non-resumed thread', err)
        assert.is_false((pcall(wrapper)))
    end)

    -- Who was to go on had been made to go on by somebody else, and had
    -- started the caller: a crash.
    it('a safewrapped function called below the one that yielded', function()
        local main = coro.running()
        local first, from_below, yielded
        local wrapper, yielder
        wrapper, yielder = coro.safewrap(function(yield)
            first = yield 'out'
            from_below = coro.wrap(function()
                yielded = wrapper 'in'
                coro.transfer(main, 'end')
            end)()
            yield 'again'
        end)
        assert.equal('out', wrapper())
        assert.equal('end', coro.transfer(yielder, 'went on'))
        assert.same({'went on', 'in', 'again'}, {first, from_below, yielded})
    end)

    -- 5.1 cannot go on with a C function at the bottom of a coroutine.
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

    -- The server's own thread had started the handler, was left behind when
    -- control went to the main program, and nobody could hand it back.
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

    -- LuaSec was given the number of a descriptor that had become another
    -- socket's.
    if pcall(require, 'ssl') then
        it('starttls leaves alone what has the number of its socket', function()
            local object, peer = support.plain.pair()
            local s = loop.wrap(object)
            local fd = s:getfd()
            object:close()
            local others = {}
            repeat    -- the lowest number that is free
                local other = support.plain.listen()
                others[#others + 1] = other
            until other:getfd() == fd
            support.run(function()
                s:settimeout(1)
                assert.same(pack(nil, 'closed'),
                            pack(s:starttls {mode = 'server'}))
            end)
            assert.equal(fd, others[#others]:getfd())
            s:close()
            assert.truthy(others[#others]:getsockname())
            for _, other in ipairs(others) do other:close() end
            peer:close()
        end)
    end

    -- LuaJIT's VM took another coroutine for the one that caught the error.
    it('an error that a stopped thread passes on', function()
        local function fail()
            local third = coro.create(function() error {} end)
            local second = coro.create(function() coro.transfer(third) end)
            local first = coro.create(function() coro.resume(second) end)
            coro.transfer(first)
        end
        local function sum(list)
            local n = 0
            for _, value in ipairs(list) do n = n + value end
            return n
        end
        local list = {}
        for i = 1, 50 do list[i] = i end
        for i = 1, 300 do
            assert.is_false((pcall(fail)))
            list[51] = i % 2 == 0 and 1.5 or nil    -- leaves a trace
            assert.equal(1275 + (list[51] or 0), sum(list))
        end
    end)

    -- The connect heard that something had happened, asked what, and waited
    -- for ever since there was nothing any more.
    it('a connect whose error somebody else took', function()
        support.run(function()
            local port = support.closedport()
            local s = support.track(loop.tcp('127.0.0.1', 0))
            local result
            loop.newthread(function()
                result = pack(s:connect('127.0.0.1', port))
            end)
            s:getoption 'error'
            assert.is_true(support.eventually(function()
                return result ~= nil
            end))
            assert.is_nil(result[1])
            s:close()
        end)
    end)

    -- It looked into the function that load was about to make, where there
    -- was nothing yet: a crash.
    it('install in the middle of a load', function()
        local pieces = {'return', ' 1'}
        local f = assert(load(function()
            if #pieces == 1 then loop.install()() end
            return table.remove(pieces, 1)
        end))
        assert.equal(1, f())
    end)

    -- The server took its place when the handler had returned: it waited for
    -- ever.
    it('an accept on a server\'s socket while a handler runs', function()
        local ok, err, listener
        local port
        port, listener = support.serve(function(client)
            loop.newthread(function()
                ok, err = pcall(listener.accept, listener)
            end)
            client:close()
        end)
        support.run(function()
            local client = assert(loop.connect('127.0.0.1', port))
            assert.same(pack(nil, 'closed', ''), pack(client:receive()))
            client:close()
            assert.is_false(ok)
            assert.matches('already waited on by another thread', err)
            listener:close()
            loop.sleep(0)    -- the server's thread ends
            assert.same(pack(nil, 'closed'), pack(listener:accept()))
        end)
    end)
end)
