-- Fetches urls with LuaSocket's socket.http: one after another, then all at
-- once in the loop; without urls 300 pages of http_server.lua, 30 ms each.

local loop = require 'socketloop'
local socket = require 'socket'
local http = require 'socket.http'
local ltn12 = require 'ltn12'

local status = os.execute 'test -t 1'
local back = (status == true or status == 0) and '\r'   -- on a terminal

local function progress(title, done, all)
    if not back and done < all then return end
    local bar = ('#'):rep(math.floor(40 * done / all))
    io.write(back or '', ('%-18s [%-40s] %d/%d'):format(title, bar, done, all),
        done == all and '\n' or '')
    io.flush()
end

local function getpage(url, create)
    local t = {}
    local _, code = http.request {
        url = url, sink = ltn12.sink.table(t), create = create,
    }
    assert(code == 200, url .. ': ' .. tostring(code))
    local expected = 'You asked for ' .. url:match '//[^/]*(.*)' .. '.\n'
    assert(arg[1] or table.concat(t) == expected, url .. ': wrong page')
end

-- Fetches each page in a call of run. Returns the seconds taken.
local function fetch(title, urls, run, create)
    local start, done = loop.now(), 0
    for _, url in ipairs(urls) do
        run(function()
            getpage(url, create)
            done = done + 1
            progress(title, done, #urls)
        end)
    end
    loop.start()
    return loop.now() - start
end

local function compare(urls)
    local slow = fetch('one after another', urls, function(f) f() end)
    local fast = fetch('all at once', urls, loop.newthread, function()
        return loop.wrap(socket.try(socket.tcp()))
    end)
    print(('one after another %.2f s, all at once %.2f s: %.0f times as fast')
        :format(slow, fast, slow / fast))
end

if arg[1] then return compare(arg) end
local server = io.popen(("echo $$; exec '%s' '%s' 0 0.03"):format(
    arg[-1], (arg[0]:gsub('demo%.lua$', 'http_server.lua'))))
local pid, home, urls = server:read(), server:read():match 'http://.*/', {}
for i = 1, 300 do urls[i] = home .. 'page/' .. i end
local ok, err = pcall(compare, urls)
os.execute('kill ' .. pid)
if not ok then error(err, 0) end
