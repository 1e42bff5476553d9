-- Building, installing and running from a clone: for each Lua, whatever its
-- command is called; the commands of the README; and refused builds.

local lfs = require 'lfs'
local process = require 'process'
local support = require 'support'

local quote = process.quote
local root = process.folder:match '^(.*)/test$'
local own = support.luajit and 'luajit' or 'lua' .. support.lua_version

-- The version of Lua as it appears in commands.
local version = own:match '%d.*' or 'luajit'

-- Runs a shell command in the root with the build of this test run and without
-- settings of an outer make. Returns its status and output.
local function run(command, ...)
    return process.run(('cd %s; unset MAKEFLAGS MFLAGS MAKELEVEL; '):format(
        quote(root)) .. command:format(...))
end

local function make(command, ...)
    return run('exec make OUT=%s ' .. command, quote(process.built), ...)
end

-- Makes a folder with programs in it: name -> script.
local function programs(scripts)
    local folder = process.tempdir()
    for name, script in pairs(scripts) do
        process.write_file(folder .. '/' .. name, '#!/bin/sh\n' .. script)
        os.execute('chmod +x ' .. quote(folder .. '/' .. name))
    end
    return folder
end

-- Makes a command of that name that runs this Lua. Returns the command's
-- folder.
local function lua_called(name)
    local folder = programs {
        [name] = ('exec %s "$@"\n'):format(quote(process.interpreter)),
    }
    return folder .. '/' .. name, folder
end

describe('A Lua to build for', function()
    after_each(process.cleanup)

    for _, name in ipairs {'lua', 'lua54', 'luajit-2.1', 'other'} do
        it('may be called ' .. name, function()
            local path, folder = lua_called(name)
            local status, output = run('tools/lua.sh %s cc', quote(path))
            assert.equal(0, status, output)
            assert.equal(version, output:match '^%S+')
            local by_name = select(2, run('PATH=%s:$PATH tools/lua.sh %s cc',
                                          quote(folder), name))
            assert.equal(output, by_name)
        end)
    end

    it('is refused if its version is unknown', function()
        for _, name in ipairs {'lua', 'true', 'cat', '/nowhere/lua'} do
            local folder = programs {lua = 'exit 1\n'}
            local status, output = run('PATH=%s:$PATH tools/lua.sh %s cc',
                                       quote(folder), name)
            assert.equal(1, status, output)
            assert.matches("doesn't run, and its name tells no version", output,
                           1, true)
        end
    end)

    it('is refused with the headers of another', function()
        local other = own == 'lua5.4' and 'lua5.3' or 'lua5.4'
        local status, output = run(
            'tools/lua.sh %s cc "$(pkg-config --cflags %s)"', own, other)
        assert.equal(1, status, output)
        assert.matches('leads to headers of ' .. other:sub(4), output, 1, true)
    end)

    it('is not built for without a compiler, but packages are named',
       function()
        local none = programs {['dpkg-query'] = 'exit 1\n',
                               ['apt-get'] = 'exit 1\n'}
        local status, output = run(
            'PATH=%s:$PATH make LUA=%s CC=none OUT=%s', quote(none), own,
            quote(none))
        assert.equal(2, status, output)
        assert.matches('there is no compiler: none', output, 1, true)
        assert.matches('apt-get install --no-install-recommends gcc ', output,
                       1, true)
        assert.matches(' lib' .. own .. '%S*-dev', output)
    end)
end)

describe('The module', function()
    after_each(process.cleanup)

    -- The modules of all Luas that have been built, and always Lua 5.1's for
    -- LuaJIT and LuaJIT's for Lua 5.1, since these two load each other's
    -- modules.
    for _, other in ipairs {'lua5.1', 'lua5.2', 'lua5.3', 'lua5.4', 'luajit'} do
        local file = root .. '/build/' .. other .. '/socketloop.so'
        local twin = (own .. other):match '^lua5.1luajit$' or
            (own .. other):match '^luajitlua5.1$'
        if other ~= own and (twin or lfs.attributes(file)) then
            it('that was built for ' .. other .. ' is refused', function()
                local output = process.output(([[
                    for _, name in ipairs {'socketloop', 'socketloop_coro',
                                           'socketloop_symmetric'} do
                        local open, err = package.loadlib(%q,
                                                          'luaopen_' .. name)
                        if open then err = select(2, pcall(open, name)) end
                        print(err)
                    end
                ]]):format(file))
                local pattern = twin and
                    'this socketloop was built for %S+ [^\n]* loaded by' or
                    'undefined symbol'
                assert.equal(3, support.count(output, pattern), output)
            end)
        end
    end
end)

-- Tests of the README's commands, by their first words. tools/check.sh tests
-- luarocks.
local commands = {['luarocks make'] = function() end}

local readme = process.read_file 'README.md'

commands['make install'] = function(words)
    local prefix = process.tempdir()
    local command = words:gsub('LUA=%S+', 'LUA=' .. quote(lua_called 'lua54'))
        :gsub('PREFIX=%S+', 'PREFIX=' .. quote(prefix))
    local status, output = make(command:match '^make (.*)')
    assert.equal(0, status, output)
    local folder = 'lua/' .. version:gsub('luajit', '5.1')
    for _, name in ipairs {
        'lib/%s/socketloop.so', 'share/%s/coro.lua',
        'share/%s/socketloop/tls.lua', 'include/socketloop.h',
    } do
        name = prefix .. '/' .. name:format(folder)
        assert.truthy(lfs.attributes(name), name)
    end
end

