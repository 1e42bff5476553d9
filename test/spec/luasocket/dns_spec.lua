-- socket.dns gives the results in loop threads that it gives outside. Only
-- names that need no network are looked up.

local loop = require 'socketloop'
local names = require 'name_service'
local process = require 'process'
local socket = require 'socket'
local support = require 'support'

local dns, pack = socket.dns, support.pack

-- Returns a list without its duplicates.
local function unique(list)
    local result, seen = {}, {}
    for _, value in ipairs(list) do
        if not seen[value] then result[#result + 1] = value end
        seen[value] = true
    end
    return result
end

-- Returns the results in a comparable form. Error messages differ where a name
-- does not exist and there is no name server. Only LuaSocket knows aliases of
-- the hosts file, and it returns an address twice if the host has several lines
-- there.
local function outcome(...)
    local results = pack(...)
    local info = results[2]
    if results[1] == nil then return {failed = type(info)} end
    if type(info) == 'table' and info.ip then
        results[2] = {name = info.name, ip = unique(info.ip)}
    end
    return results
end

describe('socket.dns in a thread', function()
    support.hooks(before_each, after_each)
    after_each(process.cleanup)

    local hosts = {'localhost', '127.0.0.1', '::1', 'nobody.invalid', '0'}
    for _, name in ipairs {'toip', 'tohostname', 'getaddrinfo',
                           'getnameinfo'} do
        for _, host in ipairs(hosts) do
            it(('gives the results it has outside: %s %s'):format(name, host),
               function()
                if host == 'localhost' and
                   not support.knows_localhost(pending) then
                    return
                end
                if name == 'getnameinfo' and dns.getaddrinfo(host) and
                   not dns.tohostname(host) then
                    return      -- LuaSocket returns garbage
                end
                local expected = outcome(dns[name](host))
                local undo = loop.install()
                local found = support.run(function()
                    return outcome(dns[name](host))
                end)
                undo()
                assert.same(expected, found)
            end)
        end

        it('raises as outside: ' .. name, function()
            local expected = {pcall(dns[name], {})}
            local undo = loop.install()
            local found = support.run(function()
                return {pcall(dns[name], {})}
            end)
            undo()
            assert.is_false(found[1])
            assert.equal(expected[2]:match '%(.*%)',
                         found[2]:match '%(.*%)')
            assert.matches(name, found[2])
        end)
    end

    it('gives addresses whose names are unknown', function()
        if not names.available then
            pending 'the helpers were not built'
            return
        end
        names.script([[
            loop.install()
            run(function()
                local found, service = socket.dns.getnameinfo('+127.0.0.9', 80)
                expect('127.0.0.9', found[1])
                expect(1, #found)
                assert(service and service ~= '')
                expect_error('host not found',
                             socket.dns.tohostname '127.0.0.9')
            end)
        ]], 'NO_NAMES=1; export NO_NAMES')
    end)

    it('gives the name of a service', function()
        if not dns.tohostname '127.0.0.1' then
            pending '127.0.0.1 has no name here'
            return
        end
        local expected = pack(dns.getnameinfo('127.0.0.1', '80'))
        local undo = loop.install()
        local found = support.run(function()
            return pack(dns.getnameinfo('127.0.0.1', '80'))
        end)
        undo()
        assert.same(expected, found)
    end)

    it('gives the name of this host', function()
        local undo = loop.install()
        assert.equal(dns.gethostname(), support.run(dns.gethostname))
        undo()
    end)
end)
