/*
 * udp.c - methods of UDP sockets: sendto, which makes a descriptor of the first
 * receiver's family, setpeername and getpeername. datagram.c has the others.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "loop/reclaim.h"
#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "os/sockaddr.h"
#include "socket/datagram.h"
#include "socket/dns.h"
#include "socket/methods.h"
#include "socket/push.h"
#include "thread/arg.h"

#include <errno.h>
#include <string.h>

/* [-0, +0, e] Makes a descriptor for sending to d->host, if the asocket is new.
 * Returns 0 or a code. */
static int need_udp_descriptor(lua_State *L, sl_asocket *a,
                               const sl_datagram *d)
{
    sl_sockaddr receiver;
    if (!sl_asocket_isnew(a))
        return 0;
    int err = sl_sockaddr_parse(d->host, d->to.port, AF_UNSPEC, &receiver);
    if (err != 0)
        return err;
    do {
        if (!sl_asocket_isnew(a))    /* a finalizer has made a descriptor */
            return 0;
        err = sl_asocket_open(L, a, receiver.address.any.sa_family);
    } while (sl_reclaim_retry(L, &a->source.loop->reclaim, err));
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
    int err = need_udp_descriptor(L, a, &d);
    return err == 0 ? sl_datagram_send(L, a, "sendto", &d)
                    : sl_datagram_fail(L, err);
}

/* --- the peer ---------------------------------------------------------- */

/* Connects the asocket to an address. An sl_dns_attempt. */
static int try_peer(lua_State *L, sl_asocket *a, const struct addrinfo *ai,
                    void *arg)
{
    (void)arg;
    int err = a->driver->setpeer != NULL ? a->driver->setpeer(L, a, ai)
                                         : EOPNOTSUPP;
    return sl_reclaim_retry(L, &a->source.loop->reclaim, err) ? SL_BUSY : err;
}

/* [-0, +0, e] Connects to the host's first address for which that succeeds.
 * Returns 0 or a code. */
static int connect_to_host(lua_State *L, sl_asocket *a, const char *host,
                           const char *port)
{
    int family = a->source.fd >= 0 ? sl_fd_family(a->source.fd) : AF_UNSPEC;
    sl_query query = {host, port, family, SOCK_DGRAM, 0};
    if (a->source.writer.thread != NULL)
        return EALREADY;
    return sl_dns_each(L, a, &query, try_peer, NULL);
}

/* [-0, +0, m] Makes the asocket an unconnected one. Ignores errors of the
 * system, as LuaSocket does. */
static void forget_peer(lua_State *L, sl_asocket *a)
{
    sl_fd_disconnect(a->source.fd);
    a->kind = SL_UNCONNECTED;
    if (a->driver->reclass != NULL)
        a->driver->reclass(L, a);
}

/* setpeername(address, port) or setpeername('*') -> 1 or nil, error */
static int meth_setpeername(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    const char *host = sl_arg_name(L, 2);
    sl_asocket_resync(L, a);
    if (strcmp(host, "*") == 0) {
        forget_peer(L, a);
    } else {
        int err = connect_to_host(L, a, host, sl_arg_port(L, 3));
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
