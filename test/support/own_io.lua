-- Objects that do their own I/O, in plain Lua on top of LuaSocket: they move
-- one byte at a time, and after each few bytes report that they want to read or
-- to write.

local loop = require 'socketloop'
local support = require 'support'

local methods = {}

local own_io = {methods = methods}

-- opts: step, the number of bytes a call moves; read and write, the errors that
-- mean the object has to wait (a list is used up in order, except its last
-- one).
function own_io.object(inner, opts)
    inner:settimeout(0)
    local self = {
        inner = inner, opts = opts or {}, calls = 0, prefixes = 0,
        closed = 0, timeouts = 0,
    }
    return setmetatable(self, {__index = methods})
end

-- Returns a loop socket with such an object, its plain peer, and the object.
function own_io.pair(opts)
    local client, peer = support.plain.pair()
    local object = own_io.object(client, opts)
    return support.track(loop.wrap(object)), peer, object
end

local function word(words, default)
    if type(words) ~= 'table' then return words or default end
    return #words > 1 and table.remove(words, 1) or words[1]
end

function methods:getfd() return self.inner:getfd() end
function methods:settimeout(t) self.timeouts = t return 1 end
function methods:dirty()
    return self.pending ~= nil or self.inner:dirty()
end

function methods:close()
    self.closed = self.closed + 1
    return self.inner:close()
end

-- Returns one byte, or nil and an error.
local function get(self)
    if self.pending then
        local byte = self.pending:sub(1, 1)
        self.pending = #self.pending > 1 and self.pending:sub(2) or nil
        return byte
    end
    local byte, err = self.inner:receive(1)
    return byte, err == 'timeout' and word(self.opts.read, 'wantread') or err
end

function methods:receive(pattern, prefix)
    local bytes, moved = {prefix}, 0
    local byte, err
    self.calls = self.calls + 1
    self.prefixes = self.prefixes + #(prefix or '')
    self.pattern = pattern
    while true do
        local all = table.concat(bytes)
        if #all == pattern then return all end
        if moved == (self.opts.step or math.huge) then
            return nil, 'wantread', all
        end
        byte, err = get(self)
        if not byte then break end
        moved = moved + 1
        if pattern == '*l' and byte == '\n' then
            return (all:gsub('\r', ''))
        end
        bytes = {all .. byte}
    end
    local all = table.concat(bytes)
    if pattern == '*a' and err == 'closed' and moved > 0 then return all end
    return nil, err, all
end

function methods:send(data, i, j)
    self.calls = self.calls + 1
    local last = math.min(j, i - 1 + (self.opts.step or math.huge))
    local sent, err, partial = self.inner:send(data, i, last)
    if sent == j then return sent end
    if err == 'timeout' then err = nil end
    return nil, err or word(self.opts.write, 'wantwrite'), sent or partial
end

function methods:sum(...)
    local sum = 0
    for i = 1, select('#', ...) do sum = sum + select(i, ...) end
    return self, sum
end

return own_io
