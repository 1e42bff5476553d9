-- Programs for the specs. They are started in the background, known by their
-- process ID, waited for with a bound, and ended also when a test fails. Lua
-- scripts are run by the interpreter that runs the specs.
--
-- Each program runs under coreutils' timeout, so that none outlives a runner
-- that was killed. Its output goes to a file in a temporary folder.
-- process.cleanup, called by after_each or teardown, ends the programs that
-- still run and removes the folders.

local socket = require 'socket'

local process = {}

-- The maximum lifetime of a program and length of a wait, in seconds.
process.limit = 60

local folders, running = {}, {}

-------------------------------------------------------------------------------
-- The shell

function process.quote(word)
    return "'" .. tostring(word):gsub("'", [['\'']]) .. "'"
end
local quote = process.quote

local function output_of(command)
    local pipe = assert(io.popen(command, 'r'))
    local text = pipe:read '*a'
    pipe:close()
    return text
end

local function read_file(name)
    local file = io.open(name, 'rb')
    if not file then return nil end
    local text = file:read '*a'
    file:close()
    return text
end

local function write_file(name, text)
    local file = assert(io.open(name, 'wb'))
    assert(file:write(text))
    file:close()
    return name
end
process.read_file, process.write_file = read_file, write_file

-- Returns the path of a program, or nil if it isn't installed.
function process.which(name)
    local path = output_of('command -v ' .. quote(name) .. ' 2>/dev/null; ' ..
        'ls /usr/sbin/' .. quote(name) .. ' 2>/dev/null')
    return path:match '[^\n]+'
end

-- The folder test, or nil if the specs are not run by tools/test.sh.
process.folder = (os.getenv 'LUA_PATH' or ''):match '([^;]*/test)/%?%.lua'

-- The folder with programs and libraries for the specs, beside the module.
process.built = (os.getenv 'LUA_CPATH' or ''):match '([^;]*)/%?%.so'

-- Returns the path of such a program or library, or nil if it was not built.
function process.helper(name)
    local path = process.built and process.built .. '/test/' .. name
    return path and read_file(path) and path
end

-- Returns shell commands that preload a library for the programs that follow.
function process.preload(library)
    return ('LD_PRELOAD=%s ASAN_OPTIONS=verify_asan_link_order=0; ' ..
        'export LD_PRELOAD ASAN_OPTIONS'):format(library)
end

-- Returns the hard limit of descriptors.
function process.max_descriptors()
    return tonumber((output_of 'ulimit -Hn')) or math.huge
end

