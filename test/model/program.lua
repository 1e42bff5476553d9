-- Random programs: threads that wait, suspend, resume and start one another,
-- transfer to one another, fail, and communicate through sockets. A program is
-- a table
--
--     {pairs = number of pairs of sockets, threads = list of blocks,
--      symmetric = whether the threads transfer to one another,
--      pipe = whether there is one more pair, whose first socket sends
--      much data to the second one,
--      doors = whether there are two listening sockets}
--
-- and a block is a list of statements {op = name, id = number, ...}. The
-- meaning of each statement is defined twice: in statements.lua for the model,
-- and in real.lua by the module.

local values = require 'fuzz.values'

local chance, pick, random = values.chance, values.pick, values.random

local budget, ids, symmetric, pipe, doors
local sockets    -- whether there may be any

-- Functions of C that call: see `wrapped` in real.lua. The first three catch
-- errors.
local ways = {'pcall', 'pcall', 'xpcall', 'sort', 'sort', 'gsub', 'index',
              'iterator', 'tostring', 'compare'}

local pieces = {'a', 'bc', 'a\r', '\n', 'x\n', 'one\r\ntwo', 'three\n', '\r\n',
                '0123456789'}

-- The place of a statement: direct, whether no function of C is between it and
-- its coroutine; nested, the kind of its coroutine if that isn't a thread of
-- the loop (threads of coro are threads of their own); depth.
local function inside(place, changes)
    local new = {depth = place.depth + 1, direct = place.direct,
                 nested = place.nested}
    for key, value in pairs(changes) do new[key] = value end
    return new
end

local function numbers()
    local list = {}
    for i = 1, random(3) - 1 do list[i] = random(100) end
    return list
end

local block

-- More than a socket's buffers hold.
local large = 256 * 1024

local makers = {
    sleep = function() return {ticks = random(8) - 2} end,
    suspend = function() return {} end,
    resume = function()
        return {target = random(12), values = numbers(), catch = chance(70)}
    end,
    spawn = function(place)
        return {values = numbers(), catch = chance(70),
                block = block(inside(place, {direct = true, nested = false}))}
    end,
    create = function(place)
        return {block = block(inside(place, {direct = true,
                                             nested = 'coro'}))}
    end,
    transfer = function()
        return {target = random(9) - 1, values = numbers(),
                protected = chance(30), catch = chance(70)}
    end,
    coresume = function()
        return {target = random(8) - 1, values = numbers(),
                catch = chance(70)}
    end,
    coyield = function() return {values = numbers(), catch = chance(70)} end,
    safeyield = function()
        return {target = random(3), values = numbers(), catch = chance(70)}
    end,
    safecall = function()
        return {target = random(3), values = numbers(), catch = chance(70)}
    end,
    status = function() return {target = random(8)} end,
    receive = function()
        return {socket = random(6),
                pattern = pick {'*l', '*l', '*a', 0, 1, 3, 5, 12},
                prefix = pick {'', '', '', 'pre', 'p\r'},
                less_is_ok = chance(15)}
    end,
    send = function()
        local data = {}
        for i = 1, random(4) do data[i] = pick(pieces) end
        -- CR and LF neither first nor last: for a line without other bytes it
        -- would be unknown whether it has arrived.
        data = table.concat(data):gsub('^[\r\n]', 'z%0'):gsub('\r$', '')
        return {socket = random(6), data = data}
    end,
    flood = function() return {size = pick {1, 1, 2} * large} end,
    drain = function() return {size = pick {1, 1, 2} * large} end,
    limit = function()
        return {writes = chance(50), ticks = pick {-1, 0, 2, 5}}
    end,
    connect = function() return {door = pick {'path', 'port'}} end,
    accept = function() return {door = pick {'path', 'port'}} end,
    patience = function()
        return {door = pick {'path', 'port'}, mode = pick {'b', 'b', 't'},
                ticks = pick {-1, 0, 1, 2, 3, 5, 8}}
    end,
    shut = function() return {door = pick {'path', 'port'}} end,
    close = function() return {socket = random(6)} end,
    shutdown = function() return {socket = random(6)} end,
    timeout = function()
        return {socket = random(6), mode = pick {'b', 'b', 't'},
                ticks = pick {-1, 0, 1, 2, 3, 5, 8}}
    end,
    call = function(place)
        return {way = pick(ways),
                block = block(inside(place, {direct = false}))}
    end,
    coroutine = function(place)
        local kind = pick {'standard', 'standard', 'coro', 'safe'}
        if kind == 'safe' and not symmetric then kind = 'coro' end
        return {kind = kind,
                block = block(inside(place, {direct = true,
                                             nested = kind}))}
    end,
    yield = function() return {values = numbers()} end,
    fail = function() return {table = chance(30)} end,
    times = function(place)
        return {count = random(3), block = block(inside(place, {}))}
    end,
    time = function() return {} end,
    current = function() return {} end,
    collect = function() return {full = chance(20)} end,
}

