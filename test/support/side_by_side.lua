-- Comparison tests: a function is run with LuaSocket's objects and with loop
-- sockets, and must give equal results.

local assert = require 'luassert'
local support = require 'support'

local pack = support.pack

local compare = {}

-- Returns the notes of f(make, note). note(...) records its arguments, changed
-- by normal; note.err(f, ...) records the error of f, without the function's
-- name.
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

-- Returns a function that defines tests, by busted's function: each(name, f)
-- compares the notes of f with the objects that `plain` makes and with those of
-- each of `makers`. normal, if given, changes a pack of values in place, and
-- returns it, where differences are intended.
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
