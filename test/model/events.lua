-- The events of a program as the model has them. Each is compared with the one
-- of the module, which has to be the same. Where the order is nobody's business
-- the module's own events say which it was.

local events = {}

local expected, count    -- the module's events; how many the model had

function events.begin(list) expected, count = list, 0 end

-- Adds one; if it is not the module's, raises {wanted = text, at = number}.
function events.add(number, ...)
    local words = {'T' .. number}
    for i = 1, select('#', ...) do
        local word = select(i, ...)
        words[i + 1] = type(word) == 'number' and ('%d'):format(word) or
                       tostring(word)
    end
    local text = table.concat(words, ' ')
    count = count + 1
    if expected[count] ~= text then
        error {wanted = text, at = count}
    end
end

-- There are no more.
function events.finish()
    if count ~= #expected then error {wanted = 'nothing', at = count + 1} end
end

-- The number of the thread that does something next, in the module.
function events.next_number()
    local text = expected[count + 1]
    return text and tonumber(text:match '^T(%d+)')
end

-- Whether the next that happens there is the end of that very statement.
function events.ends_next(number, s)
    local start = ('T%d %d '):format(number, s.id)
    local text = expected[count + 1]
    return text ~= nil and text:sub(1, #start) == start
end

-- Whether it ends with that result.
function events.ends_with(number, s, result)
    return expected[count + 1] == ('T%d %d %s'):format(number, s.id, result)
end

-- The size that the statement ends with, if it ends with that error, else 0.
function events.size(number, s, err)
    local text = expected[count + 1] or ''
    local size, rest = text:match(('^T%d %d (%%d+) (.*)$'):format(number, s.id))
    return rest == err and tonumber(size) or 0
end

return events
