-- Programs that remove or replace `require` after they have loaded socketloop.
-- Each is a process of its own.

local process = require 'process'

describe('without the global require', function()
    after_each(process.cleanup)

    local sandboxes = {
        ['which was set to nil'] = 'require = nil',
        ['which was replaced'] = [[
            require = function(name) error('no ' .. name, 0) end
        ]],
        ['in a strict program'] = [[
            require = nil
            setmetatable(_G, {
                __index = function(_, name) error('no ' .. name, 2) end,
                __newindex = function(_, name) error('no ' .. name, 2) end,
            })
        ]],
    }

    local uses = {
        ['getsocket works'] = [[
            local object = loop.tcp():getsocket()
            assert(tostring(object):match '^tcp')
            assert(loop.udp():getsocket())
            assert(loop.unix():getsocket())
        ]],
        ['the second loop has it, too'] = [[
            assert(loop.coro.tcp():getsocket())
        ]],
        ['install works'] = [[
            local object = loop.tcp():getsocket()
            local undo = loop.install()
            loop.newthread(function()
                local server = loop.tcp('127.0.0.1', 0)
                server:listen()
                object:settimeout(5)
                local ip, port = server:getsockname()
                assert(object:connect(ip, port))
                assert(server:accept()):send 'hello\n'
                assert(object:receive() == 'hello')
            end)
            loop.start()
            undo()
        ]],
        ['starttls finds LuaSec or says that there is none'] = [[
            loop.newthread(function()
                local server = loop.tcp('127.0.0.1', 0)
                server:listen()
                local ip, port = server:getsockname()
                local client = assert(loop.connect(ip, port))
                server:close()
                local _, result, err = pcall(client.starttls, client)
                err = tostring(result) .. tostring(err)
                assert(not err:find('attempt to call', 1, true), err)
                assert(not err:find('no ssl', 1, true), err)
            end)
            loop.start()
        ]],
    }

    for sandbox, taken in pairs(sandboxes) do
        for use, code in pairs(uses) do
            it(sandbox .. ', ' .. use, function()
                local script = [[
                    local loop = require 'socketloop'
                    local kept = rawget(_G, 'require')
                    ]] .. taken .. [[

                    local now = rawget(_G, 'require')
                    assert(now ~= kept)
                    ]] .. code .. [[

                    assert(rawget(_G, 'require') == now)
                    print 'done'
                ]]
                assert.equal('done\n', process.output(script))
            end)
        end
    end
end)

describe('LuaSocket that cannot be loaded', function()
    after_each(process.cleanup)

    it('is no module the next time either', function()
        assert.equal('done\n', process.output [[
            local loop = require 'socketloop'
            package.preload.socket = function() error('no socket today', 0) end
            local s = loop.tcp()
            pcall(s.getsocket, s)
            local _, expected = pcall(require, 'socket')
            local ok, err = pcall(s.getsocket, s)
            assert(not ok)
            assert(err == expected, err)
            print 'done'
        ]])
    end)
end)
