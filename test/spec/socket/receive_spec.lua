-- receive: its patterns, compared with LuaSocket's.

local loop = require 'socketloop'
local socket = require 'socket'
local support = require 'support'

local pack, unpack = support.pack, support.unpack
local run, plain = support.run, support.plain
local reason = support.reason

-- Makes the calls in order; each is a list of receive's arguments.
local function receive_all(s, calls)
    local results = {}
    for i, args in ipairs(calls) do
        local r = pack(pcall(s.receive, s, unpack(args, 1, args.n or #args)))
        if not r[1] then r[2] = reason(r[2]) end
        results[i] = r
    end
    return results
end

-- The peer sends data, and closes if `close` is set. When something has
-- arrived, makes the calls. The timeout is short where a call may time out:
-- after little data without an end.
local function exchange(s, peer, data, close, calls)
    assert(peer:send(data))
    if close then peer:close() end
    if data ~= '' or close then assert(socket.select({s}, nil, 5)[1]) end
    s:settimeout((close or #data > 1000) and support.limit or 0.01)
    local results = receive_all(s, calls)
    s:close()
    peer:close()
    return results
end

local function compare(data, close, calls)
    local s, peer = plain.pair()
    local expected = exchange(s, peer, data, close, calls)
    for how, make in pairs(support.origins) do
        local got = run(function()
            local a, b = make()
            return exchange(a, b, data, close, calls)
        end)
        assert.same(expected, got, how)
    end
    return expected
end

-- Defines a test: the peer sends data and then 'stays' or 'leaves'.
local function like_luasocket(name, data, ending, ...)
    local calls = {...}
    it(name .. ', as LuaSocket does', function()
        compare(data, ending == 'leaves', calls)
    end)
end

describe('receive', function()
    support.hooks(before_each, after_each)

    describe('of a line', function()
        like_luasocket('is the default', 'hello\nworld\n', 'stays', {}, {})
        like_luasocket('is asked for with *l', 'hello\nworld\n', 'stays',
            {'*l'}, {'*l'})
        like_luasocket('takes nil for the default pattern', 'hello\n', 'stays',
            {nil, nil, n = 2})
        like_luasocket('ignores what follows in the pattern', 'hello\n',
            'stays', {'*lfoo'})
        like_luasocket('drops the CR of a CRLF', 'hello\r\nworld\r\n', 'stays',
            {}, {})
        like_luasocket('drops every CR', '\r\rhe\rl\r\rlo\r\r\n\r\n', 'stays',
            {}, {})
        like_luasocket('gives empty lines', '\n\r\n\n', 'stays', {}, {}, {})
        like_luasocket('keeps NULs and high bytes', 'a\0b\255\n\0\n', 'stays',
            {}, {})
        like_luasocket('puts the prefix in front', 'hello\n', 'stays',
            {'*l', 'oh, '})
        like_luasocket('keeps CR and LF of the prefix', 'hello\n', 'stays',
            {'*l', '\r\n\r'})
        like_luasocket('takes a number as prefix', 'hello\n', 'stays',
            {'*l', 42})
        like_luasocket('is partial at the end without LF', 'hello\nwor',
            'leaves', {}, {}, {})
        like_luasocket('drops CRs of the partial line', 'w\ror\r', 'leaves', {})
        like_luasocket('includes the prefix in the partial line', 'wor',
            'leaves', {'*l', 'hello '}, {'*l', 'again'})
        like_luasocket('gives closed and the prefix when nothing came', '',
            'leaves', {'*l', 'prefix'}, {})
        like_luasocket('is partial on timeout', 'hel\rlo', 'stays',
            {'*l', 'x\r'}, {})
        like_luasocket('of only CRs is an empty partial line', '\r\r', 'leaves',
            {}, {})
        like_luasocket('longer than any buffer is complete',
            ('0123456789'):rep(5000) .. '\nrest\n', 'stays', {}, {})
        like_luasocket('of many is split right',
            ('line\r\n\n'):rep(3000), 'leaves', {}, {}, {}, {}, {}, {'*a'}, {})
    end)

    describe('of everything', function()
        like_luasocket('ends when the peer closes', 'a\r\nb\0c\n', 'leaves',
            {'*a'})
        like_luasocket('ignores what follows in the pattern', 'ab', 'leaves',
            {'*all'})
        like_luasocket('puts the prefix in front', 'abc', 'leaves',
            {'*a', 'pre'})
        like_luasocket('is closed if not one byte came', '', 'leaves',
            {'*a'}, {'*a', 'prefix'})
        like_luasocket('is closed when asked for again', 'abc', 'leaves',
            {'*a'}, {'*a'}, {'*a', 'x'})
        like_luasocket('is partial on timeout', 'abc', 'stays',
            {'*a', 'x'}, {'*a'})
        like_luasocket('takes up where a line ended', 'abc\r\ndef\r\nghi',
            'leaves', {}, {'*a'})
        like_luasocket('may be long', ('0123456789'):rep(6000), 'leaves',
            {'*a'})
    end)

    describe('of a number of bytes', function()
        like_luasocket('gives just these', 'hello world', 'stays',
            {5}, {1}, {5})
        like_luasocket('keeps CR, LF and NUL', '\r\n\0\n\r', 'stays', {5})
        like_luasocket('takes a numeric string', 'hello', 'stays',
            {'2'}, {' 1 '}, {'0x2'})
        like_luasocket('drops the fraction', 'hello', 'stays', {2.9}, {'1.5'})
        like_luasocket('counts the prefix', 'hello', 'stays', {6, 'oh, '}, {3})
        like_luasocket('gives a prefix that is long enough whole', 'hello',
            'stays', {3, 'abc'}, {2, 'abc'}, {0, 'abc'}, {5})
        like_luasocket('gives a long enough prefix after the end too', '',
            'leaves', {1, 'abc'}, {1})
        like_luasocket('is partial at the end', 'hello', 'leaves',
            {10}, {10}, {1, ''})
        like_luasocket('is partial with the prefix at the end', 'hello',
            'leaves', {10, 'oh, '})
        like_luasocket('is partial on timeout', 'hello', 'stays',
            {10, 'oh, '}, {1})
        like_luasocket('may be huge', 'hello', 'leaves', {1e15})
        -- On 32 bits LuaSocket truncates the number.
        if support.word_bits == 64 then
            like_luasocket('may be as huge as 2^53', 'hello', 'leaves',
                {2^53, 'x'})
        end
        like_luasocket('may be larger than any buffer',
            ('0123456789'):rep(6000), 'stays', {50001}, {9999})
        like_luasocket('mixes with lines', '5\r\nhello\r\n0\r\n\r\n', 'stays',
            {}, {5}, {}, {}, {'*l'})

        for _, count in ipairs {1e300, math.huge} do
            it(('may be %g'):format(count), function()
                run(function()
                    local s, peer = support.mixed()
                    peer:send 'hello'
                    peer:close()
                    local data, err, partial = s:receive(count)
                    assert.same({nil, 'closed', 'hello'},
                        {data, err, partial})
                    s:close()
                end)
            end)
        end
    end)

    describe('of nothing', function()
        it('gives an empty string at once', function()
            support.with_mixed(function(s, peer)
                assert.same(pack('', nil, nil), pack(s:receive(0)))
                assert.same(pack('', nil, nil), pack(s:receive('0')))
                assert.same(pack('', nil, nil), pack(s:receive(0.5)))
                assert.same(pack('abc', nil, nil), pack(s:receive(0, 'abc')))
                peer:send 'later\n'
                assert.equal('later', s:receive())
            end)
        end)

        it('gives an empty string after the end too', function()
            run(function()
                local s, peer = support.mixed()
                peer:close()
                assert.equal('closed', select(2, s:receive()))
                assert.same(pack('', nil, nil), pack(s:receive(0)))
                s:close()
            end)
        end)
    end)

    describe('with bad arguments', function()
        like_luasocket('raises for an unknown pattern', 'hello\n', 'stays',
            {'*x'}, {'*n'}, {'*L'}, {'*'}, {''}, {'2x'}, {'x'}, {})
        like_luasocket('raises for a negative number', 'hello\n', 'stays',
            {-1}, {'-1'}, {-0.5}, {-1e300}, {-math.huge}, {})
        like_luasocket('raises for a NaN', 'hello\n', 'stays', {0/0}, {})
        like_luasocket('raises for a pattern of another type', 'hello\n',
            'stays', {true}, {{}}, {print}, {})
        like_luasocket('raises for a prefix of another type', 'hello\n',
            'stays', {'*l', {}}, {5, true}, {})

        it('names the bad argument', function()
            support.with_mixed(function(s)
                for _, bad in ipairs {'*x', -1, 0/0} do
                    local ok, err = pcall(function() s:receive(bad) end)
                    assert.is_false(ok)
                    assert.matches('bad argument', err, 1, true)
                    assert.matches('invalid receive pattern', err, 1, true)
                    assert.matches('receive', err, 1, true)
                end
            end)
        end)
    end)

    describe('without the star', function()
        it('is known on Lua 5.3 and later only', function()
            run(function()
                local s, peer = support.mixed()
                peer:send 'line\nall\nof it'
                peer:close()
                if support.lua_version >= 5.3 then
                    assert.same(pack('line', nil, nil), pack(s:receive('l')))
                    assert.same(pack('all\nof it', nil, nil),
                        pack(s:receive('a')))
                else
                    assert.has_error(function() s:receive('l') end)
                    assert.has_error(function() s:receive('a') end)
                end
                s:close()
            end)
        end)
    end)

    describe('with less_is_ok', function()
        local function arrived(data, f)
            support.with_mixed(function(s, peer)
                peer:send(data)
                assert(socket.select({s}, nil, 5)[1])
                f(s, peer)
            end)
        end

        it('gives fewer bytes than asked for', function()
            arrived('abc', function(s)
                assert.same(pack('abc', nil, nil),
                    pack(s:receive(10, nil, true)))
            end)
        end)

        it('gives no more bytes than asked for', function()
            arrived('abcdef', function(s)
                assert.same(pack('abcd', nil, nil),
                    pack(s:receive(4, nil, true)))
                assert.same(pack('ef', nil, nil),
                    pack(s:receive(4, nil, true)))
            end)
        end)

        it('gives the data there is of everything', function()
            arrived('abc\n', function(s)
                assert.same(pack('abc\n', nil, nil),
                    pack(s:receive('*a', nil, true)))
            end)
        end)

        it('gives the beginning of a line', function()
            arrived('abc', function(s, peer)
                assert.same(pack('abc', nil, nil),
                    pack(s:receive('*l', nil, true)))
                peer:send 'def\nghi\n'
                assert.same(pack('def', nil, nil),
                    pack(s:receive('*l', nil, true)))
                assert.same(pack('ghi', nil, nil),
                    pack(s:receive('*l', nil, true)))
            end)
        end)

        it('puts the prefix in front', function()
            arrived('abc', function(s)
                assert.same(pack('>abc', nil, nil),
                    pack(s:receive(10, '>', true)))
            end)
        end)

        it('waits while nothing has arrived', function()
            support.with_mixed(function(s, peer)
                local result
                loop.newthread(function()
                    result = pack(s:receive(10, nil, true))
                end)
                loop.sleep(0)
                assert.is_nil(result)
                peer:send 'x'
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.same(pack('x', nil, nil), result)
            end)
        end)

        it('is closed at the end', function()
            run(function()
                local s, peer = support.mixed()
                peer:close()
                for _, pattern in ipairs {'*l', '*a', 5} do
                    assert.same(pack(nil, 'closed', 'p'),
                        pack(s:receive(pattern, 'p', true)))
                end
                s:close()
            end)
        end)

        it('times out if nothing arrives', function()
            support.with_mixed(function(s)
                s:settimeout(0.01)
                assert.same(pack(nil, 'timeout', 'p'),
                    pack(s:receive('*l', 'p', true)))
            end)
        end)

        it('changes nothing when false', function()
            arrived('abc', function(s)
                s:settimeout(0.01)
                assert.same(pack(nil, 'timeout', 'abc'),
                    pack(s:receive(10, nil, false)))
            end)
        end)
    end)

    -- The results are LuaSocket's, whatever the pieces in which data arrives.
    describe('of pieces', function()
        local seed = 42
        local function random(n)
            seed = (seed * 1103515245 + 12345) % 2147483648
            return math.floor(seed / 65536) % n + 1
        end

        local bytes = {'\r', '\n', '\r\n', '\0', 'a', 'b', 'word', '\255'}
        local patterns = {'*l', 1, 3, 7, 0, 20, '*l', '*l'}
        local prefixes = {'', '', '', 'p', 'pre\r\n', 42}

        local function random_data()
            local t = {}
            for i = 1, 20 + random(60) do t[i] = bytes[random(#bytes)] end
            return table.concat(t)
        end

        local function random_calls()
            local calls = {}
            for i = 1, random(12) do
                local pattern, prefix =
                    patterns[random(#patterns)], prefixes[random(#prefixes)]
                -- LuaSocket waits for data even if zero bytes are requested.
                if pattern == 0 and prefix == '' then prefix = 'p' end
                calls[i] = {pattern, prefix}
            end
            calls[#calls + 1] = {'*a'}
            calls[#calls + 1] = {'*l', 'end'}
            return calls
        end

        it('does not depend on how they are cut', function()
            for _ = 1, 40 do
                local data, calls = random_data(), random_calls()
                local s, peer = plain.pair()
                peer:send(data)
                peer:close()
                local expected = receive_all(s, calls)
                s:close()
                local got = run(function()
                    local a, b = support.pair()
                    loop.newthread(function()
                        local at = 1
                        while at <= #data do
                            local size = random(10)
                            b:send(data, at, at + size - 1)
                            at = at + size
                            loop.sleep(0)
                        end
                        b:close()
                    end)
                    local results = receive_all(a, calls)
                    a:close()
                    return results
                end)
                assert.same(expected, got, ('%q'):format(data))
            end
        end)
    end)

    -- Tests whose system calls only LuaJIT programs can make.
    if support.luajit and jit.os == 'Linux' then
        local ffi = require 'ffi'
        ffi.cdef [[
            struct sl_iovec { const void *base; size_t size; };
            struct sl_header { size_t size; int level, type, fd; };
            struct sl_message {
                void *name; unsigned name_size;
                struct sl_iovec *parts; size_t count;
                void *control; size_t control_size; int flags;
            };
            int socketpair(int family, int type, int protocol, int fds[2]);
            int close(int fd);
            long send(int fd, const void *data, size_t size, int flags);
            long sendmsg(int fd, const struct sl_message *message, int flags);
        ]]
        local C = ffi.C

        -- Asserts that after a wait, when the poller knows the socket, a read
        -- sees all the data that has arrived.
        local function gets_all(s, send)
            loop.newthread(function()
                loop.sleep(0)
                send 'hello\n'
            end)
            s:settimeout(5)
            assert.equal('hello', s:receive())
            send('abc', true)
            send 'def\n'
            loop.sleep(0)
            assert.equal('abcdef', (s:receive()))
        end

        it('goes on where a read ended in front of urgent data', function()
            support.with_mixed(function(s, peer)
                gets_all(s, function(data, before_urgent)
                    assert(peer:send(data))
                    local oob = 1
                    if before_urgent then C.send(peer:getfd(), '!', 1, oob) end
                end)
            end)
        end)

        it('goes on where a read ended behind descriptors', function()
            local stream, socket_level, rights = 1, 1, 1
            local fds = ffi.new 'int[2]'
            assert(C.socketpair(1, stream, 0, fds) == 0)
            run(function()
                local s = loop.wrap(fds[0])
                gets_all(s, function(data, passes)
                    local part = ffi.new('struct sl_iovec', data, #data)
                    local header = ffi.new('struct sl_header',
                        ffi.sizeof 'size_t' + 12, socket_level, rights, 1)
                    local message = ffi.new 'struct sl_message'
                    message.parts, message.count = part, 1
                    if passes then
                        message.control = header
                        message.control_size = ffi.sizeof(header)
                    end
                    assert(C.sendmsg(fds[1], message, 0) == #data)
                end)
                s:close()
            end)
            C.close(fds[1])
        end)
    end

    it('runs in both directions at once', function()
        support.with_pair(function(a, b)
            local got_a, got_b
            loop.newthread(function() got_a = a:receive() end)
            loop.newthread(function() got_b = b:receive() end)
            a:send 'from a\n'
            b:send 'from b\n'
            assert.is_true(support.eventually(function()
                return got_a and got_b
            end))
            assert.equal('from b', got_a)
            assert.equal('from a', got_b)
        end)
    end)
end)
