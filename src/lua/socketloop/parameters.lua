-- The TLS parameters of starttls and newserver: LuaSec's, and our own. LuaSec
-- ignores many invalid values, so a slip could turn a check off. Here invalid
-- values are errors.

local own = require 'socketloop.own'

local parameters = {}

-------------------------------------------------------------------------------
-- Values. Each function returns the value to use; or nil and the expected type.

local function set(list)
    local members = {}
    for _, member in ipairs(list) do members[member] = true end
    return members
end

local function text(value)
    if type(value) ~= 'string' then return nil, 'string expected' end
    if value:find('\0', 1, true) then
        return nil, 'there is a zero byte in it'
    end
    return value
end

local function callback(value)
    if type(value) ~= 'function' then return nil, 'function expected' end
    return value
end

local function password(value)
    if type(value) == 'function' then return value end
    return text(value)
end

-- Copies a list. It must not be empty, and must have no other fields.
local function list(value)
    local copy, n = {}, 0
    if type(value) ~= 'table' then return nil, 'list expected' end
    for _ in next, value do n = n + 1 end
    for i = 1, n do copy[i] = rawget(value, i) end
    if n == 0 or #copy < n then return nil, 'list expected' end
    return copy
end

-- A list of known words; a single string is accepted, too.
local function words(value, known)
    local copy = list(type(value) == 'string' and {value} or value)
    if not copy then return nil, 'word or list of words expected' end
    for _, word in ipairs(copy) do
        if type(word) ~= 'string' or not known[word] then
            return nil, ("unknown word '%s'"):format(tostring(word))
        end
    end
    return copy
end

local function word(value, known)
    if type(value) == 'table' then return nil, 'word expected' end
    local copy, problem = words(value, known)
    return copy and copy[1], problem
end

local function mode(value)
    return word(value, set {'client', 'server'})
end

-- Without 'peer' OpenSSL ignores all words except 'none'.
local function verify(value)
    local copy, problem = words(value, set {'none', 'peer', 'client_once',
                                            'fail_if_no_peer_cert'})
    if not copy then return nil, problem end
    local has = set(copy)
    if not has.none == not has.peer or has.none and copy[2] then
        return nil, "either 'none' or 'peer' expected"
    end
    return copy
end

local function verifyext(value)
    return words(value, set {'lsec_continue', 'lsec_ignore_purpose',
                             'crl_check', 'crl_check_chain'})
end

local function config()
    return require 'ssl'.config or {}
end

-- Accepts every word. For an old LuaSec, which has no list of words and checks
-- them itself.
local any_word = setmetatable({}, {__index = function() return true end})

local function protocol(value)
    local known = config().protocols
    return word(value, known and setmetatable({any = true, sslv23 = true},
                                              {__index = known}) or any_word)
end

local function options(value)
    return words(value, config().options or any_word)
end

local function depth(value)
    if type(value) ~= 'number' or value % 1 ~= 0 or value < 0 or
        value >= 2 ^ 31 then
        return nil, 'whole number expected'
    end
    return value
end

local function seconds(value)
    if type(value) ~= 'number' or value < 0 or value ~= value then
        return nil, 'number of seconds expected'
    end
    return value
end

local function alpn(value, of)
    if type(value) == 'function' and of == 'server' then return value end
    if type(value) == 'string' and of == 'client' then value = {value} end
    local copy, problem = list(value)
    for _, name in ipairs(copy or {}) do
        if type(name) ~= 'string' or #name < 1 or #name > 255 then
            return nil, 'names of 1 to 255 bytes expected'
        end
    end
    return copy, problem
end

local function capability(name)
    local known = config().capabilities
    return known and known[name]
end

local function dane(value)
    if not capability 'dane' then return nil, 'LuaSec has none' end
    if value == true then return value end
    return words(value, set {'no_ee_namechecks'})
end

local function psk(value, of)
    if not capability 'psk' then return nil, 'LuaSec has none' end
    if type(value) ~= 'table' or of == 'client' then return callback(value) end
    local hint, problem = text(value.hint)
    if not hint then return nil, problem end
    local f = callback(value.callback)
    if not f then return nil, 'function expected' end
    return {hint = hint, callback = f}
end

-- Only tostring reveals that a value is one of LuaSec's contexts.
local function is_context(value)
    return type(value) == 'userdata' and tostring(value):find '^SSL context'
end

local function context(value)
    if not is_context(value) then return nil, 'context expected' end
    return value
end

-------------------------------------------------------------------------------

local check_all    -- defined below

local of_certificate = {certificate = text, key = text, password = password}

local function certificates(value)
    local copy, problem = list(value)
    for i, entry in ipairs(copy or {}) do
        if type(entry) ~= 'table' then return nil, 'tables expected' end
        copy[i], problem = check_all(entry, of_certificate)
        if not copy[i] then return nil, problem end
    end
    return copy, problem
end

local of_context = {
    context = context, handshake_timeout = seconds, verify = verify,
}

local of_all = {
    alpn = alpn, cafile = text, capath = text, certificate = text,
    certificates = certificates, ciphers = text, ciphersuites = text,
    curve = text, curveslist = text, dane = dane, depth = depth,
    dhparam = callback, handshake_timeout = seconds, key = text, mode = mode,
    options = options, password = password, protocol = protocol, psk = psk,
    verify = verify, verifyext = verifyext,
}

-- A copy of the parameters; or nil and what is wrong with them.
function check_all(params, checks, default_mode)
    local copy = {}
    for name in next, params do
        if not checks[name] then
            return nil, ("unexpected parameter '%s'"):format(tostring(name))
        end
    end
    for name, check in pairs(checks) do
        local value = params[name]    -- perhaps inherited
        local problem
        if value ~= nil then
            value, problem = check(value, params.mode or default_mode)
            if value == nil then return nil, name .. ': ' .. problem end
            copy[name] = value
        end
    end
    return copy
end

-- Returns a checked copy of the parameters, which are a table or a context.
-- Raises if they are wrong; `what` begins the message ('bad argument ...').
function parameters.check(what, params, default_mode)
    if params == nil then params = {} end
    if is_context(params) then params = {context = params} end
    if type(params) ~= 'table' then
        own.misuse(what .. ' (table or context expected)')
    end
    local checks = params.context == nil and of_all or of_context
    local copy, problem = check_all(params, checks, default_mode)
    if not copy then own.misuse(('%s (%s)'):format(what, problem)) end
    return copy
end

return parameters
