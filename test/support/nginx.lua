-- nginx for the specs: in a folder of its own, in the foreground, as an
-- unprivileged user.

local process = require 'process'

local nginx = {}

nginx.path = process.which 'nginx'

local config = [[
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
worker_rlimit_nofile 2000;
events { worker_connections 1000; }
http {
    access_log off;
    default_type text/plain;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
%s
}
]]

-- Starts nginx in the folder with these server blocks, in which words in
-- capitals stand for the values with that name. Waits until nginx listens on
-- the port, if one is given.
function nginx.start(folder, servers, values, port)
    process.write_file(folder .. '/nginx.conf',
        config:format((servers:gsub('%u+', values))))
    local command = ('exec %s -p %s -c nginx.conf -e stderr'):format(
        nginx.path, process.quote(folder))
    if port then return process.serve(command, port) end
    return process.start(command)
end

return nginx
