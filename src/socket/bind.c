/*
 * bind.c - bind and listen: a socket's descriptor, and its near end.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/bind.h"

#include "loop/reclaim.h"
#include "loop/result.h"
#include "luasocket/object.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "socket/class.h"
#include "socket/connect.h"
#include "socket/dns.h"
#include "thread/arg.h"

#include <errno.h>

int sl_bind_open(sl_asocket *a, int family)
{
    int fd;
    int err = sl_fd_socket(family, sl_transports[a->transport].socktype,
                           &fd);
    if (err != 0)
        return err;
    err = sl_asocket_take(a, fd, a->kind);
    if (err != 0)
        sl_fd_close(fd);
    return err;
}

void sl_bind_drop(sl_asocket *a)
{
    int fd = sl_source_owned(&a->source);
    sl_source_detach(&a->source, 1);
    if (fd >= 0)
        sl_fd_close(fd);
}

int sl_bind_ask(lua_State *L, sl_asocket *a, const char *method,
                const char *host, const char *port)
{
    int err = 0, top = lua_gettop(L);
    sl_asocket_pushobject(L, 1);
    sl_object_method(L, -1, method);
    lua_pushvalue(L, top + 1);
    lua_pushstring(L, host);
    lua_pushstring(L, port);
    lua_call(L, 3, 2);
    if (lua_isnil(L, -2) && lua_isstring(L, -1))
        err = sl_error_code(lua_tostring(L, -1));
    sl_asocket_sync(L, a, top + 1);
    lua_settop(L, top);
    return err;
}

/* [-0, +0, e] */
static int bind_object(lua_State *L, sl_asocket *a, const struct addrinfo *ai)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (!sl_lookup_format(ai->ai_addr, ai->ai_addrlen, host, port))
        return EAFNOSUPPORT;
    return sl_bind_ask(L, a, "setsockname", host, port);
}

static int bind_natively(sl_asocket *a, const struct addrinfo *ai, int reuse)
{
    int err = a->source.fd < 0 ? sl_bind_open(a, ai->ai_family) : 0;
    if (err != 0)
        return err;
    if (reuse)
        sl_fd_reusing(a->source.fd);
    return sl_fd_bind(a->source.fd, ai->ai_addr, ai->ai_addrlen);
}

/* [-0, +0, e] The same for one address. Without a descriptor if it had none
 * and that failed. */
static int try_address(lua_State *L, sl_asocket *a, const struct addrinfo *ai,
                       int reuse)
{
    if (a->has_object)    /* perhaps made during the look-up */
        return bind_object(L, a, ai);
    int had = a->source.fd >= 0;
    int err = bind_natively(a, ai, reuse);
    if (err != 0 && !had)
        sl_bind_drop(a);
    return err;
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
    if (a->connect != NULL)
        return EALREADY;
    int err = sl_dns_now(L, a, &query);
    if (err != 0)
        return err;
    const struct addrinfo *ai;
    for (int i = 0; (ai = sl_dns_address(a, i)) != NULL;) {
        err = try_address(L, a, ai, reuse);
        if (err == 0)
            break;
        if (!sl_reclaim_retry(L, a->source.loop, err))
            i++;
    }
    sl_dns_end(a);
    if (err == 0)
        a->settled = 1;
    return err;
}

int sl_bind_listen(sl_asocket *a, int backlog)
{
    int err = sl_fd_listen(a->source.fd, backlog);
    if (err != 0)
        return err;
    a->kind = SL_SERVER;
    a->source.readable = 1;
    return 0;
}

/* [-0, +n, e] */
static int listen_object(lua_State *L, sl_asocket *a)
{
    sl_asocket_pushobject(L, 1);
    sl_object_method(L, 3, "listen");
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 2);
    lua_call(L, 2, LUA_MULTRET);
    sl_asocket_sync(L, a, 3);
    return lua_gettop(L) - 3;
}

static int give(lua_State *L, int err)
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
    return give(L, sl_bind_to(L, a, host, port, 0));
}

/* The other name of bind: see arg.h. */
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
    if (a->has_object)
        return listen_object(L, a);
    return give(L, sl_bind_listen(a, backlog));
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
