-- Side by side: the same function with LuaSocket's objects and with ours, which
-- must give the same.

local assert = require 'luassert'
local support = require 'support'

local pack = support.pack

local compare = {}

-- What f(make, note) notes down. note(...) keeps the values, as normal gives
-- them, and note.err(f, ...) what it raises, without the name of the function.
function compare.notes(f, make, normal)
    local all = {}
    local note = setmetatable({
        err = function(g, ...)
            local ok, err = pcall(g, ...)
            all[#all + 1] = {ok, ok or err:match '%((.*)%)'}
        end,
    }, {__call = function(_, ...)
        all[#all + 1] = normal and normal(pack(...)) or pack(...)
    end})
    f(make, note)
    return all
end

-- A function that defines tests, with busted's function: each(name, f) compares
-- what f gives with the objects that `plain` makes and with those of each of
-- our makers. normal, if given, changes a pack of values in place, and returns
-- it, where we are different on purpose.
function compare.tests(it, makers, plain, normal)
    local notes = compare.notes
    local function make_plain() return support.track(assert(plain())) end
    return function(name, f)
        for kind, make in pairs(makers) do
            it(name .. ' (' .. kind .. ')', function()
                local expected = notes(f, make_plain, normal)
                assert.is_true(#expected > 0)
                assert.same(expected, support.run(notes, f, make, normal))
            end)
        end
    end
end

return compare
