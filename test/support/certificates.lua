-- Keys and certificates for the specs, made with the openssl command: an
-- authority (ca), a certificate that it signed for this machine's hosts (good),
-- and invalid ones of several kinds; and TLS connections made with them.

local loop = require 'socketloop'
local process = require 'process'
local support = require 'support'

local certificates = {}

certificates.possible = process.which 'openssl' and
    pcall(require, 'ssl') and true or false

-- The subjectAltName of each certificate.
local names = {
    good = 'DNS:localhost,DNS:good.test,DNS:*.wild.test,' ..
        'IP:127.0.0.1,IP:0:0:0:0:0:0:0:1',
    other = 'DNS:other.test,DNS:*.other.test,IP:127.0.0.9',
    expired = 'DNS:localhost,IP:127.0.0.1',
    client = 'DNS:client.test',
    nameless = '',
}

local script = [[
set -e
cd %s
key() {
    openssl ecparam -genkey -name prime256v1 -noout -out $1.key
}
sign() {    # name, subjectAltName, days
    key $1
    openssl req -new -key $1.key -subj /CN=localhost -out $1.csr
    : >$1.ext
    [ -z "$2" ] || echo "subjectAltName=$2" >$1.ext
    openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -set_serial $4 \
        -days $3 -extfile $1.ext -out $1.pem
}
key ca
openssl req -x509 -new -key ca.key -subj '/CN=test authority' -days 2 \
    -out ca.pem
key self
openssl req -x509 -new -key self.key -subj /CN=localhost -days 2 \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -out self.pem
]]

-- Makes the files in a new folder, and adds them to the table certs, if given.
-- certs.good.key and similar fields are file names, certs.good.server LuaSec's
-- parameters for a server, certs.trust those of a client that trusts the
-- authority.
function certificates.make(certs)
    local folder = process.tempdir()
    local lines, serial = {script:format(process.quote(folder))}, 10
    for name, alternatives in pairs(names) do
        serial = serial + 1
        lines[#lines + 1] = ("sign %s '%s' %d %d\n"):format(name, alternatives,
            name == 'expired' and -1 or 2, serial)
    end
    local status, output = process.run(table.concat(lines))
    assert(status == 0, output)
    certs = certs or {}
    certs.folder, certs.trust = folder, {cafile = folder .. '/ca.pem'}

    -- A server that calls handler after the handshake. Returns port, listener.
    function certs.serve(handler, params)
        local listener = support.track(loop.newserver('127.0.0.1', 0, handler,
            params or certs.good.server))
        return support.port(listener), listener
    end

    -- Returns two connected sockets with TLS.
    function certs.pair(server, client)
        local a, b = support.pair()
        local ok, err
        loop.newthread(function()
            ok, err = b:starttls(server or certs.good.server)
        end)
        assert(a:starttls(client or certs.trust, 'localhost'))
        assert(support.eventually(function() return ok or err end))
        assert(ok, err)
        return a, b
    end

    return setmetatable(certs, {__index = function(_, name)
        local key, certificate = folder .. '/' .. name .. '.key',
            folder .. '/' .. name .. '.pem'
        return {
            key = key, certificate = certificate,
            server = {mode = 'server', key = key, certificate = certificate},
        }
    end})
end

-- For a block of specs, with busted's functions: returns the certificates,
-- which are made before the first test. Where none can be made, returns nil,
-- and the block is pending.
function certificates.of_block(pending, setup, teardown)
    if not certificates.possible then
        pending 'LuaSec or the command openssl is not installed'
        return nil
    end
    local certs = {}
    setup(function() certificates.make(certs) end)
    teardown(process.cleanup)
    return certs
end

return certificates
