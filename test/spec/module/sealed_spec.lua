-- Without the debug library a program reaches none of the module's metatables,
-- so it can neither change one nor give it to another value.

local process = require 'process'

local program = [[
    local socket = require 'socket'
    debug, package.loaded.debug = nil, nil
    local loop, coro = require 'socketloop', require 'coro'
    local roots = {loop, coro, package.loaded}

    local function add(...)
        for i = 1, select('#', ...) do
            roots[#roots + 1] = (select(i, ...))
        end
    end

    loop.onerror = add
    add(loop.install())
    local server = loop.newserver('127.0.0.1', 0, function(client)
        client.field = 1
        add(client, client:getsocket(), loop.current())
        error {}
    end)
    local _, port = server:getsockname()
    add(server, loop.udp(), loop.unix(), loop.tcp(), loop.coro.tcp())
    add(loop.wrap(socket.udp()), loop.newthread(loop.suspend))
    local closed = loop.tcp('127.0.0.1', 0)
    closed:close()
    add(closed, coro.create(print), coro.wrap(print))
    local done
    add(loop.newthread(function()
        local client = assert(loop.connect('127.0.0.1', port))
        add(client, client.socket, client.receive, client:receive())
        add(select(2, pcall(client.receive, 1)))
        add(select(2, pcall(loop.wrap, {})))
        add(loop.resolve '127.0.0.1')
        local object = assert(socket.connect('127.0.0.1', port))
        add(object, object:receive())
        object:close()
        server:close()
        done = true
    end))
    loop.start()
    assert(done and #roots > 20)

    local seen, ours = {}, 0
    local visit

    local function visit_userdata(value)
        local class = getmetatable(value)
        if class == 'socketloop_watcher' then
            assert(value.__gc == nil, 'a finalizer is reached')
            return
        end
        local ok, kind = pcall(function() return value.type end)
        if ok and kind == 'socketloop_socket' then
            assert(class == kind, 'a metatable is reached')
            ours = ours + 1
            for _, name in ipairs {'socket', 'field', 'close', 'x'} do
                visit(value[name])
            end
        elseif type(class) == 'table' then
            local name = tostring(value)
            assert(name:find '^file' or name:find '^tcp{' or
                   name:find '^udp{' or name:find '^unix', name)
        end
    end

    function visit(value)
        local kind = type(value)
        if kind ~= 'table' and kind ~= 'userdata' or seen[value] then return end
        seen[value] = true
        if kind == 'userdata' then return visit_userdata(value) end
        assert(rawget(value, '__metatable') ~= 'socketloop_socket',
               'a metatable is reached')
        visit(getmetatable(value))
        for key, field in next, value do
            visit(key)
            visit(field)
        end
    end

    for i = 1, #roots do visit(roots[i]) end
    assert(ours >= 9, ours)
    print 'done'
]]

describe("The module's metatables", function()
    after_each(process.cleanup)

    it('are not reached without the debug library', function()
        assert.matches('done', process.output(program))
    end)
end)
