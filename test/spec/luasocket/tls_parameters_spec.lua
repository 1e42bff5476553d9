-- Parameters that starttls and newserver refuse. After a refusal nothing is
-- sent in the clear.

local loop = require 'socketloop'
local certificates = require 'certificates'
local support = require 'support'

local pack, run, close = support.pack, support.run, support.close
local raises = support.raises

describe('TLS', function()
    local certs = certificates.of_block(pending, setup, teardown)
    if not certs then return end
    local ssl = require 'ssl'
    support.hooks(before_each, after_each)

    -- Asserts that starttls raises these words with these arguments, and that
    -- no bytes sent afterwards reach the peer.
    local function refused(words, ...)
        local a, b = support.pair()
        raises(words, a.starttls, a, ...)
        assert.equal(-1, a:getfd())
        assert.same({n = 3, nil, 'closed', 0}, pack(a:send 'password\n'))
        assert.same({n = 3, nil, 'closed', ''}, pack(b:receive()))
        b:close()
    end

    local wrong = {
        verify = {
            {}, {peer = true}, {'peer', other = 1}, {false}, {1}, 'peers',
            'Peer', 'peer\0', '', {'peer', 'once'}, false, true, 0, 1,
            {'none', 'peer'}, {'none', 'client_once'}, 'client_once',
            {'fail_if_no_peer_cert'}, print,
            setmetatable({}, {__index = {'peer'}}),
        },
        verifyext = {{}, false, 'crl', {'crl_check', 'x'}, 1},
        options = {{}, {all = true}, false, 1, 'no_tls', {'all', 'x'}, {1}},
        protocol = {false, '', 'tls', 1.2, {'any'}, {}, 'any\0', true},
        mode = {false, '', 'servers', 1, {'server'}, 'client\0'},
        depth = {false, '3', -1, 1.5, 2 ^ 31, 2 ^ 53, 0 / 0, {}},
        alpn = {false, {}, '', {a = 'b'}, {1}, {''}, {('x'):rep(256)}, 1},
        dhparam = {false, 'x'}, dane = {false, 'x', 1, {}},
        psk = {false, 'x', {}}, context = {false, 'x', {}, io.stdout},
        certificates = {
            {}, false, 'x', {'x'}, {{key = false}}, {{certificat = 'x'}},
        },
        password = {false, 1, {}, 'a\0b'},
        handshake_timeout = {false, '1', -1, 0 / 0},
    }
    for _, name in ipairs {
        'cafile', 'capath', 'certificate', 'ciphers', 'ciphersuites', 'curve',
        'curveslist', 'key',
    } do
        wrong[name] = {false, true, 1, {}, 'a\0b'}
    end

    for name, values in pairs(wrong) do
        it('has no such value for ' .. name, function()
            run(function()
                for _, value in ipairs(values) do
                    refused("bad argument #1 to 'starttls' (" .. name .. ': ',
                            {[name] = value}, 'localhost')
                    raises("bad argument #4 to 'newserver' (" .. name .. ': ',
                           loop.newserver, '127.0.0.1', 0, print,
                           {[name] = value})
                end
            end)
        end)
    end

    it('has no other parameters', function()
        run(function()
            local context = assert(ssl.newcontext {
                mode = 'client', protocol = 'any', cafile = certs.trust.cafile,
            })
            for name, params in pairs {
                verfy = {verfy = 'peer'}, [1] = {'peer'},
                cafile = {context = context, cafile = 'x'},
                mode = {context = context, mode = 'server'},
            } do
                refused(("unexpected parameter '%s'"):format(name), params)
            end
        end)
    end)

    it('has no verify for the context of a server', function()
        local context = assert(ssl.newcontext {
            mode = 'server', protocol = 'any', key = certs.good.key,
            certificate = certs.good.certificate,
        })
        local params = {context = context, verify = 'peer'}
        run(refused, '(verify: it is part of the context', params)
        raises('(verify: it is part of the context', loop.newserver,
               '127.0.0.1', 0, print, params)
    end)

    it('leaves other descriptors alone when it looks at a context', function()
        local list = {}
        for i = 1, support.some(100, 2) do
            local context = assert(ssl.newcontext {
                mode = 'server', protocol = 'any', key = certs.good.key,
                certificate = certs.good.certificate,
            })
            list[i] = loop.newserver('127.0.0.1', 0, print, context)
        end
        collectgarbage()
        for _, listener in ipairs(list) do
            assert.is_string((listener:getsockname()))
            listener:close()
        end
    end)

    it('says where a parameter is wrong', function()
        support.with_pair(function(a)
            local here = 'tls_parameters_spec.lua:'
            raises(here, function() a:starttls {verify = {}} end)
        end)
    end)

    it('takes inherited parameters', function()
        run(function()
            local server = certs.good.server
            server.verify, server.cafile = {'peer', 'fail_if_no_peer_cert'},
                certs.trust.cafile
            local a, b = support.pair()
            local result
            loop.newthread(function()
                result = pack(b:starttls(setmetatable({}, {__index = server})))
            end)
            a:starttls(certs.trust)
            a:receive()
            assert.is_true(support.eventually(function() return result end))
            assert.is_nil(result[1])    -- no certificate
            a:close()
        end)
    end)

    it('takes all valid parameters', function()
        run(function()
            local server, client = certs.good.server, {}
            for name, value in pairs {
                verify = {'peer', 'client_once'}, cafile = certs.trust.cafile,
                protocol = 'any', options = 'all', depth = 3,
                alpn = {'a', 'b'}, ciphers = 'HIGH', password = 'x',
                verifyext = 'lsec_continue', handshake_timeout = 5,
            } do
                server[name], client[name] = value, value
            end
            client.certificates = {certs.client}
            client.certificates[1].server = nil
            client.mode = 'client'
            local a, b = certs.pair(server, client)
            assert.equal('a', a:getalpn())
            close(a, b)
        end)
    end)

    it('verifies whatever verifyext says', function()
        run(function()
            local a, b = support.pair()
            loop.newthread(function()
                b:starttls(certs.self.server)
                b:close()
            end)
            local ok, err = a:starttls({
                cafile = certs.trust.cafile, verifyext = 'lsec_continue',
            }, 'localhost')
            assert.is_nil(ok)
            assert.matches('certificate verify failed', err)
        end)
    end)

    it('shows no certificate of a list to unverified peers', function()
        run(function()
            local server = certs.self.server
            server.verify = 'peer'
            local a, b = support.pair()
            local result
            loop.newthread(function() result = pack(b:starttls(server)) end)
            local own = certs.client
            assert.is_nil((a:starttls({
                cafile = certs.trust.cafile,
                certificates = {{key = own.key, certificate = own.certificate}},
            }, 'localhost')))
            assert.is_true(support.eventually(function() return result end))
            assert.is_nil(result[1])
        end)
    end)

    describe('starttls that raises closes the socket', function()
        it('for a bad argument', function()
            run(function()
                refused("bad argument #1 to 'starttls' (table or", 'x')
                refused("bad argument #2 to 'starttls' (string",
                        certs.trust, {})
                refused("bad argument #2 to 'starttls' (string",
                        certs.trust, 1)
                refused('there is a zero byte in the host', certs.trust,
                        'localhost\0.evil.test')
            end)
        end)

        it('outside of threads, and while another one waits', function()
            local a, b = run(support.pair)
            raises('must be called from a loop thread', a.starttls, a)
            assert.equal(-1, a:getfd())
            b:close()
            run(function()
                local c, d = support.pair()
                local got
                loop.newthread(function() got = pack(c:receive()) end)
                raises('already waited on by another thread', c.starttls, c)
                assert.equal(-1, c:getfd())
                assert.is_true(support.eventually(function() return got end))
                assert.same({n = 3, nil, 'closed', ''}, got)
                d:close()
            end)
        end)

        it('but not one that has TLS', function()
            run(function()
                local a, b = certs.pair()
                raises('socket without TLS expected', a.starttls, a,
                       certs.trust)
                assert.equal(2, a:send 'x\n')
                assert.equal('x', b:receive())
                close(a, b)
            end)
        end)

        it('whatever its own method close does', function()
            run(function()
                local a, b = support.pair()
                a.close = function() error 'oops' end
                raises('table or context', a.starttls, a, 'x')
                assert.equal(-1, a:getfd())
                assert.same({n = 3, nil, 'closed', ''}, pack(b:receive()))
                a.close = nil
                b:close()
                a, b = support.pair()
                a.close = function() end
                assert.is_nil((a:starttls {cafile = '/nowhere'}))
                assert.equal(-1, a:getfd())
                a.close = nil
                b:close()
            end)
        end)
    end)

    it('fails when the peer has reset the connection', function()
        run(function()
            local a, b = support.pair()
            b:setoption('linger', {on = true, timeout = 0})
            b:close()
            assert.is_nil((a:starttls(certs.trust)))
            assert.equal(-1, a:getfd())
        end)
    end)
end)
