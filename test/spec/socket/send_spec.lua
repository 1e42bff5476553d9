-- send of a string and of a table, compared with LuaSocket's send, and its
-- waits.

local loop = require 'socketloop'
local support = require 'support'

local pack, unpack = support.pack, support.unpack
local run, plain = support.run, support.plain
local reason, raises = support.reason, support.raises

-- Returns send's results and the bytes that arrived at the peer.
local function exchange(s, peer, args)
    local r = pack(pcall(s.send, s, unpack(args, 1, args.n)))
    if not r[1] then r[2] = reason(r[2]) end
    s:close()
    local got, _, partial = peer:receive('*a')
    peer:close()
    return r, got or partial
end

local function compare(...)
    local args = pack(...)
    local s, peer = plain.pair()
    local expected, arrived = exchange(s, peer, args)
    run(function()
        local a, b = support.mixed()
        local got, there = exchange(a, b, args)
        assert.same(expected, got)
        assert.equal(arrived, there)
    end)
end

-- Defines a test; each further argument is a list of send's arguments.
local function like_luasocket(name, ...)
    local calls = {...}
    it(name .. ', as LuaSocket does', function()
        for _, args in ipairs(calls) do
            compare(unpack(args, 1, args.n or #args))
        end
    end)
end

-- Returns two loop sockets with small socket buffers.
local function narrow()
    return support.pair {recvbuf = 8192, sendbuf = 8192}
end

-- More than the socket buffers can hold.
local big = ('0123456789abcdef'):rep(65536)

describe('send', function()
    support.hooks(before_each, after_each)

    describe('of a string', function()
        like_luasocket('gives the last index', {'hello'}, {'x'})
        like_luasocket('takes an empty string', {''}, {'', 1}, {'', 1, -1},
            {'', 0, 0}, {'', 5}, {'', -5, 5})
        like_luasocket('keeps every byte', {'a\0b\r\n\255\n\0'})
        like_luasocket('takes a start', {'hello', 1}, {'hello', 2},
            {'hello', 5})
        like_luasocket('takes a start and an end', {'hello', 2, 3},
            {'hello', 1, 1}, {'hello', 5, 5}, {'hello', 1, 5})
        like_luasocket('takes nil for the defaults', {'hello', nil, nil, n = 3},
            {'hello', nil, 2}, {'hello', 2, nil, n = 3})
        like_luasocket('counts negative indices from the end',
            {'hello', -1}, {'hello', -2}, {'hello', -5}, {'hello', -3, -2},
            {'hello', 2, -2}, {'hello', 1, -5})
        like_luasocket('takes indices before the beginning',
            {'hello', 0}, {'hello', -6}, {'hello', -100}, {'hello', -100, -4},
            {'hello', 0, 2}, {'hello', -100, 2})
        like_luasocket('takes indices behind the end',
            {'hello', 1, 6}, {'hello', 2, 100}, {'hello', -2, 100})
        like_luasocket('of an empty range sends nothing',
            {'hello', 3, 2}, {'hello', 1, 0}, {'hello', 0, 0},
            {'hello', 6}, {'hello', 10}, {'hello', 10, 20}, {'hello', 5, 1},
            {'hello', 1, -6}, {'hello', 1, -100}, {'hello', -1, -2},
            {'hello', -100, -100}, {'hello', 4, -4})
        -- On 32 bits LuaSocket truncates the number.
        if support.word_bits == 64 then
            like_luasocket('takes large indices',
                {'hello', 1, 2^31}, {'hello', 1, 2^40}, {'hello', -2^40},
                {'hello', -2^31, 2^31}, {'hello', 2^31}, {'hello', 2^40},
                {'hello', 1, -2^40})
        end
        like_luasocket('takes numeric strings as indices',
            {'hello', '2', '3'}, {'hello', '-2'}, {'hello', ' 0x2 '})
        like_luasocket('drops the fraction of indices',
            {'hello', 2.9, 3.9}, {'hello', -1.5}, {'hello', 0.5})
        like_luasocket('takes numbers as data',
            {42}, {-7}, {1.5}, {1e15}, {1e100}, {0.1}, {12345, 2, 3})

        for _, index in ipairs {math.huge, -math.huge, 1e300, -1e300} do
            it(('stays within it whatever the indices (%g)'):format(index),
            function()
                run(function()
                    for _, range in ipairs {{index}, {1, index},
                            {index, index}, {2, index}, {index, 4}} do
                        local s, peer = support.mixed()
                        local last = s:send('hello', range[1], range[2])
                        assert.equal('number', type(last))
                        s:close()
                        local got = peer:receive('*a') or ''
                        assert.is_truthy(('hello'):find(got, 1, true))
                        peer:close()
                    end
                end)
            end)
        end
    end)

    describe('with bad arguments', function()
        like_luasocket('raises for no data', {}, {nil, n = 1})
        like_luasocket('raises for other data', {true}, {print}, {io.stdout})
        like_luasocket('raises for other indices',
            {'hello', 'x'}, {'hello', {}}, {'hello', 1, {}}, {'hello', 1, 'x'},
            {'hello', true})

        it('leaves the socket usable', function()
            support.with_pair(function(a, b)
                local ok, err = pcall(function() a:send(true) end)
                assert.is_false(ok)
                assert.matches('bad argument', err, 1, true)
                assert.matches('send', err, 1, true)
                a:send 'fine\n'
                assert.equal('fine', b:receive())
            end)
        end)
    end)

    describe('of a table', function()
        -- Returns send's results and the bytes that arrived.
        local function sent(...)
            local args = pack(...)
            return run(function()
                local a, b = support.pair()
                local results = pack(a:send(unpack(args, 1, args.n)))
                a:close()
                local got = b:receive('*a') or ''
                b:close()
                return results, got
            end)
        end

        it('sends the strings one after another', function()
            local results, got = sent {'GET ', '/', ' HTTP/1.0\r\n', '\r\n'}
            assert.same(pack(18, nil, nil), results)
            assert.equal('GET / HTTP/1.0\r\n\r\n', got)
        end)

        it('takes numbers among them', function()
            local results, got = sent {'n = ', 42, '\n'}
            assert.same(pack(7, nil, nil), results)
            assert.equal('n = 42\n', got)
        end)

        it('takes empty strings among them', function()
            local results, got = sent {'', 'a', '', '', 'b', ''}
            assert.same(pack(2, nil, nil), results)
            assert.equal('ab', got)
        end)

        it('sends nothing for an empty one', function()
            local results, got = sent {}
            assert.same(pack(0, nil, nil), results)
            assert.equal('', got)
            results, got = sent {''}
            assert.same(pack(0, nil, nil), results)
            assert.equal('', got)
        end)

        it('takes a single string', function()
            local results, got = sent {'hello'}
            assert.same(pack(5, nil, nil), results)
            assert.equal('hello', got)
        end)

        it('counts indices over all of them', function()
            local strings = {'he', 'l', '', 'lo'}
            for _, range in ipairs {{1, -1}, {2, 4}, {-3, -2}, {0, 3}, {3, 3},
                    {4, 10}, {-100, 2}, {3, 2}, {10, 20}, {5}, {6}} do
                local s, peer = plain.pair()
                local expected, arrived =
                    exchange(s, peer, pack('hello', unpack(range)))
                local results, got = sent(strings, unpack(range))
                assert.same(pack(unpack(expected, 2, expected.n)), results)
                assert.equal(arrived, got)
            end
        end)

        it('sends more strings than one system call takes', function()
            local strings = {}
            for i = 1, 5000 do strings[i] = i .. ',' end
            local all = table.concat(strings)
            local results, got = sent(strings)
            assert.same(pack(#all, nil, nil), results)
            assert.is_true(all == got)
        end)

        it('sends more than the window holds', function()
            run(function()
                local a, b = narrow()
                local strings = {}
                for i = 1, 300 do
                    strings[i] = big:sub(i, i + 7 * i) .. '\n'
                end
                local all = table.concat(strings)
                local results
                loop.newthread(function()
                    results = pack(a:send(strings))
                    a:close()
                end)
                assert.is_true(all == b:receive('*a'))
                assert.same(pack(#all, nil, nil), results)
                b:close()
            end)
        end)

        it('does not mind that it changes meanwhile', function()
            run(function()
                local a, b = narrow()
                local strings = {}
                for i = 1, 200 do strings[i] = i .. big:sub(1, 5000) end
                local all = table.concat(strings)
                local results
                loop.newthread(function()
                    results = pack(a:send(strings))
                    a:close()
                end)
                assert.is_nil(results)
                for i = 1, 200 do strings[i] = i % 2 == 0 and 'other' or nil end
                support.collect()
                assert.is_true(all == b:receive('*a'))
                assert.same(pack(#all, nil, nil), results)
                b:close()
            end)
        end)

        it('raises for anything else in it', function()
            run(function()
                local s, peer = support.mixed()
                for _, bad in ipairs {{true}, {'a', {}}, {'a', print, 'b'}} do
                    raises('bad argument', s.send, s, bad)
                end
                s:close()
                assert.is_nil((peer:receive('*a')))
                peer:close()
            end)
        end)
    end)

    describe('of much data', function()
        it('sends all of it, however often the window fills', function()
            run(function()
                local a, b = narrow()
                local results
                loop.newthread(function()
                    results = pack(a:send(big))
                    a:close()
                end)
                assert.is_true(big == b:receive('*a'))
                assert.same(pack(#big, nil, nil), results)
                b:close()
            end)
        end)

        it('sends the range that was asked for', function()
            run(function()
                local a, b = narrow()
                local results
                loop.newthread(function()
                    results = pack(a:send(big, 1000, -1000))
                    a:close()
                end)
                assert.is_true(big:sub(1000, -1000) == b:receive('*a'))
                assert.same(pack(#big - 999, nil, nil), results)
                b:close()
            end)
        end)

        it('lets other threads run while it waits', function()
            run(function()
                local a, b = narrow()
                local done
                loop.newthread(function()
                    a:send(big)
                    done = true
                end)
                assert.is_nil(done)
                assert.equal(#big, #b:receive(#big))
                assert.is_true(support.eventually(function() return done end))
                a:close()
                b:close()
            end)
        end)

        it('runs while the socket is read', function()
            run(function()
                local a, b = narrow()
                local got
                loop.newthread(function() got = a:receive('*a') end)
                loop.newthread(function()
                    a:send(big)
                    a:shutdown('send')
                end)
                loop.newthread(function()
                    b:send(big)
                    b:shutdown('send')
                end)
                assert.is_true(big == b:receive('*a'))
                assert.is_true(support.eventually(function() return got end))
                assert.is_true(big == got)
                a:close()
                b:close()
            end)
        end)

        it('keeps the string alive', function()
            run(function()
                local a, b = narrow()
                loop.newthread(function()
                    a:send(('x'):rep(1000000) .. 'end')
                    a:close()
                end)
                support.collect()
                local got = b:receive('*a')
                assert.equal(1000003, #got)
                assert.equal('xend', got:sub(-4))
                b:close()
            end)
        end)
    end)

    -- LuaSocket ignores SIGPIPE for the whole process, and a child inherits the
    -- ignored signal. So the child restores the default action and does not
    -- load LuaSocket.
    it('never raises SIGPIPE, also without LuaSocket', function()
        local default = 'env --default-signal=PIPE '
        local probe = io.popen(default .. 'echo yes 2>/dev/null')
        local can = probe:read('*l') == 'yes'
        probe:close()
        local first = 0
        while arg and arg[first - 1] do first = first - 1 end
        if not can or not (arg and arg[first]) then
            pending 'needs env --default-signal'
            return
        end
        local script = os.tmpname()
        local f = assert(io.open(script, 'w'))
        f:write [[
            package.preload['socket'] = function() error 'no LuaSocket' end
            package.preload['socket.core'] = package.preload['socket']
            local loop = require 'socketloop'
            local listener = loop.tcp('127.0.0.1', 0)
            assert(listener:listen())
            local _, port = listener:getsockname()
            loop.newthread(function()
                local client = assert(loop.connect('127.0.0.1', port))
                local server = assert(listener:accept())
                server:close()
                local ok, err
                for _ = 1, 1000 do
                    ok, err = client:send('x')
                    if not ok then break end
                    loop.sleep(0.001)
                end
                for _ = 1, 3 do client:send('y') end
                print('alive ' .. tostring(err))
            end)
            loop.start()
        ]]
        f:close()
        local child = io.popen(default .. arg[first] .. ' ' .. script ..
            ' 2>&1')
        local output = child:read('*a')
        child:close()
        os.remove(script)
        assert.equal('alive closed\n', output)
    end)
end)
