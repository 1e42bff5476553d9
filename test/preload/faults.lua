-- Many conversations at once, in which each side checks every byte:
--
--     lua faults.lua CONVERSATIONS AT-ONCE [may-fail] [accept]
--
-- The environment variable HOST is the server's host. Prints how the
-- conversations ended, or which bytes were wrong. Runs under faults.c, and
-- hence without LuaSocket.

local loop = require 'socketloop'

local total, at_once = tonumber(arg[1]), tonumber(arg[2])
local may_fail, accepts = arg[3] == 'may-fail', arg[#arg] == 'accept'
local limit = tonumber(os.getenv 'SOCKETLOOP_TEST_LIMIT') or 30

local function wrong(what, id)
    io.write(('conversation %s: %s\n'):format(tostring(id), what))
    os.exit(1)
end

-- Returns the text of a round. All texts differ; some are longer than a window.
local function text(id, round)
    local size = (id * 31 + round * 17) % 300
    if id % 40 == 0 and round == 2 then size = 300000 end
    local piece = ('%d:%d;'):format(id, round)
    return piece:rep(math.ceil(size / #piece)):sub(1, size)
end

-- An error is allowed where calls fail for good; wrong bytes are not.
local function failed(id, err, partial, expected)
    if partial ~= expected:sub(1, #partial) then
        wrong('wrong bytes before ' .. err, id)
    end
    if not may_fail then wrong(err, id) end
    return false
end

local function expect(s, id, pattern, expected)
    local data, err, partial = s:receive(pattern)
    if not data and pattern == '*a' and expected == '' and
        err == 'closed' then
        return true
    end
    if not data then return failed(id, err, partial, expected) end
    if data == expected then return true end
    if may_fail and pattern == '*a' then    -- the end came early
        return failed(id, 'closed', data, expected)
    end
    wrong('wrong bytes', id)
end

local function say(s, id, data)
    local sent, err, last = s:send(data)
    if sent == #data then return true end
    if sent or last > #data then wrong('sent too much', id) end
    if not may_fail then wrong(err, id) end
    return false
end

-- A request is '12 2 line\n', followed by a line, or '12 1 36\n', followed by
-- so many bytes. The answer is the reversed text. '12 0 end\n' ends the
-- conversation.
local function serve(client)
    local id
    while true do
        local header, err = client:receive()
        if not header then
            if not may_fail then wrong('server: ' .. err, id) end
            break
        end
        local own, round, size = header:match '^(%d+) (%d+) (%w+)$'
        if not own or (id and own ~= id) then
            wrong('header: ' .. header, id)
        end
        id = own
        if size == 'end' then
            expect(client, id, '*a', '')
            say(client, id, 'end of ' .. id)
            break
        end
        local expected = text(tonumber(id), tonumber(round))
        if not expect(client, id, tonumber(size) or '*l', expected) or
            not say(client, id, expected:reverse()) then
            return client:close()
        end
    end
    client:close()
end

local function talk(s, id)
    for round = 1, 3 do
        local said = text(id, round)
        local as_line = (id + round) % 2 == 0
        local size = as_line and 'line' or #said
        if not say(s, id, ('%d %d %s\n'):format(id, round, size)) or
            not say(s, id, said .. (as_line and '\n' or '')) or
            not expect(s, id, #said, said:reverse()) then
            return false
        end
    end
    if not say(s, id, id .. ' 0 end\n') then return false end
    s:shutdown 'send'
    return expect(s, id, '*a', 'end of ' .. id)
end

-- A server written with accept sees errors that newserver does not report.
local function accept(listener)
    local lacks = {
        ['Too many open files'] = true, ['not enough memory'] = true,
        ['Too many open files in system'] = true,
    }
    assert(listener:listen(1024))
    loop.newthread(function()
        while true do
            local client, err = listener:accept()
            if client then
                loop.newthread(serve, client)
            elseif err == 'closed' and listener:getfd() < 0 then
                break
            elseif not lacks[err] then
                wrong('accept: ' .. err, 'all')
            end
        end
    end)
    return listener
end

local host = os.getenv 'HOST' or '127.0.0.1'
local server = accepts and accept(loop.tcp('*', 0)) or
    loop.newserver('*', 0, serve)
local _, port = server:getsockname()
local next_id, open, complete, broken = 1, 0, 0, 0

local function work()
    while next_id <= total do
        local id = next_id
        next_id = id + 1
        open = open + 1
        local s, err = loop.connect(host, port)
        if not s and not may_fail then wrong('connect: ' .. err, id) end
        if s and talk(s, id) then
            complete = complete + 1
        else
            broken = broken + 1
        end
        if s then s:close() end
        open = open - 1
    end
    if complete + broken == total then server:close() end
end

for _ = 1, at_once do loop.newthread(work) end
local deadline = loop.now() + limit
while loop.step(1) do
    if loop.now() > deadline then
        wrong(open .. ' hang, ' .. complete .. ' are complete', 'all')
    end
end
io.write(('%d complete, %d broken\n'):format(complete, broken))
