/*
 * push.c - see push.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/push.h"

#include "loop/result.h"
#include "os/fd.h"

#include <errno.h>

int sl_push_sockaddr(lua_State *L, const sl_sockaddr *name)
{
    char host[SL_HOST_SIZE];
    int port;
    size_t size;
    const char *path = sl_sockaddr_path(name, &size);
    if (path != NULL) {
        lua_pushlstring(L, path, size);
        return 1;
    }
    if (!sl_sockaddr_format(name, host, &port))
        return 0;
    lua_pushstring(L, host);
    lua_pushinteger(L, port);
    return 2;
}

/* [-0, +n, m] Pushes address, port and family, or a path; nil and an error if
 * err is not 0 or the family is unknown. Returns n. */
static int push_name_results(lua_State *L, int err, const sl_sockaddr *name)
{
    if (err != 0)
        return sl_result_fail(L, err);
    int n = sl_push_sockaddr(L, name);
    if (n == 0)
        return sl_result_fail(L, EAFNOSUPPORT);
    if (n == 1)
        return 1;
    lua_pushstring(L, name->address.any.sa_family == AF_INET6 ? "inet6"
                                                              : "inet");
    return 3;
}

int sl_push_sockname(lua_State *L, int fd)
{
    sl_sockaddr name;
    int err = sl_fd_sockname(fd, &name);
    return push_name_results(L, err, &name);
}

int sl_push_peername(lua_State *L, int fd)
{
    sl_sockaddr name;
    int err = sl_fd_peername(fd, &name);
    return push_name_results(L, err, &name);
}