local anywhere = {'sleep', 'sleep', 'suspend', 'suspend', 'resume', 'resume',
                  'spawn', 'call', 'call', 'coroutine', 'fail', 'times',
                  'time', 'current', 'collect'}
local with_coro = {'create', 'create', 'transfer', 'transfer', 'transfer',
                   'coresume', 'coresume', 'coyield', 'status', 'coroutine',
                   'safeyield', 'safeyield', 'safecall'}
local with_sockets = {'receive', 'receive', 'receive', 'send', 'send', 'send',
                      'close', 'shutdown', 'timeout', 'timeout'}
local with_doors = {'connect', 'connect', 'connect', 'connect', 'connect',
                    'accept', 'accept', 'accept', 'accept', 'accept',
                    'patience', 'patience', 'shut'}
local has_block = {spawn = true, create = true, call = true, coroutine = true,
                   times = true}

-- Whether a statement can yield here. coro's yield works wherever its coroutine
-- is; coroutine.yield only without a function of C in between, and in a thread
-- of the loop (which it suspends) only if no other thread may resume the thread
-- by coro.
local function may_yield(place)
    return place.nested == 'coro' or place.nested == 'safe' or
           place.direct and (place.nested or not symmetric)
end

local function choose(place)
    if may_yield(place) and chance(place.nested and 30 or 5) then
        return 'yield'
    elseif pipe and chance(25) then
        return pick {'flood', 'flood', 'drain', 'limit', 'limit'}
    elseif doors and chance(40) then
        return pick(with_doors)
    elseif sockets and chance(symmetric and 30 or 50) then
        return pick(with_sockets)
    end
    local op = pick(symmetric and chance(50) and with_coro or anywhere)
    return has_block[op] and place.depth > 4 and 'sleep' or op
end

function block(place)
    local list = {}
    for i = 1, random(5) do
        if budget <= 0 then break end
        budget = budget - 1
        local op = choose(place)
        ids = ids + 1
        local id = ids
        local statement = makers[op](place)
        statement.op, statement.id, statement.place = op, id, place
        list[i] = statement
    end
    return list
end

local function program()
    local pairs_of_sockets = random(3) - 1
    budget, ids = 5 + random(40), 0
    symmetric, pipe, doors = chance(50), chance(15), chance(35)
    sockets = pairs_of_sockets > 0 or doors
    local threads = {}
    for i = 1, random(4) do
        threads[i] = block {depth = 0, direct = true, nested = false}
    end
    return {pairs = pairs_of_sockets, symmetric = symmetric, pipe = pipe,
            doors = doors, threads = threads}
end

-------------------------------------------------------------------------------
-- As text

local function show_value(value)
    if type(value) == 'table' then
        return '{' .. table.concat(value, ', ') .. '}'
    end
    return type(value) == 'string' and ('%q'):format(value) or tostring(value)
end

local function show(list, lines, indent)
    for _, statement in ipairs(list) do
        local words = {}
        for key, value in pairs(statement) do
            if key ~= 'op' and key ~= 'id' and key ~= 'block' and
               key ~= 'place' then
                words[#words + 1] = key .. '=' .. show_value(value)
            end
        end
        table.sort(words)
        lines[#lines + 1] = ('%s%d %s %s'):format(indent, statement.id,
            statement.op, table.concat(words, ' '))
        if statement.block then show(statement.block, lines, indent .. '  ') end
    end
end

local function text(p)
    local lines = {('pairs of sockets: %d'):format(p.pairs)}
    for i, list in ipairs(p.threads) do
        lines[#lines + 1] = 'thread ' .. i
        show(list, lines, '  ')
    end
    return table.concat(lines, '\n')
end

return {make = program, text = text}
