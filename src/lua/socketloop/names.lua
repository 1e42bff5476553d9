-- Host names: looked up by the loop, as LuaSocket's functions would block.

local identity = require 'socketloop.identity'

local names = {}

-- Would LuaSocket take it for a string? What it wouldn't, it says itself.
function names.is_text(value)
    return type(value) == 'string' or type(value) == 'number'
end

names.unknown = 'host or service not provided, or not known'

function names.has_zero(value)
    return type(value) == 'string' and value:find('\0', 1, true) ~= nil
end

-- Is that no port, though the system may take it for one? It takes signs and
-- blanks, and what is left of a number that is too large.
local function is_no_port(port)
    if not names.is_text(port) then return false end
    local text = tostring(port)
    if text:find '^%d+$' then return tonumber(text) > 65535 end
    return not text:find '^%d*%a' or text:find '^0x' or names.has_zero(text)
end

-- Are host and port to be refused? LuaSocket would cut them at a zero byte.
function names.are_wrong(host, port)
    return names.has_zero(host) or is_no_port(port)
end

-- Nothing to look up; '*' is LuaSocket's name for any address. What only looks
-- like an address may be asked for in the network.
local function is_address(host)
    return host == '*' or
        not host:find '^%[' and identity.address(host) ~= nil
end

-- The addresses of the host, as strings, within so many seconds (negative: no
-- limit); or nil, error. With a family ('inet' or 'inet6') only these.
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
