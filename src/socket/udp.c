/*
 * udp.c - what UDP sockets have besides datagram.c's: a first descriptor, of
 * the family of whom they first send to, and the far end. LuaSocket's own
 * objects are asked themselves, so that they learn descriptor and family.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "loop/reclaim.h"
#include "loop/result.h"
#include "luasocket/object.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "os/sockaddr.h"
#include "socket/bind.h"
#include "socket/class.h"
#include "socket/datagram.h"
#include "socket/dns.h"
#include "socket/push.h"
#include "thread/arg.h"

#include <errno.h>
#include <string.h>

/* [-0, +0, e] Gives it a descriptor of that family. 0 or how it failed. */
static int get_descriptor(lua_State *L, sl_asocket *a, int family)
{
    if (a->source.fd >= 0 || a->settled)
        return 0;
    if (a->has_object)
        return sl_bind_ask(L, a, "setsockname",
                          family == AF_INET6 ? "::" : "0.0.0.0", "0");
    int err = sl_bind_open(a, family);
    a->settled = err == 0;
    return err;
}

/* [-0, +0, e] A UDP socket that has had no descriptor yet gets one for that
 * address. 0 or how it failed. */
static int need_descriptor(lua_State *L, sl_asocket *a, const sl_datagram *d)
{
    sl_sockaddr receiver;
    if (a->source.fd >= 0 || a->settled)
        return 0;
    int err = sl_sockaddr_parse(d->host, d->to.port, AF_UNSPEC, &receiver);
    if (err != 0)
        return err;
    do
        err = get_descriptor(L, a, receiver.address.any.sa_family);
    while (sl_reclaim_retry(L, a->source.loop, err));
    return err;
}

/* sendto(datagram, address, port) -> size or nil, error */
static int meth_sendto(lua_State *L)
{
    sl_asocket *a = sl_datagram_check(L, SL_UNCONNECTED);
    sl_datagram d = {NULL, 0, NULL, {NULL}};
    d.data = sl_arg_lstring(L, 2, &d.size);
    d.host = sl_arg_name(L, 3);
    d.to.port = sl_arg_port(L, 4);
    int is_cut = *d.host == '\0' && sl_rawlen(L, 3) > 0;
    if (is_cut || !sl_sockaddr_isport(d.to.port))
        return sl_result_fail(L, SL_GAI - EAI_NONAME);
    int err = need_descriptor(L, a, &d);
    return err == 0 ? sl_datagram_send(L, a, "sendto", &d)
                    : sl_datagram_fail(L, err);
}

/* --- the far end ------------------------------------------------------- */

static int connect_natively(sl_asocket *a, const struct addrinfo *ai)
{
    int fresh = a->source.fd < 0;
    int err = fresh ? sl_bind_open(a, ai->ai_family) : 0;
    if (err != 0)
        return err;
    err = sl_fd_connect(a->source.fd, ai->ai_addr, ai->ai_addrlen);
    if (err == 0) {
        a->kind = SL_CONNECTED;
        a->settled = 1;
    } else if (fresh) {
        sl_bind_drop(a);
    }
    return err;
}

/* Whether a socket could be connected to it: nothing is sent. 0 or how it
 * failed. */
static int probe(const struct addrinfo *ai)
{
    int fd;
    int err = sl_fd_socket(ai->ai_family, SOCK_DGRAM, &fd);
    if (err != 0)
        return err;
    err = sl_fd_connect(fd, ai->ai_addr, ai->ai_addrlen);
    sl_fd_close(fd);
    return err;
}

/* An object keeps the family of its first attempt, even a failed one. */
static int connect_object(lua_State *L, sl_asocket *a,
                          const struct addrinfo *ai)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    int err = a->source.fd < 0 ? probe(ai) : 0;
    if (err != 0)
        return err;
    if (!sl_lookup_format(ai->ai_addr, ai->ai_addrlen, host, port))
        return EAFNOSUPPORT;
    return sl_bind_ask(L, a, "setpeername", host, port);
}

/* [-0, +0, e] Connects to the first address that can be. 0 or how it
 * failed. */
static int connect_to(lua_State *L, sl_asocket *a, const char *host,
                      const char *port)
{
    int family = a->source.fd >= 0 ? sl_fd_family(a->source.fd) : AF_UNSPEC;
    sl_query query = {host, port, family, SOCK_DGRAM, 0};
    if (a->source.writer.thread != NULL)
        return EALREADY;
    int err = sl_dns_now(L, a, &query);
    if (err != 0)
        return err;
    const struct addrinfo *ai;
    for (int i = 0; (ai = sl_dns_address(a, i)) != NULL;) {
        err = a->has_object ? connect_object(L, a, ai)
                            : connect_natively(a, ai);
        if (err == 0)
            break;
        if (!sl_reclaim_retry(L, a->source.loop, err))
            i++;
    }
    sl_dns_end(a);
    return err;
}

/* Whatever the system says, as LuaSocket. */
static void disconnect(lua_State *L, sl_asocket *a)
{
    sl_fd_disconnect(a->source.fd);
    a->kind = SL_UNCONNECTED;
    if (a->has_object) {
        sl_asocket_pushobject(L, 1);
        sl_object_setclass(L, lua_gettop(L), a);
        lua_pop(L, 1);
    }
}

/* setpeername(address, port) or setpeername('*') -> 1 or nil, error */
static int meth_setpeername(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    const char *host = sl_arg_name(L, 2);
    sl_datagram_lookbehind(L, a);
    if (strcmp(host, "*") == 0) {
        disconnect(L, a);
    } else {
        int err = connect_to(L, a, host, sl_arg_port(L, 3));
        if (err != 0)
            return sl_result_fail(L, err);
    }
    lua_pushinteger(L, 1);
    return 1;
}

/* getpeername() -> address, port, 'inet' or 'inet6'; or nil, error */
static int meth_getpeername(lua_State *L)
{
    sl_asocket *a = sl_datagram_check(L, SL_CONNECTED);
    return sl_push_peername(L, a->source.fd);
}

const luaL_Reg sl_udp_methods[] = {
    {"getpeername", meth_getpeername},
    {"sendto", meth_sendto},
    {"setpeername", meth_setpeername},
    {NULL, NULL}
};
