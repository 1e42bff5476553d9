-- Output handler for busted, whose results can be counted even if the run
-- crashes:
--
--     busted -o tools/report.lua -Xoutput FILE
--
-- Appends one line to FILE for each event, at once: 'run NAME', 'pass NAME',
-- 'fail NAME', 'skip NAME', and 'end' at the end of the run. Failures are also
-- written to the standard output, with their message and traceback.

return function(options)
    local busted = require 'busted'
    local handler = require 'busted.outputHandlers.base' ()
    local file = assert(io.open(assert(options.arguments[1]), 'a'))
    file:setvbuf 'no'

    local function note(what, name)
        file:write(what, ' ', (name:gsub('%s+', ' ')), '\n')
    end

    local function text(value)
        if type(value) == 'string' then return value end
        return require 'pl.pretty'.write(value)
    end

    local newest = 'nothing'    -- the latest test

    local function fail(failure, after)
        note('fail', failure.name)
        local trace = failure.trace or {}
        print('not ok: ' .. failure.name .. (after or ''))
        print(text(failure.message))
        print(trace.traceback or '')
        io.stdout:flush()
    end

    local function last(list) return list[#list] end

    function handler.testStart(element)
        newest = handler.getFullName(element)
        note('run', newest)
        return nil, true
    end

    function handler.testEnd(element, _, status)
        if status == 'success' then
            note('pass', handler.getFullName(element))
        elseif status == 'pending' then
            note('skip', handler.getFullName(element))
        else
            fail(last(status == 'failure' and handler.failures
                or handler.errors))
        end
        return nil, true
    end

    -- Failures outside of tests: a file that doesn't compile, a failing setup,
    -- ...
    function handler.outside(element)
        if element.descriptor ~= 'it' then
            fail(last(handler.errors), ' after ' .. newest)
        end
        return nil, true
    end

    function handler.suiteEnd()
        note('end', '')
        return nil, true
    end

    busted.subscribe({'test', 'start'}, handler.testStart)
    busted.subscribe({'test', 'end'}, handler.testEnd)
    busted.subscribe({'error'}, handler.outside)
    busted.subscribe({'failure'}, handler.outside)
    busted.subscribe({'suite', 'end'}, handler.suiteEnd)

    return handler
end
