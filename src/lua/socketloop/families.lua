-- TCP objects that may still take an address of either family, as those of
-- socket.tcp() may until they are bound or connected.
--
-- LuaSocket's connect without waiting leaves such an object with the family
-- of the first address for good, also when that fails, and then refuses those
-- of the other one. So an object of ours, of the address's family, begins,
-- and its descriptor goes on to the one that is to be connected; which takes
-- the family when it is.

local genuine = require 'socketloop.genuine'
local own = require 'socketloop.own'
local socket = require 'socket'

local families = {}

local makers = {
    inet = genuine.of('socket', 'tcp4', socket.tcp4) or socket.tcp4,
    inet6 = genuine.of('socket', 'tcp6', socket.tcp6) or socket.tcp6,
}

-- One object of each family, without a descriptor between its uses.
local helpers = {}

local function helper(class, family)
    if not helpers[family] then
        local object, err = makers[family]()
        if not object then return nil, err end
        class.own.settimeout(object, 0)
        helpers[family] = object
    end
    local object = helpers[family]
    if class.own.getfd(object) >= 0 then    -- new, or an error came between
        class.own.close(object)
    end
    return object
end

-- The descriptor of one object becomes that of another, which has none.
local function pass(class, from, to)
    local fd = class.own.getfd(from)
    class.own.setfd(from, -1)
    class.own.setfd(to, fd)
end

local function family_of(address)
    return tostring(address):find ':' and 'inet6' or 'inet'
end

-- The family of the object: 'inet' or 'inet6'; nil if it has none yet.
function families.of(class, self)
    if class.own.getfd(self) >= 0 then
        local family = select(3, class.own.getsockname(self))
        return family ~= 'unspec' and family or nil
    end
    -- LuaSocket calls none 'inet4', too. Then connect finds out.
    local is_ipv6 = class.own.getfamily and
        class.own.getfamily(self) == 'inet6'
    return is_ipv6 and 'inet6' or nil
end

-- What a call gave that used the helper; if it failed, of no memory say, the
-- helper doesn't keep the connection that it may have by then.
local function results(class, object, ok, ...)
    if ok then return ... end
    class.own.close(object)
    error(..., 0)
end

-- Begins to connect an object that has neither family nor descriptor: what
-- its method connect gives.
function families.begin(class, self, address, ...)
    local family = family_of(address)
    local object, err = helper(class, family)
    if not object then return nil, err end
    local ok
    ok, err = results(class, object, pcall(own.method, 'connect',
        class.own.connect, object, address, ...))
    pass(class, object, self)
    local had = families.of(class, self)
    if had and had ~= family then
        class.own.close(self)
        return nil, 'Address family for hostname not supported'
    end
    return ok, err
end

-- The object that begin has given a descriptor takes the family of the
-- address, which LuaSocket does only when it is bound, and the class of those
-- that are connected. Where it can't be bound, just the class.
function families.settle(here, class, self, address)
    local object = helper(class, family_of(address))
    pass(class, self, object)
    here.setclass(self, 'tcp{master}')      -- a failure took it away
    results(class, object, pcall(class.own.bind, self,
        object == helpers.inet and '0.0.0.0' or '::', 0))
    class.own.close(self)
    pass(class, object, self)
    here.setclass(self, 'tcp{client}')
end

return families
