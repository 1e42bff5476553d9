-- Replacements of LuaSocket's functions that wait: connect, select, sleep and
-- dns. Functions that make objects are not replaced; methods.lua replaces
-- methods.

local genuine = require 'socketloop.genuine'
local is_text = require 'socketloop.names'.is_text
local loops = require 'socketloop.loops'
local own = require 'socketloop.own'
local socket = require 'socket'

local unpack = table.unpack or unpack      -- luacheck: ignore

-- Set by install.lua: ready and searcher of install.c, method of classes.lua,
-- and loaded, which is called after a C module was loaded.
local functions = {}

-------------------------------------------------------------------------------
-- connect

local function maker(name)
    return genuine.of('socket', name, socket[name]) or socket[name]
end

local makers = {
    inet = maker 'tcp4', inet6 = maker 'tcp6', unspec = maker 'tcp',
}

local function call(object, name, ...)
    return functions.method('tcp{master}', name)(object, ...)
end

local function connect(original, _, host, port, local_host, local_port,
                       family)
    local make = makers[family or 'unspec']
    if not (make and is_text(host) and is_text(port) and
            is_text(local_host or '') and is_text(local_port or '')) then
        return own.call('connect', original, host, port, local_host,
                        local_port, family)    -- which raises
    end
    local object, err = make()
    if not object then return nil, err end
    local ok = true
    if local_host then
        ok, err = call(object, 'bind', local_host, local_port or 0)
    end
    if ok then ok, err = call(object, 'connect', host, port) end
    if ok then return object end
    call(object, 'close')
    return nil, err
end

-------------------------------------------------------------------------------
-- select

-- An object's descriptor, obtained as socket.select does; nil if it has none.
local function descriptor_of(object)
    local getfd = object.getfd
    local fd = getfd and getfd(object)
    if type(fd) == 'number' and fd >= 2 ^ 31 then
        own.misuse 'select: descriptor out of range'
    end
    return type(fd) == 'number' and fd >= 0 and fd or nil
end

local function is_dirty(object)
    local dirty = object.dirty
    return dirty and dirty(object)
end

local function add(list, object)
    local n = #list + 1
    list[n] = object
    list[object] = n
end

