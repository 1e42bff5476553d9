-- Checks whether a certificate matches a host (RFC 9525). The names and
-- addresses in the subjectAltName count, the subject's common name does not.

local identity = {}

local subject_alt_name = '2.5.29.17'

-- The four numbers of an IPv4 address, or nil. Leading zeros are refused, since
-- some programs read such a number as octal.
local function parse4(text)
    local parts = {text:match '^(%d+)%.(%d+)%.(%d+)%.(%d+)$'}
    if not parts[1] then return nil end
    for i, part in ipairs(parts) do
        parts[i] = tonumber(part)
        if parts[i] > 255 or part:find '^0%d' then return nil end
    end
    return parts
end

-- Appends the groups of a part of an IPv6 address; false if the text is not
-- one.
local function add_groups(groups, text)
    for group in text:gmatch '[^:]+' do
        local four = parse4(group)
        if four then
            groups[#groups + 1] = four[1] * 256 + four[2]
            groups[#groups + 1] = four[3] * 256 + four[4]
        elseif group:find '^%x%x?%x?%x?$' then
            groups[#groups + 1] = tonumber(group, 16)
        else
            return false
        end
    end
    return true
end

-- Colons where an IPv6 address cannot have them.
local function has_stray_colon(text)
    return text:find '^:[^:]' or text:find '[^:]:$' or text:find ':::' or
        text:find '::.*::'
end

-- An IPv6 address written out in full, or nil.
local function parse6(text)
    local head, tail = text:match '^(.-)::(.*)$'
    local groups, rest = {}, {}
    if not (text:find ':' and not has_stray_colon(text) and
            add_groups(groups, head or text) and
            add_groups(rest, tail or '')) then
        return nil
    end
    local missing = 8 - #groups - #rest
    if head and missing < 1 or not head and missing ~= 0 then return nil end
    for _ = 1, missing do groups[#groups + 1] = 0 end
    for _, group in ipairs(rest) do groups[#groups + 1] = group end
    return ('%x:%x:%x:%x:%x:%x:%x:%x'):format((table.unpack or unpack)(groups))
end

-- The canonical text of an address; nil if the host is a name.
function identity.address(host)
    local text = host:match '^%[(.*)%]$' or host
    local four = parse4(text)
    return four and table.concat(four, '.') or
        parse6((text:gsub('%%.*', '')))
end

-- The canonical form of a name: lower case, without the root's dot.
local function plain(name)
    return (name:lower():gsub('%.$', ''))
end

-- Whether a certificate's name matches the host. Its first label may be '*'.
function identity.matches(pattern, host)
    pattern, host = plain(pattern), plain(host)
    if pattern == host then return not pattern:find '*' end
    local parent = pattern:match '^%*(%.[^*]+)$'
    return parent ~= nil and parent:find('%.', 2) ~= nil and
        host:match '^[^.]+(%..+)$' == parent
end

local function list(names)
    return names[1] and table.concat(names, ', ') or 'no host at all'
end

-- True; or false and a message if the certificate does not match the host.
function identity.check(certificate, host)
    local names = certificate:extensions()[subject_alt_name] or {}
    local all, address = {}, identity.address(host)
    for _, name in ipairs(names.dNSName or {}) do
        if not address and identity.matches(name, host) then return true end
        all[#all + 1] = name
    end
    for _, name in ipairs(names.iPAddress or {}) do
        if address and identity.address(name) == address then return true end
        all[#all + 1] = name
    end
    return false, ('host name mismatch: the certificate is for %s, not for %s')
        :format(list(all), host)
end

return identity
