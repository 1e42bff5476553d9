-- Arguments that are too large for their C type, and arguments that are not
-- numbers.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack, run, raises = support.pack, support.run, support.raises

-- Values outside of int. 2^32 is 0 if only its lower 32 bits are used.
local no_ints = {
    2^31, 2^32, 2^32 + 1, 2^53, 2^63, 2^64, 1e308, math.huge, -2^31 - 1,
    -2^32, -1e308, -math.huge, 0/0,
}

describe('a number that does not fit', function()
    support.hooks(before_each, after_each)

    -- Asserts that method(s, ..., number) raises for each of these numbers.
    local function refused(words, make, f)
        for _, number in ipairs(no_ints) do
            local s = make()
            raises(words, f, s, number)
            s:close()
        end
    end

    local function bound() return loop.tcp('127.0.0.1', 0) end

    it('is no descriptor for wrap', function()
        for _, number in ipairs(no_ints) do
            raises("bad argument #1 to 'wrap' (number ", loop.wrap, number)
        end
        raises('(number out of range)', loop.wrap, 2^32)
    end)

    it('is no descriptor for setfd, and the old one is kept', function()
        for _, number in ipairs(no_ints) do
            local s = bound()
            local fd = s:getfd()
            raises("bad argument #1 to 'setfd' (number out of range)", s.setfd,
                   s, number)
            assert.equal(fd, s:getfd())
            s:close()
        end
    end)

    it('is no backlog', function()
        refused("bad argument #1 to 'listen' (number out of range)", bound,
                function(s, number) s:listen(number) end)
        local s = bound()
        assert.same(pack(1), pack(s:listen(1.5)))    -- as in LuaSocket
        s:close()
    end)

    it('is no backlog of a socket with an object', function()
        refused("bad argument #1 to 'listen' (number out of range)", function()
            local s = loop.wrap(assert(socket.tcp()))
            assert(s:bind('127.0.0.1', 0))
            return s
        end, function(s, number) s:listen(number) end)
    end)

    for _, name in ipairs {
        'recv-buffer-size', 'send-buffer-size', 'tcp-keepidle',
    } do
        it('is no value of ' .. name, function()
            refused("bad argument #2 to 'setoption' (number out of range)",
                    bound, function(s, number) s:setoption(name, number) end)
        end)
    end

    it('is no time of linger', function()
        refused("bad argument #2 to 'setoption' ('timeout' field out of range)",
            bound, function(s, number)
                s:setoption('linger', {on = true, timeout = number})
            end)
        local s = bound()
        s:setoption('linger', {on = true, timeout = 1.5})
        assert.same({on = true, timeout = 1}, s:getoption 'linger')
        s:close()
    end)

    it('is no interface of a group', function()
        if not support.has_ipv6() then pending 'no IPv6 here' return end
        local numbers = {-1, -2}
        for _, number in ipairs(no_ints) do numbers[#numbers + 1] = number end
        for _, number in ipairs(numbers) do
            local s = loop.udp('::1', 0)
            raises("('interface' field out of range)", s.setoption, s,
                   'ipv6-add-membership',
                   {multiaddr = 'ff02::1', interface = number})
            s:close()
        end
    end)

    it('is no port', function()
        run(function()
            for _, port in ipairs {-1, 65536, 65536 + 80, 2^32, 2^53, 0/0,
                                   math.huge, -math.huge} do
                raises('port out of range', loop.connect, '127.0.0.1', port)
                raises('port out of range', loop.tcp, '127.0.0.1', port)
                raises('port out of range', loop.newserver, '127.0.0.1', port,
                       print)
            end
        end)
    end)

    it('is not the descriptor of another socket', function()
        run(function()
            local object = {
                getfd = function() return 2^32 end, close = function() end,
                receive = function() return nil, 'closed', '' end,
                send = function() return nil, 'closed', 0 end,
            }
            local s = loop.wrap(object)
            assert.equal(-1, s:getfd())
            s:close()
        end)
    end)
end)

describe('no number', function()
    support.hooks(before_each, after_each)
    local nan = 0/0

    it('is a time', function()
        local s = loop.tcp()
        raises('not a number', s.settimeout, s, nan)
        run(function()
            raises('not a number', loop.sleep, nan)
            raises('not a number', loop.resolve, 'localhost', nil, nan)
        end)
        raises('not a number', loop.step, nan)
        raises('not a number', loop.start, nan)
        s:close()
    end)

    it('is a size, a limit or an index', function()
        run(function()
            local a, b = support.pair()
            raises("bad argument #1 to 'receive'", a.receive, a, nan)
            raises("bad argument #2 to 'send' (not a number)", a.send, a, 'x',
                   nan)
            raises("bad argument #3 to 'send' (not a number)", a.send, a, 'x',
                   1, nan)
            raises("bad argument #1 to 'setmaxline'", a.setmaxline, a, nan)
            support.close(a, b)
            local s = loop.udp()
            raises("bad argument #1 to 'receive'", s.receive, s, nan)
            s:close()
        end)
    end)
end)

describe('with install in a thread', function()
    support.hooks_installed(before_each, after_each)

    it('a number that does not fit is no descriptor for select', function()
        run(function()
            for _, fd in ipairs {2^31, 2^32, 2^53} do
                local list = {{getfd = function() return fd end}}
                raises('descriptor out of range', socket.select, list, nil, 0)
                raises('descriptor out of range', socket.select, nil, list, 0)
            end
        end)
    end)

    it('no number is a time', function()
        run(function()
            local s = socket.tcp()
            raises("bad argument #1 to 'settimeout' (not a number)",
                   s.settimeout, s, 0/0)
            raises('not a number', socket.sleep, 0/0)
            raises("bad argument #3 to 'select' (not a number)",
                   socket.select, nil, nil, 0/0)
            s:close()
        end)
    end)
end)