commands['make demo'] = function()
    local server = process.start(quote(process.interpreter) ..
                                 ' examples/http_server.lua')
    local url = server:expect(function(output)
        return output:match 'http://%S+'
    end)
    local status, output = make('demo LUA=%s URLS=%s',
                                quote(process.interpreter), url)
    assert.equal(0, status, output)
    assert.matches('all at once %d+%.%d+ s', output)
end

commands['make run'] = function(words)
    local program = process.start(('cd %s; exec make OUT=%s LUA=%s %s'):format(
        quote(root), quote(process.built), quote(process.interpreter),
        words:match '^make (.*)'))
    local port = program:expect(function(output)
        return output:match 'listening on 127.0.0.1, port (%d+)'
    end)
    local client = support.plain.connect(port)
    client:send 'hello\n'
    assert.equal('hello', client:receive())
    client:close()
    program:stop()
end

-- `make test` of two specs, one of which fails with much output. Variants are
-- left out, because they are slow.
commands['make test'] = function()
    if process.built:match '[^/]*$' ~= own then return end
    local folder = process.tempdir()
    process.write_file(folder .. '/a_spec.lua', [[
        it('passes', function() end)
        it('passes, too', function() assert.truthy(require 'socketloop') end)
    ]])
    process.write_file(folder .. '/b_spec.lua', [[
        it('fails', function() error 'here' end)
        for i = 1, 500 do it(('x'):rep(400) .. i, function() end) end
    ]])
    local status, output = run(
        'SPECS=%s FILTER= exec make test TEST_RUNS=%s:poll', folder, own)
    assert.equal(2, status, output)
    assert.matches('\n502 passed, 1 failed\n', output)
    run('rm -r build/%s', output:match 'build/(report%.%w+)/')
    os.remove(folder .. '/b_spec.lua')
    status, output = run(
        'SPECS=%s FILTER= exec make -s test TEST_RUNS=%s:poll', folder, own)
    assert.equal(0, status, output)
    assert.matches('\n2 passed, 0 failed\n$', output)
end

describe("The README's command", function()
    after_each(process.cleanup)

    for block in readme:gmatch '\n```sh\n(.-)```' do
        for line in block:gmatch '[^\n]+' do
            local words = line:match '^(.-)%s*#' or line
            it(words .. ' works', function()
                commands[words:match '^%S+ %S+'](words)
            end)
        end
    end
end)

describe('The command of examples/copy.c', function()
    after_each(process.cleanup)

    it('compiles it', function()
        local text = process.read_file 'examples/copy.c'
        local command = text:match '\n %* +(cc .-copy%.c)\n'
        local file = process.tempdir() .. '/copy.so'
        command = command:gsub('\\\n %*', ''):gsub('copy%.so', quote(file))
            :gsub('%-I%S*lua5.4', '$(pkg-config --cflags ' .. own .. ')')
        local status, output = run((command:gsub('%%', '%%%%')))
        assert.equal(0, status, output)
        assert.truthy(package.loadlib(file, 'luaopen_copy'))
    end)
end)

describe('The check of the arrows', function()
    after_each(process.cleanup)

    -- Runs the check on a src/ with these files and these exceptions.
    local function check(files, exceptions)
        local folder = process.tempdir()
        process.write_file(folder .. '/list', exceptions or '')
        for path, text in pairs(files) do
            os.execute(('mkdir -p %s/$(dirname %s)'):format(
                quote(folder .. '/src'), path))
            process.write_file(folder .. '/src/' .. path, text)
        end
        return run('%s tools/arrows.lua %s/list %s/src',
                   quote(process.interpreter), quote(folder), quote(folder))
    end

    local function refuses(line, files, exceptions)
        local status, output = check(files, exceptions)
        assert.equal(1, status, output)
        assert.equal(line .. '\n', output)
    end

    it('counts the arrows that are right', function()
        local _, output = check {
            ['os/fd.h'] = '#include <unistd.h>\n#include <errno.h>\n',
            ['loop/loop.h'] = '#include <lua.h>\n',
            ['loop/loop.c'] = '#include "loop/loop.h"\n#include "os/fd.h"\n',
            ['api.c'] = '#include "socketloop.h"\n#include "loop/loop.h"\n',
        }
        assert.equal('the arrows: 4 files, 7 includes, no exception\n', output)
    end)

    it('fails where one points up', function()
        refuses('not allowed: loop/loop.c socket/a.h', {
            ['loop/loop.c'] = '#include "socket/a.h"\n', ['socket/a.h'] = '',
        })
    end)

    it('fails where a system header is used outside os/', function()
        refuses('not allowed: loop/loop.c poll.h',
                {['loop/loop.c'] = '#include <poll.h>\n'})
    end)

    it('fails where os/ uses Lua', function()
        refuses('not allowed: os/fd.c lua.h',
                {['os/fd.c'] = '#include <lua.h>\n'})
    end)

    it('fails where files form a circle', function()
        refuses('not allowed: circle os/a\nnot allowed: circle os/b', {
            ['os/a.c'] = '#include "os/a.h"\n#include "os/b.h"\n',
            ['os/a.h'] = '',
            ['os/b.h'] = '#include "os/c.h"\n#include "os/a.h"\n',
            ['os/c.h'] = '',
        })
    end)

    it('lets exceptions pass, while they are needed', function()
        local files = {['loop/loop.c'] = '#include <poll.h>\n'}
        local _, output = check(files, 'loop/loop.c poll.h\n')
        assert.equal('the arrows: 1 files, 1 includes, 1 exceptions\n', output)
        files['loop/loop.c'] = ''
        refuses('no longer needed: loop/loop.c poll.h', files,
                'loop/loop.c poll.h\n')
    end)
end)
