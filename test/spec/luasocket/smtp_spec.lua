-- LuaSocket's socket.smtp through its create argument, and unchanged with
-- install, against a small SMTP server on newserver.

local loop = require 'socketloop'
local socket = require 'socket'
local smtp = require 'socket.smtp'
local support = require 'support'

local run = support.run

-- The part of SMTP needed: one message of each connection is kept in the list.
-- With `many`, clients are greeted only when that many have connected.
local function mailbox(many)
    local messages, here = {}, 0
    local function serve(client)
        local message = {rcpt = {}}
        here = here + 1
        support.eventually(function() return here >= (many or 0) end)
        client:send '220 mail.test ready\r\n'
        while true do
            local line = client:receive '*l'
            if not line then break end
            local verb = line:match('^%a+'):upper()
            if verb == 'EHLO' then
                client:send '250-mail.test\r\n'
                loop.sleep(0)       -- the reply is sent in two pieces
                client:send '250-SIZE 1000000\r\n250 HELP\r\n'
            elseif verb == 'MAIL' then
                message.from = line:match '<(.-)>'
                client:send '250 ok\r\n'
            elseif verb == 'RCPT' then
                local rcpt = line:match '<(.-)>'
                if rcpt:match '^nobody@' then
                    client:send '550 no such user\r\n'
                else
                    table.insert(message.rcpt, rcpt)
                    client:send '250 ok\r\n'
                end
            elseif verb == 'DATA' then
                client:send '354 go on\r\n'
                local lines = {}
                while true do
                    line = assert(client:receive '*l')
                    if line == '.' then break end
                    lines[#lines + 1] = line:gsub('^%.', '')
                end
                message.lines = lines
                messages[#messages + 1] = message
                client:send '250 ok\r\n'
            elseif verb == 'QUIT' then
                client:send '221 bye\r\n'
                break
            else
                client:send '502 what?\r\n'
            end
        end
        client:close()
    end
    local port, listener = support.serve(serve)
    return port, listener, messages
end

local create    -- the create function of the current cases

local function send(port, to, text)
    return smtp.send {
        from = '<sender@test>',
        rcpt = to,
        source = smtp.message {
            headers = {subject = 'a test'},
            body = text,
        },
        server = '127.0.0.1',
        port = port,
        create = create,
    }
end

-- Returns the lines after the headers.
local function body(message)
    local text = table.concat(message.lines, '\n')
    return (text:match '\n\n(.*)')
end

-- Defines all cases with that create (nil: none), in a program that has called
-- install or not.
local function cases(how, install)
    if install then
        support.hooks_installed(before_each, after_each, install)
    else
        support.hooks(before_each, after_each)
    end
    before_each(function() create = how end)

    it('sends a message', function()
        local port, listener, messages = mailbox()
        run(function()
            assert.equal(1, (assert(send(port, '<one@test>', 'hello'))))
            listener:close()
        end)
        assert.equal(1, #messages)
        assert.equal('sender@test', messages[1].from)
        assert.same({'one@test'}, messages[1].rcpt)
        assert.equal('hello', body(messages[1]))
    end)

    it('sends to several', function()
        local port, listener, messages = mailbox()
        run(function()
            assert(send(port, {'<one@test>', '<two@test>'}, 'hello'))
            listener:close()
        end)
        assert.same({'one@test', 'two@test'}, messages[1].rcpt)
    end)

    it('sends a long message with dots', function()
        local text = ('.a line with a dot before it\r\n'):rep(5000) .. 'end'
        local port, listener, messages = mailbox()
        run(function()
            assert(send(port, '<one@test>', text))
            listener:close()
        end)
        assert.is_true(text:gsub('\r', '') == body(messages[1]))
    end)

    it('sends several parts', function()
        local port, listener, messages = mailbox()
        run(function()
            assert(smtp.send {
                from = '<sender@test>', rcpt = '<one@test>',
                source = smtp.message {
                    headers = {subject = 'parts'},
                    body = {
                        preamble = 'first',
                        {body = 'part one'},
                        {body = 'part two'},
                    },
                },
                server = '127.0.0.1', port = port, create = create,
            })
            listener:close()
        end)
        assert.matches('part one.*part two', body(messages[1]))
    end)

    it('reports a recipient that is refused', function()
        local port, listener, messages = mailbox()
        local ok, err = run(function()
            local ok, err = send(port, '<nobody@test>', 'hello')
            listener:close()
            return ok, err
        end)
        assert.is_nil(ok)
        assert.equal('550 no such user', err)
        assert.equal(0, #messages)
    end)

    it('reports a refused connection', function()
        local ok, err = run(send, support.closedport(), '<one@test>', 'hello')
        assert.is_nil(ok)
        assert.equal('connection refused', err)
    end)

    it('reports that the server hangs up', function()
        local port, listener = support.serve(function(client)
            client:close()
        end)
        local ok, err = run(function()
            local ok, err = send(port, '<one@test>', 'hello')
            listener:close()
            return ok, err
        end)
        assert.is_nil(ok)
        assert.equal('closed', err)
    end)

    it('sends a hundred messages at once', function()
        local all = os.getenv 'SOCKETLOOP_TEST_GC' and 10 or 100
        local port, listener, messages = mailbox(all)
        local sent, ended = 0, 0
        for i = 1, all do
            loop.newthread(function()
                local to = '<user' .. i .. '@test>'
                if send(port, to, 'message ' .. i) then sent = sent + 1 end
                ended = ended + 1
            end)
        end
        run(function()
            support.eventually(function() return ended == all end)
            listener:close()
        end)
        assert.equal(all, sent)
        assert.equal(all, #messages)
        local seen, count = {}, 0
        for _, message in ipairs(messages) do
            local number = message.rcpt[1]:match '^user(%d+)@'
            assert.equal('message ' .. number, body(message))
            if not seen[number] then
                seen[number] = true
                count = count + 1
            end
        end
        assert.equal(all, count)
    end)
end

describe('socket.smtp through its create argument', function()
    cases(function() return loop.wrap(socket.try(socket.tcp())) end)
end)

describe('socket.smtp with install', function()
    cases(nil, loop.install)
end)
