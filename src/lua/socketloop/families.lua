-- Connecting TCP objects without a family, as socket.tcp() makes them: they
-- take an address of either family until they are bound or connected.
--
-- A non-blocking connect of LuaSocket fixes the object's family to that of the
-- first address, even if the attempt fails, and later refuses addresses of the
-- other family. So a helper object of the address's family starts the attempt,
-- and its descriptor is moved to the program's object. That object takes the
-- family when it is connected.

local genuine = require 'socketloop.genuine'
local own = require 'socketloop.own'
local socket = require 'socket'

local families = {}

local makers = {
    inet = genuine.of('socket', 'tcp4', socket.tcp4) or socket.tcp4,
    inet6 = genuine.of('socket', 'tcp6', socket.tcp6) or socket.tcp6,
}

-- One helper object for each family. It has no descriptor between uses.
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

-- Moves the descriptor of one object to another, which has none.
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
    -- LuaSocket also says 'inet4' for no family; connect finds that out.
    local is_ipv6 = class.own.getfamily and
        class.own.getfamily(self) == 'inet6'
    return is_ipv6 and 'inet6' or nil
end

-- Returns the results of a protected call that used the helper. If it failed,
-- of no memory for example, closes the helper and raises the error.
local function results(class, object, ok, ...)
    if ok then return ... end
    class.own.close(object)
    error(..., 0)
end

-- Starts to connect an object that has neither family nor descriptor. Returns
-- the results of LuaSocket's connect.
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

-- Completes families.begin: gives the object the family of the address and the
-- class of connected objects. LuaSocket sets the family only when an object is
-- bound; if it cannot be bound only the class is set.
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
