-- call_async: calls a function until its socket is ready.

local loop = require 'socketloop'
local support = require 'support'

local pack, run = support.pack, support.run
local talk = support.talk

describe('A loop socket', function()
    support.hooks(before_each, after_each)

    describe('calls a function until it is ready', function()
        it('at once if it can', function()
            support.with_mixed(function(s)
                local calls = 0
                assert.same(pack('a', nil, 'c', nil), pack(s:call_async(
                    function(...)
                        calls = calls + 1
                        assert.same(pack(1, nil, 3, nil), pack(...))
                        return 'a', nil, 'c', nil
                    end, 1, nil, 3, nil)))
                assert.equal(1, calls)
            end)
        end)

        it('and gives no results if there are none', function()
            support.with_mixed(function(s)
                assert.same(pack(), pack(s:call_async(function() end)))
                assert.same(pack(nil), pack(s:call_async(function()
                    return nil
                end)))
            end)
        end)

        it('waiting for data on wantread', function()
            support.with_mixed(function(s, peer)
                local object = s:getsocket()
                local calls, result = 0, nil
                loop.newthread(function()
                    result = pack(s:call_async(function(a, b)
                        calls = calls + 1
                        assert.same({'x', 'y'}, {a, b})
                        local data = object:receive(5)
                        if data then return data, calls end
                        return nil, 'wantread'
                    end, 'x', 'y'))
                end)
                assert.is_nil(result)
                peer:send 'hello'
                assert.is_true(support.eventually(function()
                    return result
                end))
                assert.equal('hello', result[1])
                assert.equal(2, result.n)
            end)
        end)

        it('and does not spin meanwhile', function()
            support.with_mixed(function(s, peer)
                local object = s:getsocket()
                local calls, done = 0, nil
                loop.newthread(function()
                    s:call_async(function()
                        calls = calls + 1
                        local data = object:receive(1)
                        if data then return data end
                        return false, 'wantread'
                    end)
                    done = true
                end)
                loop.sleep(0.03)
                assert.is_true(calls <= 3, calls)
                peer:send 'x'
                assert.is_true(support.eventually(function() return done end))
            end)
        end)

        it('waiting for room on wantwrite', function()
            run(function()
                local a, b = support.pair {recvbuf = 8192, sendbuf = 8192}
                local object = a:getsocket()
                local data, at = ('x'):rep(1000000) .. 'end', 1
                local waits, result = 0, nil
                loop.newthread(function()
                    result = pack(a:call_async(function()
                        local last, _, partial = object:send(data, at)
                        if last then return last end
                        at = partial + 1
                        waits = waits + 1
                        return false, 'wantwrite'
                    end))
                    a:close()
                end)
                assert.is_nil(result)
                assert.is_true(data == b:receive('*a'))
                assert.same(pack(#data), result)
                assert.is_true(waits > 0)
                b:close()
            end)
        end)

        it('and gives other failures as they are', function()
            support.with_mixed(function(s)
                assert.same(pack(nil, 'closed', 'x'),
                    pack(s:call_async(function()
                        return nil, 'closed', 'x'
                    end)))
                assert.same(pack(false, 'oops'),
                    pack(s:call_async(function() return false, 'oops' end)))
                assert.same(pack(true, 'wantread'),
                    pack(s:call_async(function() return true, 'wantread' end)))
            end)
        end)

        it('and raises what it raises', function()
            support.with_mixed(function(s, peer)
                local err = {'on purpose'}
                local ok, got = pcall(s.call_async, s, function()
                    error(err)
                end)
                assert.is_false(ok)
                assert.equal(err, got)
                talk(s, peer)
            end)
        end)

        it('and raises what it raises after a wait', function()
            support.with_mixed(function(s, peer)
                local calls, got = 0, nil
                loop.newthread(function()
                    local _
                    _, got = pcall(s.call_async, s, function()
                        calls = calls + 1
                        if calls == 1 then return nil, 'wantread' end
                        error('on purpose', 0)
                    end)
                end)
                peer:send 'hello\n'
                assert.is_true(support.eventually(function() return got end))
                assert.matches('on purpose', got, 1, true)
                assert.equal('hello', s:receive())
            end)
        end)

        it('but raises if it is not a function', function()
            support.with_mixed(function(s, peer)
                assert.is_false((pcall(s.call_async, s)))
                assert.is_false((pcall(s.call_async, s, 42)))
                talk(s, peer)
            end)
        end)

        it('but raises outside a loop thread', function()
            local s, peer = support.mixed()
            local ok, err = pcall(function()
                s:call_async(function() return nil, 'wantread' end)
            end)
            assert.is_false(ok)
            assert.matches('must be called from a loop thread', err, 1, true)
            s:close()
            peer:close()
        end)
    end)
end)
