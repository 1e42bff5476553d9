/*
 * bind.c - bind and listen: the local address of TCP and UDP sockets.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/bind.h"

#include "loop/reclaim.h"
#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/connect.h"
#include "socket/dns.h"
#include "socket/methods.h"
#include "thread/arg.h"

#include <errno.h>

static int try_bind(lua_State *L, sl_asocket *a, const struct addrinfo *ai,
                    void *reuse)
{
    int err = a->driver->bind != NULL
                  ? a->driver->bind(L, a, ai, *(const int *)reuse)
                  : EOPNOTSUPP;
    return sl_reclaim_retry(L, &a->source.loop->reclaim, err) ? SL_BUSY : err;
}

int sl_bind_to(lua_State *L, sl_asocket *a, const char *host,
               const char *port, int reuse)
{
    int fd = a->source.fd;
    sl_query query = {host, port, fd >= 0 ? sl_fd_family(fd) : AF_UNSPEC,
                      sl_transports[a->transport].socktype, SL_TO_BIND};
    if (a->source.writer.thread != NULL)
        return EALREADY;
    if (a->connect != NULL)
        sl_connect_abandon(L, a);
    if (a->connect != NULL)    /* the driver is at work in it */
        return EALREADY;
    int err = sl_dns_each(L, a, &query, try_bind, &reuse);
    if (err == 0)
        sl_asocket_enter(a, SL_PHASE_OPEN);
    return err;
}

static int give_outcome(lua_State *L, int err)
{
    if (err != 0)
        return sl_result_fail(L, err);
    lua_pushinteger(L, 1);
    return 1;
}

/* bind(address, port) -> 1 or nil, error */
static int meth_bind(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_checkkind(L, a, SL_MASTER);
    const char *host = sl_arg_name(L, 2);
    const char *port = sl_arg_port(L, 3);
    lua_settop(L, 3);
    return give_outcome(L, sl_bind_to(L, a, host, port, 0));
}

/* setsockname is bind under another name. A function of its own, since error
 * messages find the name by the function (arg.h). */
static int meth_setsockname(lua_State *L)
{
    return meth_bind(L);
}

/* listen([backlog]) -> 1 or nil, error */
static int meth_listen(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_checkkind(L, a, SL_MASTER);
    int backlog = sl_arg_optint(L, 2, 32);
    lua_settop(L, 2);
    return give_outcome(L, a->driver->listen != NULL
                               ? a->driver->listen(L, a, backlog)
                               : EOPNOTSUPP);
}

const luaL_Reg sl_bind_methods[] = {
    {"bind", meth_bind},
    {"setsockname", meth_setsockname},
    {NULL, NULL}
};

const luaL_Reg sl_bind_streammethods[] = {
    {"listen", meth_listen},
    {NULL, NULL}
};

const luaL_Reg sl_bind_udpmethods[] = {
    {"setsockname", meth_setsockname},
    {NULL, NULL}
};
