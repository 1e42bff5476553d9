-- starttls: TLS by LuaSec, with the defaults that are safe. Clients verify the
-- server's certificates and that they are for the host, and say which host
-- they want (SNI). LuaSec is loaded when it is needed.

local identity = require 'socketloop.identity'

local require = require    -- later the global one may be another

local tls = {}

-- Seconds a client of a TLS server has for its handshake.
local handshake_timeout = 10

-- Where systems keep the certificates they trust: Debian, Fedora, openSUSE,
-- Alpine and the BSDs, FreeBSD's package.
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

-- The system's trusted certificates, where OpenSSL's environment variables
-- don't say otherwise.
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

-- Whether LuaSec's verify (a string or a list) asks for it.
local function asks_to_verify(verify)
    if type(verify) ~= 'table' then return verify ~= 'none' end
    for _, flag in ipairs(verify) do
        if flag ~= 'none' then return true end
    end
    return false
end

-- OpenSSL always verifies what a server sends, and can be asked how that
-- went: it tells more than the error of a handshake that breaks off for it.
-- But one's own certificate is for nobody who was not verified.
local function complete_client(settings)
    if not asks_to_verify(settings.verify) then return true end
    settings.verify = settings.certificate and 'peer' or 'none'
    return add_authorities(settings)
end

-- LuaSec's parameters with our defaults added; or nil, error.
local function complete(params, mode)
    local settings = {}
    for key, value in pairs(params) do settings[key] = value end
    settings.mode = settings.mode or mode
    settings.protocol = settings.protocol or 'any'
    settings.options = settings.options or
        {'all', 'no_sslv2', 'no_sslv3', 'no_tlsv1', 'no_tlsv1_1'}
    if settings.mode == 'client' then
        local ok, err = complete_client(settings)
        if not ok then return nil, err end
    end
    return settings
end

-- Contexts of clients, by what they were made of, as long as they are used:
-- reading the system's certificates takes a while.
local contexts = setmetatable({}, {__mode = 'v'})

-- What a client's context is made of, or nil if it must be made each time.
local function key_of(settings)
    if settings.mode ~= 'client' or settings.certificate or
        settings.certificates then
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

-- LuaSec's contexts have no name but what tostring gives.
local function is_context(value)
    return type(value) == 'userdata' and tostring(value):find '^SSL context'
end

-- What a handshake needs: context, whether to verify the server; or nil,
-- error. argument is what misuse is to be reported of.
local function prepare(params, mode, argument)
    if params == nil then params = {} end
    if is_context(params) then params = {context = params} end
    if type(params) ~= 'table' then
        error('bad argument ' .. argument .. ' (table or context expected)', 0)
    end
    local verify = asks_to_verify(params.verify)
    if params.context then return params.context, verify end
    local settings, err = complete(params, mode)
    if not settings then return nil, err end
    local context
    context, err = newcontext(settings)
    if not context then return nil, err end
    if next(params) == nil then tls.context = context end    -- for good
    return context, verify
end

-------------------------------------------------------------------------------
-- The handshake

-- Whether it is a server's end. LuaSec doesn't tell the mode of a context,
-- but this method wants something else in each.
local function is_server(connection)
    local _, err = pcall(connection.sni, connection)
    return tostring(err):find('table expected', 1, true) ~= nil
end

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

local function shake(s, context, host, verify)
    if s:dirty() then
        return nil, 'received bytes are still buffered'
    end
    -- LuaSec takes the descriptor away from the loop socket.
    local connection, err = luasec().wrap(s, context)
    if not connection then return nil, err end
    s:setsocket(connection)
    if is_server(connection) then
        return s:call_async(connection.dohandshake, connection)
    end
    return connect(s, connection, host, verify)
end

-- The method starttls of loop sockets. host is the one it was connected to if
-- the caller gave none, mode the one that is likely.
function tls.starttls(s, params, host, mode)
    luasec()
    local context, verify = prepare(params, mode, "#1 to 'starttls'")
    local ok, err = nil, verify
    if context then ok, err = shake(s, context, host, verify) end
    if ok then return true end
    s:close()
    return nil, err or 'TLS handshake failed'
end

-- The handler for newserver that calls the user's once the handshake is
-- finished.
function tls.handler(handler, params)
    luasec()
    local context, err = prepare(params, 'server', "#4 to 'newserver'")
    if not context then error('newserver: ' .. tostring(err), 0) end
    local seconds = type(params) == 'table' and params.handshake_timeout or
        handshake_timeout
    return function(client)
        client:settimeout(seconds, 't')
        if not client:starttls(context) then return end
        client:settimeout(nil, 't')
        return handler(client)
    end
end

return tls
