-- A DNS server over UDP and its clients, with packets as in RFC 1035.

local loop = require 'socketloop'
local support = require 'support'

local pack, run, track = support.pack, support.run, support.track
local close = support.close

local function word(n)
    return string.char(math.floor(n / 256), n % 256)
end

local function encode_name(name)
    return (name:gsub('([^.]+)%.?', function(label)
        return string.char(#label) .. label
    end)) .. '\0'
end

local function query(id, name)
    return word(id) .. word(0x0100) .. word(1) .. ('\0'):rep(6) ..
        encode_name(name) .. word(1) .. word(1)
end

-- Returns the name in a query and the position after the name.
local function decode_name(packet, at)
    local labels = {}
    while packet:byte(at) ~= 0 do
        local size = packet:byte(at)
        labels[#labels + 1] = packet:sub(at + 1, at + size)
        at = at + size + 1
    end
    return table.concat(labels, '.'), at + 1
end

local function answer(packet, address)
    local _, past = decode_name(packet, 13)
    local question = packet:sub(13, past + 3)
    return packet:sub(1, 2) .. word(0x8180) .. word(1) .. word(1) ..
        ('\0'):rep(4) .. question .. word(0xc00c) .. word(1) .. word(1) ..
        ('\0'):rep(2) .. word(60) .. word(4) ..
        address:gsub('(%d+)%.?', function(byte)
            return string.char(byte)
        end)
end

-- Returns the address in the answer to the query with that ID.
local function decode_answer(packet, id)
    if packet:sub(1, 2) ~= word(id) then return nil end
    return table.concat({packet:byte(-4, -1)}, '.')
end

describe('A name server over UDP', function()
    support.hooks(before_each, after_each)

    -- Answers each query for which lost(name, number of the query) is false.
    local function serve(lost)
        local server = track(loop.udp('127.0.0.1', 0))
        local asked = {}
        loop.newthread(function()
            while true do
                local packet, host, port = server:receivefrom()
                if not packet then return end
                local name = decode_name(packet, 13)
                asked[name] = (asked[name] or 0) + 1
                if not lost(name, asked[name]) then
                    local number = name:match '%d+'
                    server:sendto(answer(packet, '10.0.0.' .. number), host,
                        port)
                end
            end
        end)
        return server, support.port(server)
    end

    -- Repeats a query that is not answered, as resolvers do.
    local function lookup(s, id, name, tries)
        for _ = 1, tries do
            assert(s:send(query(id, name)))
            local packet, err = s:receive()
            if packet then return decode_answer(packet, id) end
            if err ~= 'timeout' then return nil, err end
        end
        return nil, 'timeout'
    end

    it('answers', function()
        run(function()
            local server, port = serve(function() end)
            local s = loop.udp()
            assert(s:setpeername('127.0.0.1', port))
            s:settimeout(5)
            assert.equal('10.0.0.7', lookup(s, 4711, 'host7.example', 1))
            assert.equal('10.0.0.8', lookup(s, 4712, 'host8.example', 1))
            close(s, server)
        end)
    end)

    it('is asked again when a datagram is lost', function()
        run(function()
            local server, port = serve(function(_, n) return n < 3 end)
            local s = loop.udp()
            assert(s:setpeername('127.0.0.1', port))
            s:settimeout(0.01)
            assert.equal('10.0.0.7', lookup(s, 1, 'host7.example', 100))
            close(s, server)
        end)
    end)

    it('is given up when it never answers', function()
        run(function()
            local server, port = serve(function() return true end)
            local s = loop.udp()
            assert(s:setpeername('127.0.0.1', port))
            s:settimeout(0.005)
            assert.same(pack(nil, 'timeout'),
                pack(lookup(s, 1, 'host1.example', 3)))
            server:close()
            -- No server: reported by this call or by the next one.
            s:settimeout(5)
            local _, err = lookup(s, 2, 'host1.example', 2)
            assert.equal('connection refused', err)
            s:close()
        end)
    end)

    it('is asked by a hundred threads', function()
        run(function()
            local server, port = serve(function(name, n)
                return name:match '%d+' % 10 == 0 and n == 1
            end)
            local found = 0
            for i = 1, 100 do
                loop.newthread(function()
                    local s = loop.udp()
                    assert(s:setpeername('127.0.0.1', port))
                    s:settimeout(i % 10 == 0 and 0.05 or 5)
                    local name = ('host%d.example'):format(i)
                    assert.equal('10.0.0.' .. i, lookup(s, i, name, 50))
                    found = found + 1
                    s:close()
                end)
            end
            assert.is_true(support.eventually(function()
                return found == 100
            end))
            server:close()
        end)
    end)
end)
