-- Lists of values that every switch between threads must pass unchanged.

local support = require 'support'

local pack, unpack = support.pack, support.unpack

local lists = {}

-- Returns the numbers 1 to n.
function lists.numbers(n)
    local list = {}
    for i = 1, n do list[i] = i end
    return unpack(list, 1, n)
end

local all = {
    ['no value'] = pack(),
    ['one value'] = pack 'x',
    ['one nil'] = pack(nil),
    ['a false'] = pack(false),
    ['nils among others'] = pack(nil, 1, nil, {}, false, nil, nil),
    ['nils only'] = pack(nil, nil, nil),
    ['a hundred values'] = pack(lists.numbers(100)),
    ['250 values'] = pack(lists.numbers(250)),
}

-- Calls send(...) with each of the lists. send must return a pack of equal
-- values.
function lists.passes_all(send)
    for name, list in pairs(all) do
        local got = send(unpack(list, 1, list.n))
        if type(got) ~= 'table' then error(name .. ': got no list', 2) end
        if list.n ~= got.n then
            error(('%s: got %s values'):format(name, tostring(got.n)), 2)
        end
        for i = 1, list.n do
            if not rawequal(list[i], got[i]) then
                error(name .. ': got ' .. tostring(got[i]), 2)
            end
        end
    end
end

return lists