-- Makes a folder, which cleanup removes. Its name is short enough for unix
-- sockets in it.
function process.tempdir()
    local short = #(os.getenv 'TMPDIR' or '') < 60
    local name = output_of(short and 'mktemp -d' or 'TMPDIR=/tmp mktemp -d')
        :match '[^\n]+'
    assert(name, 'mktemp failed')
    folders[#folders + 1] = name
    return name
end

-------------------------------------------------------------------------------
-- Programs

local program = {}
program.__index = program

-- Returns the exit status, or nil while the program runs (124 or 137: ended by
-- timeout).
function program:status()
    local text = read_file(self.folder .. '/status')
    return text and tonumber(text:match '%d+')
end

-- Returns the output so far, including standard error.
function program:output()
    return read_file(self.folder .. '/output') or ''
end

-- Polls cond every few milliseconds, with pause(seconds) in between.
local function poll(cond, pause)
    local deadline = socket.gettime() + process.limit
    repeat
        local result = cond()
        if result then return result end
        pause(0.005)
    until socket.gettime() > deadline
    return nil
end

-- Waits until the program has ended. Returns its exit status and output. pause
-- is called between polls: loop.sleep in a loop thread; default: socket.sleep.
function program:wait(pause)
    local status = poll(function() return self:status() end,
                        pause or socket.sleep)
    assert(status, 'a program did not end in time')
    running[self] = nil
    return status, self:output()
end

-- Ends the program and all processes it started: timeout leads a process group
-- of its own. A signal that arrives before timeout is ready is not passed on.
function program:stop()
    if self:status() then return self:wait() end
    os.execute('kill ' .. self.pid .. ' 2>/dev/null')
    local status, output = self:wait()
    os.execute('kill -s KILL -- -' .. self.pid .. ' 2>/dev/null')
    return status, output
end

-- Waits until cond(output) is true.
function program:expect(cond, pause)
    local found = poll(function()
        return cond(self:output()) or self:status() and 'ended'
    end, pause or socket.sleep)
    if found and found ~= 'ended' then return found end
    error('a program did not get ready:\n' .. self:output(), 2)
end

-- Starts a shell command in the background.
function process.start(command)
    local self = setmetatable({folder = process.tempdir()}, program)
    local script = ([[
exec 3>&1
{
    timeout -k 1 %d sh -c %s >%s/output 2>&1 </dev/null 3>&- &
    echo $! >&3
    exec 3>&-
    wait $!
    echo $? >%s/ended
    mv %s/ended %s/status
} >/dev/null 2>&1 </dev/null &
]]):format(process.limit, quote(command), self.folder, self.folder,
           self.folder, self.folder)
    self.pid = assert(tonumber((output_of(script))), 'no pid')
    running[self] = true
    return self
end

-- Runs a shell command to its end, and blocks this process meanwhile. Returns
-- its exit status and output.
function process.run(command)
    return process.start(command):wait()
end

-- Returns a prefix for the command of a server that cannot run as root: it runs
-- as nobody, who becomes the owner of the folder.
function process.unprivileged(folder)
    if not output_of 'id -u':match '^0' then return 'exec ' end
    os.execute('chown -R nobody ' .. quote(folder))
    return 'exec setpriv --reuid=nobody --regid=nogroup --clear-groups '
end

-- Waits until something accepts connections on the port.
function process.listening(port, pause)
    return assert(poll(function()
        local s = socket.connect('127.0.0.1', port)
        if s then s:close() end
        return s and true
    end, pause or socket.sleep), 'nothing listens on port ' .. port)
end

-- Starts a shell command, a server, and waits until it listens on the port.
function process.serve(command, port)
    local self = process.start(command)
    local ok, err = pcall(process.listening, port)
    if not ok then error(err .. '\n' .. self:output(), 2) end
    return self
end

-- Returns a free port for a server that sets SO_REUSEADDR, and a socket that
-- keeps the port from being used for outgoing connections until the socket is
-- closed.
function process.freeport()
    local holder = assert((socket.tcp4 or socket.tcp)())
    assert(holder:setoption('reuseaddr', true))
    assert(holder:bind('127.0.0.1', 0))
    local _, port = holder:getsockname()
    return port, holder
end

-------------------------------------------------------------------------------
-- Lua scripts

-- The interpreter that runs the specs.
local function interpreter()
    local first = 0
    while arg and arg[first - 1] do first = first - 1 end
    return os.getenv 'TEST_LUA' or first < 0 and arg[first] or 'lua'
end
process.interpreter = interpreter()

-- Returns the shell command that runs a Lua script given as text. `before` are
-- shell commands that are run first ('ulimit -n 64', 'FOO=bar; export FOO').
function process.script(code, before)
    local name = process.tempdir() .. '/script.lua'
    write_file(name, code)
    return (before and before .. '; ' or '') ..
        'exec ' .. quote(process.interpreter) .. ' ' .. quote(name)
end

-- Runs a Lua script to its end. Returns its exit status and output.
function process.lua(code, before)
    return process.run(process.script(code, before))
end

-- Runs a Lua script that has to succeed. Returns its output.
function process.output(code, before)
    local status, output = process.lua(code, before)
    if status ~= 0 then
        error(('the script ended with status %s:\n%s'):format(status, output),
              2)
    end
    return output
end

-- Returns the system calls, one a line, of a Lua script between the words
-- 'starts here' and 'ends here' that it writes to standard error, or nil and
-- the reason where strace does not work.
function process.strace(code)
    if not process.which 'strace' then return nil, 'strace is not installed' end
    local trace = process.tempdir() .. '/trace'
    local _, output = process.run('strace -f -o ' .. quote(trace) ..
        ' sh -c ' .. quote(process.script(code)))
    local calls = read_file(trace)
    if not calls or not calls:match 'starts here' then
        return nil, 'strace does not work here: ' .. output
    end
    return calls:match 'starts here[^\n]*\n(.-)[^\n]*ends here'
end

-------------------------------------------------------------------------------

function process.cleanup()
    local failures = {}
    for each in pairs(running) do
        local ok, err = pcall(each.stop, each)
        if not ok then failures[#failures + 1] = err end
    end
    running = {}
    if folders[1] then
        for i, name in ipairs(folders) do folders[i] = quote(name) end
        os.execute('rm -rf ' .. table.concat(folders, ' '))
        folders = {}
    end
    assert(not failures[1], failures[1])
end

return process
