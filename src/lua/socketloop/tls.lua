-- starttls: TLS by LuaSec, with safe defaults. A client verifies the server's
-- certificates and that they match the host, and sends the host's name (SNI).
-- LuaSec is loaded at the first use.

local identity = require 'socketloop.identity'
local own = require 'socketloop.own'
local parameters = require 'socketloop.parameters'

local require = require    -- the global one may be replaced later

local tls = {}

-- The default time limit of a client's handshake with a TLS server, in seconds.
local handshake_timeout = 10

-- The trusted certificates of Debian, Fedora, openSUSE, Alpine and the BSDs,
-- and FreeBSD's package.
local bundles = {
    '/etc/ssl/certs/ca-certificates.crt',
    '/etc/pki/tls/certs/ca-bundle.crt',
    '/etc/ssl/ca-bundle.pem',
    '/etc/ssl/cert.pem',
    '/usr/local/share/certs/ca-root-nss.crt',
}

-------------------------------------------------------------------------------
-- Contexts

local function luasec()
    local ok, ssl = pcall(require, 'ssl')
    if not ok then
        error('starttls: LuaSec is needed: ' .. tostring(ssl), 0)
    end
    return ssl
end

-- Sets the trusted certificates: those of OpenSSL's environment variables, else
-- the system's.
local function add_authorities(settings)
    if settings.cafile or settings.capath then return true end
    settings.cafile = os.getenv 'SSL_CERT_FILE'
    settings.capath = os.getenv 'SSL_CERT_DIR'
    if settings.cafile or settings.capath then return true end
    for _, name in ipairs(bundles) do
        local file = io.open(name)
        if file then
            file:close()
            settings.cafile = name
            return true
        end
    end
    return nil, "no CA certificates found: give 'cafile' or 'capath'"
end

local function asks_to_verify(settings)
    return not settings.verify or settings.verify[1] ~= 'none'
end

-- OpenSSL verifies a server's certificates in any mode, and getpeerverification
-- reports the reason in more detail than a failed handshake does. So the mode
-- is 'none', unless the client has a certificate: it must not be sent to a
-- server that is not verified.
local function complete_client(settings)
    if not asks_to_verify(settings) then return true end
    local shows_itself = settings.certificate or settings.certificates
    settings.verify = shows_itself and 'peer' or 'none'
    return add_authorities(settings)
end

-- Adds the defaults to LuaSec's parameters. Returns true; or nil, error.
local function complete(settings, mode)
    settings.mode = settings.mode or mode
    settings.protocol = settings.protocol or 'any'
    settings.options = settings.options or
        {'all', 'no_sslv2', 'no_sslv3', 'no_tlsv1', 'no_tlsv1_1'}
    return settings.mode == 'server' or complete_client(settings)
end

-- Cache of the contexts of clients, by their parameters, as long as they are
-- used. Reading the system's certificates is slow.
local contexts = setmetatable({}, {__mode = 'v'})