-- Returns the objects of a list that have a descriptor, these descriptors, and,
-- in a list to read from, the objects with buffered bytes.
local function sort(list, may_be_dirty)
    local objects, fds, ready = {}, {}, {}
    for _, object in ipairs(list or {}) do
        local fd = descriptor_of(object)
        if may_be_dirty and is_dirty(object) then
            add(ready, object)
        elseif fd then
            objects[#objects + 1] = object
            fds[#fds + 1] = fd
        end
    end
    return objects, fds, ready
end

-- Adds the ready objects.
local function add_ready(result, objects, is_ready)
    for i, object in ipairs(objects) do
        if is_ready[i] then add(result, object) end
    end
end

local function select(original, here, reads, writes, timeout)
    if reads ~= nil and type(reads) ~= 'table' or
       writes ~= nil and type(writes) ~= 'table' or
       timeout ~= nil and not tonumber(timeout) then
        return own.call('select', original, reads, writes, timeout)
    end
    if tonumber(timeout) ~= tonumber(timeout) then
        own.misuse "bad argument #3 to 'select' (not a number)"
    end
    local readers, read_fds, readable = sort(reads, true)
    local writers, write_fds, writable = sort(writes, false)
    local seconds = readable[1] and 0 or tonumber(timeout) or -1
    local deadline = here.loop.now() + seconds
    local n, which_read, which_write
    local waits = true
    while true do
        n, which_read, which_write = functions.ready(read_fds, write_fds)
        if n > 0 or readable[1] then break end
        local left = seconds > 0 and deadline - here.loop.now() or seconds
        if seconds == 0 then loops.turn(here) end
        if not waits or seconds >= 0 and left <= 0 then
            return readable, writable, 'timeout'
        end
        local err
        waits, err = loops.wait(here, left, read_fds, write_fds)
        if waits == nil then own.misuse('select: ' .. err) end
    end
    add_ready(readable, readers, which_read)
    add_ready(writable, writers, which_write)
    loops.count(here)
    return readable, writable
end

-------------------------------------------------------------------------------
-- sleep

local function sleep(original, here, seconds)
    local number = tonumber(seconds)
    if not number then return own.call('sleep', original, seconds) end
    here.loop.sleep(number < 0 and 0 or number)
end

-------------------------------------------------------------------------------
-- dns

local dns = {}

function dns.getaddrinfo(original, here, host)
    if not is_text(host) then return own.call('getaddrinfo', original, host) end
    return here.loop.resolve(host)
end

-- LuaSocket's description of a host, which is limited to IPv4: the addresses of
-- a name, or the name of an address.
local function describe(here, host)
    local is_address = tostring(host):find '^[%d.]+$'
    local list = (is_address and here.reverse or here.name)(host)
    if not list then return nil end
    local info = {alias = {}, ip = {}}
    for _, entry in ipairs(list) do
        if entry.family == 'inet' then info.ip[#info.ip + 1] = entry.addr end
    end
    info.name = is_address and list[1].name or list.name or host
    if not is_address and info.name ~= host then info.alias[1] = host end
    -- The name of an address without a name is the address itself.
    return info.ip[1] and info.name ~= info.ip[1] and info
end

local UNKNOWN = 'host not found'

function dns.toip(original, here, host)
    if not is_text(host) then return own.call('toip', original, host) end
    local info = describe(here, host)
    if not info then return nil, UNKNOWN end
    return info.ip[1], info
end

function dns.tohostname(original, here, host)
    if not is_text(host) then return own.call('tohostname', original, host) end
    local info = describe(here, host)
    if not info then return nil, UNKNOWN end
    return info.name, info
end

function dns.getnameinfo(original, here, host, service)
    if not is_text(host) or service ~= nil and not is_text(service) then
        return own.call('getnameinfo', original, host, service)
    end
    local list, err = here.reverse(host, service)
    if not list then return nil, err end
    local names = {}
    for i, entry in ipairs(list) do names[i] = entry.name end
    if service ~= nil then return names, list.service end
    return names
end

-------------------------------------------------------------------------------
-- Putting them in place

-- { table, key, original, replacement }
local replaced = {}

local function in_threads(name, original, replacement)
    return function(...)
        local here = loops.here()
        if here then return replacement(original, here, ...) end
        return own.call(name, original, ...)
    end
end

-- Whether the function is replaced already, by a call of replace that failed
-- half-way for example.
local function is_put(table_, key)
    for _, entry in ipairs(replaced) do
        if entry[1] == table_ and entry[2] == key then
            if table_[key] == entry[3] then table_[key] = entry[4] end
            return true
        end
    end
    return false
end

local function put(kind, table_, key, replacement)
    if is_put(table_, key) then return end
    local original = genuine.of(kind, key, table_[key])
    if not original then return end
    local f = in_threads(key, original, replacement)
    replaced[#replaced + 1] = {table_, key, original, f}
    -- A replacement of the program's own stays, and calls ours.
    if table_[key] == original then table_[key] = f end
end

-- The searchers of modules are replaced, since a C module may bring new
-- classes. They are replaced in their list only, not wherever the program
-- refers to them.
local searchers = {}    -- replacement -> original

local function put_searchers()
    local list = package.searchers or package.loaders
    for i, search in ipairs(list) do
        if not searchers[search] then
            list[i] = functions.searcher(search, functions.loaded)
            searchers[list[i]] = search
        end
    end
end

local function restore_searchers()
    local list = package.searchers or package.loaders
    for i, f in ipairs(list) do list[i] = searchers[f] or f end
    searchers = {}
end

-- Replaces the waiting functions in LuaSocket's table.
function functions.replace_in(module)
    put('socket', module, 'connect', connect)
    put('socket', module, 'select', select)
    put('socket', module, 'sleep', sleep)
    for name, f in pairs(dns) do put('dns', module.dns, name, f) end
end

-- Replaces all functions that are not replaced yet. Returns a table: original
-- -> replacement.
function functions.replace()
    functions.replace_in(socket)
    put_searchers()
    local by_original = {}
    for _, entry in ipairs(replaced) do by_original[entry[3]] = entry[4] end
    return by_original
end

-- Puts the originals back, except where the program has replaced ours since.
-- Returns a table: replacement -> original.
function functions.restore()
    local by_replacement = {}
    for _, entry in ipairs(replaced) do
        local table_, key, original, f = unpack(entry)
        by_replacement[f] = original
        if table_[key] == f then table_[key] = original end
    end
    replaced = {}
    restore_searchers()
    return by_replacement
end

return functions
