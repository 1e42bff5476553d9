-- Look-ups of host names by the loop. LuaSocket's own functions would block.

local identity = require 'socketloop.identity'

local names = {}

-- Whether LuaSocket accepts the value as a string. LuaSocket itself reports
-- other values.
function names.is_text(value)
    return type(value) == 'string' or type(value) == 'number'
end

names.unknown = 'host or service not provided, or not known'

function names.has_zero(value)
    return type(value) == 'string' and value:find('\0', 1, true) ~= nil
end

-- Whether the value is not a port, although getaddrinfo may accept it:
-- getaddrinfo accepts signs and blanks, and truncates large numbers.
local function is_no_port(port)
    if not names.is_text(port) then return false end
    local text = tostring(port)
    if text:find '^%d+$' then return tonumber(text) > 65535 end
    return not text:find '^%d*%a' or text:find '^0x' or names.has_zero(text)
end

-- Whether host or port must be refused. LuaSocket would truncate them at a zero
-- byte.
function names.are_wrong(host, port)
    return names.has_zero(host) or is_no_port(port)
end

-- Whether the host needs no look-up. '*' is LuaSocket's name for any address.
-- Text that only resembles an address may cause a query in the network.
local function is_address(host)
    return host == '*' or
        not host:find '^%[' and identity.address(host) ~= nil
end

-- Returns the host's addresses as strings, of the family ('inet' or 'inet6') if
-- one is given; or nil, error. Waits at most `seconds`; negative: no limit.
function names.addresses(here, host, seconds, family)
    if is_address(host) then return {host} end
    local list, err = here.loop.resolve(host, nil,
                                        seconds >= 0 and seconds or nil)
    if not list then return nil, err end
    local addresses = {}
    for _, entry in ipairs(list) do
        if not family or entry.family == family then
            addresses[#addresses + 1] = entry.addr
        end
    end
    if not addresses[1] then
        return nil, names.unknown
    end
    return addresses
end

return names