-- The key of a context in the cache; nil if the context cannot be shared.
local function key_of(settings)
    if settings.mode ~= 'client' or settings.certificate or
        settings.certificates or settings.psk then
        return nil
    end
    local parts = {}
    for key, value in pairs(settings) do
        if type(value) == 'table' then
            local ok, text = pcall(table.concat, value, '\1')
            if not ok then return nil end
            value = text
        elseif type(value) == 'function' or type(value) == 'userdata' then
            return nil
        end
        parts[#parts + 1] = ('%s\2%s'):format(key, tostring(value))
    end
    table.sort(parts)
    return table.concat(parts, '\3')
end

local function newcontext(settings)
    local key = key_of(settings)
    if key and contexts[key] then return contexts[key] end
    local context, err = luasec().newcontext(settings)
    if not context then return nil, err end
    if key then contexts[key] = context end
    return context
end

-- Cache of the modes of the program's contexts. LuaSec does not report a
-- context's mode, but the argument type of the method sni depends on it.
local modes = setmetatable({}, {__mode = 'k'})

local function find_mode(context)
    local core = require 'ssl.core'
    local connection, err = core.create(context)
    if not connection then error(err, 0) end
    core.setfd(connection, -1)    -- or its finalizer closes any descriptor
    local _, reason = pcall(connection.sni, connection)
    return tostring(reason):find('table expected', 1, true) and 'server' or
        'client'
end

local function mode_of(what, context)
    if not modes[context] then
        local ok, mode = pcall(find_mode, context)
        if not ok then own.misuse(('%s (context: %s)'):format(what, mode)) end
        modes[context] = mode
    end
    return modes[context]
end

-- `verify` cannot be given with a server's context, which has its own.
local function check_verify(what, settings)
    if settings.mode == 'server' and settings.verify then
        own.misuse(what .. ' (verify: it is part of the context of a server)')
    end
end

-- Returns a table for the handshake: context, mode, and whether to verify the
-- server; or nil, error. Raises for wrong parameters; `what` begins the message
-- ('bad argument ...').
local function prepare(what, params, mode)
    local settings = parameters.check(what, params, mode)
    local is_default = next(settings) == nil
    local verify, context = asks_to_verify(settings), settings.context
    if context then
        settings.mode = mode_of(what, context)
        check_verify(what, settings)
    else
        local ok, err = complete(settings, mode)
        if not ok then return nil, err end
        context, err = newcontext(settings)
        if not context then return nil, err end
        if is_default then tls.context = context end    -- is never collected
    end
    return {context = context, mode = settings.mode, verify = verify}
end

-------------------------------------------------------------------------------
-- The handshake

local function verify_server(connection, host)
    local certificate = connection:getpeercertificate()
    if not certificate then return nil, 'the server has no certificate' end
    local ok, err = connection:getpeerverification()
    if not ok then
        while type(err) == 'table' do    -- a list for each certificate
            local _, first = next(err)
            err = first
        end
        return nil, 'certificate verify failed: ' .. tostring(err)
    end
    return identity.check(certificate, host)
end

local function connect(s, connection, host, verify)
    if not identity.address(host) then
        connection:sni((host:gsub('%.$', '')))
    end
    local ok, err = s:call_async(connection.dohandshake, connection)
    if ok and verify then return verify_server(connection, host) end
    return ok, err
end

local function shake(s, prepared, host)
    if s:dirty() then
        return nil, 'received bytes are still buffered'
    end
    -- wrap moves the descriptor from the loop socket to LuaSec's object.
    local connection, err = luasec().wrap(s, prepared.context)
    if not connection then return nil, err end
    s:setsocket(connection)
    if prepared.mode == 'server' then
        return s:call_async(connection.dohandshake, connection)
    end
    return connect(s, connection, host, prepared.verify)
end

local function check_host(host)
    local problem = type(host) ~= 'string' and 'string expected' or
        host:find('\0', 1, true) and 'there is a zero byte in the host'
    if problem then
        own.misuse(("bad argument #2 to 'starttls' (%s)"):format(problem))
    end
end

-- The method starttls of loop sockets. By default `host` is the argument of
-- connect, and `mode` depends on whether the socket was accepted. The caller
-- closes the socket if this raises or fails.
function tls.starttls(s, params, host, mode)
    check_host(host)
    luasec()
    local prepared, err = prepare("bad argument #1 to 'starttls'", params, mode)
    local ok
    if prepared then ok, err = shake(s, prepared, host) end
    if ok then return true end
    return nil, err or 'TLS handshake failed'
end

-- Returns a handler for newserver that makes the handshake and then calls the
-- program's handler.
function tls.handler(handler, params)
    luasec()
    local prepared, err = prepare("bad argument #4 to 'newserver'", params,
                                  'server')
    if not prepared then own.misuse('newserver: ' .. tostring(err)) end
    local seconds = type(params) == 'table' and params.handshake_timeout or
        handshake_timeout
    return function(client)
        client:settimeout(seconds, 't')
        if not client:starttls(prepared.context) then return end
        client:settimeout(nil, 't')
        return handler(client)
    end
end

return tls
