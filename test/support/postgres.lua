-- A small client for PostgreSQL, as commonly written on LuaSocket: protocol 3
-- without passwords, simple queries, values as text. It does not know loops.

local socket = require 'socket'

local postgres = {}
postgres.__index = postgres

local tcp = socket.tcp      -- kept in a local, as in many modules

-------------------------------------------------------------------------------
-- Numbers of 16 and 32 bits, big-endian

local function pack32(n)
    return string.char(math.floor(n / 0x1000000) % 256,
                       math.floor(n / 0x10000) % 256,
                       math.floor(n / 0x100) % 256, n % 256)
end

-- All negative numbers become -1, the length of NULL.
local function unpack32(text, at)
    local a, b, c, d = text:byte(at or 1, (at or 1) + 3)
    if a >= 128 then return -1 end
    return ((a * 256 + b) * 256 + c) * 256 + d
end

local function unpack16(text, at)
    local a, b = text:byte(at, at + 1)
    return a * 256 + b
end

-------------------------------------------------------------------------------
-- Messages

-- Returns the next message: its letter and its body. Raises if none arrives.
local function receive(self)
    local head = assert(self.socket:receive(5))
    local size = unpack32(head, 2) - 4
    local body = size > 0 and assert(self.socket:receive(size)) or ''
    return head:sub(1, 1), body
end

local function send(self, letter, body)
    return assert(self.socket:send(letter .. pack32(#body + 4) .. body))
end

-- Returns an error's fields: {S = 'ERROR', C = '42601', M = 'syntax error'}.
local function fields(body)
    local result = {}
    for key, value in body:gmatch '(%a)(%Z+)%z' do result[key] = value end
    return result
end

-- Returns the values of one row by the names of their columns.
local function row(columns, body)
    local result, at = {}, 3
    for i = 1, unpack16(body, 1) do
        local size = unpack32(body, at)
        at = at + 4
        if size >= 0 then
            result[columns[i]] = body:sub(at, at + size - 1)
            at = at + size
        end
    end
    return result
end

local function column_names(body)
    local names, at = {}, 3
    for i = 1, unpack16(body, 1) do
        local stop = body:find('%z', at)
        names[i] = body:sub(at, stop - 1)
        at = stop + 19
    end
    return names
end

-------------------------------------------------------------------------------

-- Returns a connected client, or nil and an error.
function postgres.connect(host, port, user, database)
    local self = setmetatable({socket = assert(tcp())}, postgres)
    local ok, err = self.socket:connect(host, port)
    if not ok then
        self.socket:close()
        return nil, err
    end
    send(self, '', '\0\3\0\0user\0' .. user .. '\0database\0' .. database ..
         '\0\0')
    repeat
        local letter, body = receive(self)
        if letter == 'E' then
            self.socket:close()
            return nil, fields(body).M
        end
    until letter == 'Z'
    return self
end

-- Returns the rows of a query, or nil and the server's error.
function postgres:query(text)
    send(self, 'Q', text .. '\0')
    local columns, rows, err = {}, {}
    while true do
        local letter, body = receive(self)
        if letter == 'T' then
            columns = column_names(body)
        elseif letter == 'D' then
            rows[#rows + 1] = row(columns, body)
        elseif letter == 'E' then
            err = fields(body).M
        elseif letter == 'Z' then
            if err then return nil, err end
            return rows
        end
    end
end

function postgres:close()
    send(self, 'X', '')
    self.socket:close()
end

return postgres
