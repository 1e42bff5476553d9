/*
 * copy.c - a Lua module in C that waits in blocking style. In a clone:
 *
 *     cc -shared -fPIC -Iinclude -I/usr/include/lua5.4 -o copy.so \
 *         examples/copy.c
 *
 *     local copy = require 'copy'
 *     loop.newthread(function()
 *         print(copy(from:getfd(), to:getfd()))
 *     end)
 */

#include <socketloop.h>

#include <lauxlib.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

int luaopen_copy(lua_State *L);

static void set_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Waits for a descriptor. In a loop thread other threads run meanwhile;
 * elsewhere, or without socketloop, the program blocks. */
static void wait_for(lua_State *L, int fd, int events)
{
    const socketloop_api *api = socketloop_api_get(L);
    if (api != NULL && api->is_in_thread(L)) {
        if (api->wait(L, fd, events, -1) < 0)
            luaL_error(L, "copy: %s", strerror(errno));
    } else {
        struct pollfd p = {fd, events == SOCKETLOOP_READABLE ? POLLIN
                                                             : POLLOUT, 0};
        poll(&p, 1, -1);
    }
}

/* Whether read or write would have had to wait; raises if the call failed. */
static int would_block(lua_State *L, ssize_t result)
{
    if (result >= 0)
        return 0;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        luaL_error(L, "copy: %s", strerror(errno));
    return 1;
}

/* copy(from, to) -> number of bytes copied from one descriptor to the other,
 * until the end */
static int copy(lua_State *L)
{
    char bytes[4096];
    int from = (int)luaL_checkinteger(L, 1);
    int to = (int)luaL_checkinteger(L, 2);
    lua_Number total = 0;
    ssize_t got;
    set_nonblocking(from);
    set_nonblocking(to);
    while ((got = read(from, bytes, sizeof bytes)) != 0) {
        if (would_block(L, got))
            wait_for(L, from, SOCKETLOOP_READABLE);
        for (ssize_t done = 0; done < got;) {
            ssize_t n = write(to, bytes + done, (size_t)(got - done));
            if (would_block(L, n))
                wait_for(L, to, SOCKETLOOP_WRITABLE);
            else
                done += n;
        }
        if (got > 0)
            total += (lua_Number)got;
    }
    lua_pushnumber(L, total);
    return 1;
}

int luaopen_copy(lua_State *L)
{
    lua_pushcfunction(L, copy);
    return 1;
}
