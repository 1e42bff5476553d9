-- Several threads that wait on an object that does its own I/O.

local loop = require 'socketloop'
local own_io = require 'own_io'
local socket = require 'socket'
local support = require 'support'

local pack = support.pack
local run, close = support.run, support.close
local eventually = support.eventually
local pair = own_io.pair
local methods = own_io.methods

describe('a foreign object', function()
    support.hooks(before_each, after_each)

    describe('is waited on', function()
        it('by one reader and one writer', function()
            run(function()
                local s, peer = pair()
                local got, sent
                loop.newthread(function() got = s:receive() end)
                loop.newthread(function()
                    sent = s:send(('x'):rep(5000000))
                end)
                assert.error_matches(function() s:receive() end,
                    'receive: the socket is already waited on by another')
                assert.error_matches(function() s:send 'x' end,
                    'send: the socket is already waited on by another')
                peer:send 'hello\n'
                assert.is_true(eventually(function() return got end))
                assert.equal('hello', got)
                assert.is_nil(sent)
                peer:settimeout(0)
                assert.is_true(eventually(function()
                    peer:receive(100000)
                    return sent
                end))
                close(s, peer)
            end)
        end)

        it('by two threads that want to write', function()
            run(function()
                local s, peer, o = pair()
                local sent, got
                loop.newthread(function()
                    sent = s:send(('x'):rep(5000000))
                end)
                local function writable()
                    local _, list = socket.select({}, {o.inner}, 0)
                    return list[1] ~= nil
                end
                assert.is_true(eventually(function()
                    return not writable()
                end))
                local wanted = 0
                function o.receive()
                    if writable() then return 'got' end
                    wanted = wanted + 1
                    return nil, 'wantwrite', ''
                end
                loop.newthread(function() got = s:receive() end)
                assert.equal(1, wanted)
                peer:settimeout(0)
                assert.is_true(eventually(function()
                    peer:receive(100000)
                    return sent and got
                end))
                close(s, peer)
            end)
        end)

        it('by two threads that want to read', function()
            run(function()
                local s, peer, o = pair()
                local sent, got
                local may_send = false
                function o.send(_, _, _, j)
                    if may_send then return j end
                    return nil, 'wantread'
                end
                function o.receive(self)
                    local line = methods.receive(self, '*l')
                    if not line then return nil, 'wantread', '' end
                    may_send = true    -- all data has been read
                    return nil, 'wantread', ''
                end
                loop.newthread(function() got = pack(s:receive()) end)
                loop.newthread(function() sent = s:send 'abc' end)
                loop.sleep(0)
                assert.is_nil(sent)
                peer:send 'x\n'
                assert.is_true(eventually(function() return sent end))
                assert.is_nil(got)
                s:close()
                assert.is_true(eventually(function() return got end))
                assert.same({n = 3, nil, 'closed', ''}, got)
                peer:close()
            end)
        end)

        it('by a reader whose bytes came while another sent', function()
            run(function()
                local s, peer, o = pair()
                local got
                loop.newthread(function() got = s:receive() end)
                assert.is_nil(got)
                function o.send(self, _, _, j)
                    self.pending = 'came along\n'
                    return j
                end
                assert.equal(3, s:send 'abc')
                assert.is_true(eventually(function() return got end))
                assert.equal('came along', got)
                close(s, peer)
            end)
        end)

        it('by a reader whose bytes a method brought', function()
            run(function()
                local s, peer, o = pair()
                local got
                loop.newthread(function() got = s:receive() end)
                function o.pump(self) self.pending = 'pumped\n' end
                s:pump()
                assert.is_true(eventually(function() return got end))
                assert.equal('pumped', got)
                close(s, peer)
            end)
        end)

        it('only in a loop thread', function()
            local s, peer, o = pair()
            for name, f in pairs {
                receive = function() s:receive() end,
                send = function() s:send 'x' end,
            } do
                assert.error_matches(f,
                    name .. ' must be called from a loop thread')
                local ok, err = coroutine.resume(coroutine.create(f))
                assert.is_false(ok)
                assert.matches('must be called from a loop thread', err)
            end
            assert.equal(0, o.calls)
            close(s, peer)
        end)

        it('inside metamethods, sorts and coroutines', function()
            run(function()
                local s, peer = pair {step = 1}
                peer:send 'one\ntwo\nthree\n'
                local t = {3, 1, 2}
                local lines = {}
                table.sort(t, function(a, b)
                    lines[#lines + 1] = #lines < 2 and s:receive() or nil
                    return a < b
                end)
                lines[3] = coroutine.wrap(function()
                    return s:receive()
                end)()
                assert.same({'one', 'two', 'three'}, lines)
                close(s, peer)
            end)
        end)
    end)

    describe('that waits itself', function()
        it('may', function()
            run(function()
                local s, peer, o = pair()
                function o.receive(self, pattern)
                    loop.sleep(0.001)
                    return methods.receive(self, pattern)
                end
                peer:send 'abc\n'
                assert.equal('abc', s:receive())
                close(s, peer)
            end)
        end)

        it('raises its errors, and is as before', function()
            run(function()
                local s, peer, o = pair {step = 1}
                peer:send 'abcd\n'
                function o.receive(self, pattern)
                    if self.calls == 2 then
                        self.calls = 3
                        loop.sleep(0)
                        error 'oops'
                    end
                    return methods.receive(self, pattern)
                end
                assert.error_matches(function() s:receive() end, 'oops')
                assert.equal('abcd', s:receive())
                close(s, peer)
            end)
        end)

        it('gives each of two threads its own results', function()
            run(function()
                local s, peer, o = pair()
                function o.receive(self, pattern)
                    loop.sleep(0)
                    return methods.receive(self, pattern)
                end
                function o.send(self, data, i, j)
                    loop.sleep(0)
                    return methods.send(self, data, i, j)
                end
                local bytes, sent
                peer:send 'abcd'
                loop.newthread(function() bytes = s:receive(2, 'x') end)
                assert.equal('bcd', s:receive(3))
                assert.equal('xa', bytes)
                loop.newthread(function() sent = s:send 'ab' end)
                assert.equal(3, s:send 'cde')
                assert.equal(2, sent)
                assert.equal('abcde', peer:receive(5))
                close(s, peer)
            end)
        end)
    end)
end)
