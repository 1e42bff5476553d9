-- The events of a program according to the model. Each is compared with the
-- event of the module, which must be equal. Where the order is unspecified, the
-- model follows the module's events.

local events = {}

local expected, count    -- the module's events; how many the model had

function events.begin(list) expected, count = list, 0 end

-- Adds an event. If it differs from the module's, raises {wanted = text, at =
-- number}.
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

-- Asserts that the module has no more events.
function events.finish()
    if count ~= #expected then error {wanted = 'nothing', at = count + 1} end
end

-- Returns the number of the thread whose event in the module is next.
function events.next_number()
    local text = expected[count + 1]
    return text and tonumber(text:match '^T(%d+)')
end

-- Whether the module's next event is the end of this statement.
function events.ends_next(number, s)
    local start = ('T%d %d '):format(number, s.id)
    local text = expected[count + 1]
    return text ~= nil and text:sub(1, #start) == start
end

-- Whether the module's next event is the end of this statement with that
-- result.
function events.ends_with(number, s, result)
    return expected[count + 1] == ('T%d %d %s'):format(number, s.id, result)
end

-- Returns the size in the module's next event if that is the statement's end
-- with this error, else 0.
function events.size(number, s, err)
    local text = expected[count + 1] or ''
    local size, rest = text:match(('^T%d %d (%%d+) (.*)$'):format(number, s.id))
    return rest == err and tonumber(size) or 0
end

return events
