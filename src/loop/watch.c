/*
 * watch.c - see watch.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "loop/watch.h"

#include "os/fd.h"
#include "thread/arg.h"

#include <errno.h>
#include <string.h>

/* --- lists of descriptors ---------------------------------------------- */

/* The descriptor at index, which is a number. Raises if it is out of range. */
static int check_descriptor(lua_State *L, int index)
{
    int fd;
    if (!sl_arg_toint(lua_tonumber(L, index), &fd))
        luaL_error(L, "descriptor out of range");
    return fd;
}

int sl_watch_count(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return 0;
    if (lua_isnumber(L, index)) {
        check_descriptor(L, index);
        return 1;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    for (int n = 0;; n++) {
        lua_rawgeti(L, index, n + 1);
        int is_number = lua_isnumber(L, -1);
        if (is_number)
            check_descriptor(L, -1);
        lua_pop(L, 1);
        if (!is_number)
            return n;
    }
}

int sl_watch_descriptor(lua_State *L, int index, int i)
{
    if (!lua_istable(L, index))
        return check_descriptor(L, index);
    lua_rawgeti(L, index, i + 1);
    int fd = check_descriptor(L, -1);
    lua_pop(L, 1);
    return fd;
}

/* --- asking ------------------------------------------------------------ */

static void fill_set(lua_State *L, struct pollfd *set, int index, int n,
                     short events)
{
    for (int i = 0; i < n; i++)
        set[i] = (struct pollfd){sl_watch_descriptor(L, index, i), events, 0};
}

/* [-0, +1, m] Pushes an array of booleans: which descriptors are ready. */
static void push_ready(lua_State *L, const struct pollfd *set, int n)
{
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushboolean(L, set[i].revents != 0);
        lua_rawseti(L, -2, i + 1);
    }
}

int sl_watch_ready(lua_State *L)
{
    int reads = sl_watch_count(L, 1);
    int writes = sl_watch_count(L, 2);
    int count = reads + writes;
    struct pollfd *set = lua_newuserdata(L, (size_t)(count + 1) * sizeof *set);
    fill_set(L, set, 1, reads, POLLIN);
    fill_set(L, set + reads, 2, writes, POLLOUT);
    int n = sl_fd_poll(set, (size_t)count);
    if (n < 0)
        return luaL_error(L, "poll: %s", strerror(errno));
    lua_pushinteger(L, n);
    push_ready(L, set, reads);
    push_ready(L, set + reads, writes);
    return 3;
}
