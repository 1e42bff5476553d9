/*
 * connect.c - connecting a socket.
 *
 * The host is looked up; then a socket that has neither descriptor nor
 * LuaSocket object races for a connection to its addresses
 * (happy_eyeballs.h). Others try one address after another: on the descriptor
 * they have (they were bound, say), or through the object, on a new descriptor
 * each time, so that the object learns its descriptor, family and class.
 *
 * All of it is one operation of the writer and has one deadline. What a call
 * has begun when its time is over goes on: the next call for the same host
 * and port finds it.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/connect.h"

#include "loop/reclaim.h"
#include "loop/result.h"
#include "luasocket/foreign.h"
#include "luasocket/object.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "socket/bind.h"
#include "socket/class.h"
#include "socket/dns.h"
#include "socket/happy_eyeballs.h"
#include "thread/arg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sl_connect {
    const struct addrinfo *next;    /* the address to try next; borrowed from
                                       the look-up */
    sl_happy_eyeballs *race;             /* owned; or NULL: one after another */
    unsigned char has_object;  /* the registry has LuaSocket's object under
                                  this field's address, */
    unsigned char has_result;  /* and what success gives under this one's */
    unsigned char fresh;       /* each attempt gets a new descriptor */
    unsigned char resolved;    /* there are addresses */
    unsigned char pending;     /* an attempt is in progress */
    unsigned char tried_again; /* one was made again, after a collection */
    unsigned char asking;      /* the object is asked, in Lua: this stays, */
    unsigned char abandoned;   /* but is not wanted any more */
    int failed;                /* how an attempt failed, or 0 */
    char *port;                /* in target */
    char target[];             /* host and port */
};

/* --- one address after another ----------------------------------------- */

static int attempt_natively(sl_asocket *a, const struct addrinfo *ai)
{
    if (a->connect->fresh)
        sl_bind_drop(a);
    int err = a->source.fd < 0 ? sl_bind_open(a, ai->ai_family) : 0;
    if (err != 0)
        return err;
    return sl_fd_connect(a->source.fd, ai->ai_addr, ai->ai_addrlen);
}

static int attempt_through_object(lua_State *L, sl_asocket *a,
                                  const struct addrinfo *ai)
{
    sl_connect *c = a->connect;
    int fd;
    if (c->fresh)
        sl_source_detach(&a->source, 1);
    c->asking = 1;
    int err = sl_object_connect(L, a->source.loop->threads,
                                &c->has_object, ai, c->fresh, &fd);
    c->asking = 0;
    if (c->abandoned) {    /* by a finalizer */
        c->next = NULL;
        return SL_CLOSED;
    }
    if (fd >= 0) {
        int claimed = sl_source_claim(&a->source, fd);
        if (claimed != 0)
            return claimed;
    }
    return err;
}

static int attempt_address(lua_State *L, sl_asocket *a,
                           const struct addrinfo *ai)
{
    return a->connect->has_object ? attempt_through_object(L, a, ai)
                                  : attempt_natively(a, ai);
}

/* Begins to connect to the next address. 0, SL_AGAIN or how it failed. */
static int attempt(lua_State *L, sl_asocket *a)
{
    sl_connect *c = a->connect;
    const struct addrinfo *ai = c->next;
    if (a->has_object && !c->has_object) {
        c->next = NULL;    /* somebody asked for the object: it owns the */
        return ECONNABORTED;    /* descriptor now, which stays as it is */
    }
    c->next = c->next->ai_next;
    int err = attempt_address(L, a, ai);
    if (!c->fresh && !c->abandoned &&
        (err == ECONNABORTED || err == SL_CLOSED))
        err = attempt_address(L, a, ai);    /* that was, on Linux, once more
                                               about an attempt before */
    if (err != EINPROGRESS) {
        err = sl_reclaim_later(a->source.loop, &c->tried_again, err);
        if (err == SL_BUSY)
            c->next = ai;
        return err;
    }
    c->pending = 1;
    a->source.writable = a->source.hangup = 0;
    return SL_AGAIN;
}

/* How the attempt in progress ended, or SL_AGAIN. */
static int attempt_result(sl_asocket *a)
{
    if (!a->source.writable)
        return SL_AGAIN;
    int err = sl_fd_attempted(a->source.fd);
    if (err == EINPROGRESS) {
        a->source.writable = 0;
        return SL_AGAIN;
    }
    a->connect->pending = 0;
    return err;
}

static int try_in_order(lua_State *L, sl_asocket *a)
{
    sl_connect *c = a->connect;
    for (;;) {
        int err;
        if (c->pending) {
            if (a->source.fd < 0)
                return SL_CLOSED;
            err = attempt_result(a);
        } else if (c->next != NULL) {
            err = attempt(L, a);
        } else {
            return c->failed;
        }
        if (err == 0 || err == SL_AGAIN || err == SL_BUSY)
            return err;
        c->failed = sl_error_prefer(c->failed, err);
    }
}

/* --- the operation ----------------------------------------------------- */

/* The look-up has its result: 0 or how it failed. */
static int take_addresses(sl_asocket *a)
{
    sl_connect *c = a->connect;
    int err = a->lookup->status;
    if (err != 0)
        return err;
    c->resolved = 1;
    c->next = a->lookup->list;
    a->source.writer.interest = SL_WRITABLE;
    a->source.writable = 1;
    if (c->fresh && !a->has_object && c->next->ai_next != NULL) {
        c->race = sl_happy_eyeballs_new(&a->source.writer, c->next);
        if (c->race == NULL)
            return ENOMEM;
    }
    return 0;
}

static int run_race(sl_asocket *a)
{
    if (a->has_object)
        return ECONNABORTED;    /* made meanwhile, without a descriptor */
    int err = sl_happy_eyeballs_advance(a->connect->race);
    if (err == 0)
        a->owned = 1;
    return err;
}

static int try_connect(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    int err = a->connect->resolved ? 0 : take_addresses(a);
    if (err != 0)
        return err;
    return a->connect->race != NULL ? run_race(a) : try_in_order(L, a);
}

/* [-1, +0, e] Has the registry keep the value on the top under the address of
 * the flag. Not a reference: see anchor.h. */
static void keep(lua_State *L, unsigned char *flag)
{
    sl_rawsetp(L, LUA_REGISTRYINDEX, flag);
    *flag = 1;
}

static void forget(lua_State *L, unsigned char *flag)
{
    if (!*flag)
        return;
    lua_pushnil(L);
    sl_rawsetp(L, LUA_REGISTRYINDEX, flag);
    *flag = 0;
}

void sl_connect_abandon(lua_State *L, sl_asocket *a)
{
    sl_connect *c = a->connect;
    if (c->asking) {
        c->abandoned = 1;
        return;
    }
    forget(L, &c->has_object);
    forget(L, &c->has_result);
    if (c->race != NULL)
        sl_happy_eyeballs_free(c->race);
    free(c);
    a->connect = NULL;
    sl_dns_end(a);
}

/* true (or what loop.connect promised), or nil, error */
static int connect_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_wait_source(wait);
    sl_connect *c = a->connect;
    const sl_thread *t = wait->thread;
    int err = wait->status;
    if (err != 0) {
        sl_result_fail(L, err);
        if (a->connect != c || wait->thread != t)
            return 2;    /* a finalizer has closed or connected it */
    } else if (c->has_result) {
        sl_rawgetp(L, LUA_REGISTRYINDEX, &c->has_result);
    } else {
        lua_pushboolean(L, 1);
    }
    wait->interest = SL_WRITABLE;
    if (err == SL_TIMEOUT && !c->has_result)
        return 2;    /* it goes on */
    if (err == 0)
        a->source.readable = a->source.writable = 1;
    else if ((c->fresh || c->has_result) && a->owned)
        sl_bind_drop(a);
    sl_connect_abandon(L, a);
    return err == 0 ? 1 : 2;
}

/* --- beginning --------------------------------------------------------- */

/* 0 or how it failed. */
static int make_connect(sl_asocket *a, const char *host, const char *port)
{
    size_t host_size = strlen(host) + 1, port_size = strlen(port) + 1;
    sl_connect *c = calloc(1, sizeof *c + host_size + port_size);
    if (c == NULL)
        return ENOMEM;
    c->fresh = a->source.fd < 0;
    memcpy(c->target, host, host_size);
    c->port = memcpy(c->target + host_size, port, port_size);
    a->connect = c;
    return 0;
}

/* Remembers the host that it is connected to. 0 or ENOMEM. */
static int set_host(sl_asocket *a, const char *host)
{
    size_t size = strlen(host) + 1;
    char *copy = realloc(a->host, size);
    if (copy == NULL)
        return ENOMEM;
    a->host = memcpy(copy, host, size);
    return 0;
}

/* [-0, +0, m] Begins anew. 0 or how it failed. */
static int begin(lua_State *L, int self, const char *host, const char *port)
{
    sl_asocket *a = lua_touserdata(L, self);
    int fd = a->source.fd;
    if (fd >= 0 && sl_fd_connected(fd) == 0)
        return EISCONN;
    int err = make_connect(a, host, port);
    if (err != 0)
        return err;
    a->kind = SL_CLIENT;
    err = set_host(a, host);
    if (a->has_object) {
        sl_asocket_pushobject(L, self);
        keep(L, &a->connect->has_object);
    }
    int family = fd < 0 ? AF_UNSPEC : sl_fd_family(fd);
    sl_query query = {host, port, family, SOCK_STREAM, 0};
    if (err == 0)
        err = sl_dns_begin(a, &query);
    if (err != 0)
        sl_connect_abandon(L, a);
    return err;
}

/* Whether what an earlier call has begun is for that host and port. */
static int goes_on(const sl_asocket *a, const char *host, const char *port)
{
    const sl_connect *c = a->connect;
    return strcmp(c->target, host) == 0 && strcmp(c->port, port) == 0 &&
           a->lookup != NULL && !(c->pending && a->source.fd < 0);
}

static const sl_operation connecting = {try_connect, connect_results};

int sl_connect_start(lua_State *L, const char *host, const char *port,
                     int result)
{
    int self = lua_gettop(L);
    sl_asocket *a = lua_touserdata(L, self);
    double limit = sl_dns_limit(a);
    if (a->connect != NULL && a->connect->asking)
        return sl_result_fail(L, EALREADY);
    if (a->connect != NULL && !goes_on(a, host, port)) {
        if (a->connect->fresh && a->owned)
            sl_bind_drop(a);
        sl_connect_abandon(L, a);
    }
    int err;
    do
        err = a->connect != NULL ? 0 : begin(L, self, host, port);
    while (sl_reclaim_retry(L, a->source.loop, err));
    if (err != 0)
        return sl_result_fail(L, err);
    if (!a->connect->resolved && a->lookup->status == SL_AGAIN)
        a->source.writer.interest = 0;
    if (result != 0) {
        lua_pushvalue(L, result);
        keep(L, &a->connect->has_result);
    }
    return sl_wait_operate(L, &a->source.writer, &connecting, -1, limit);
}

/* connect(host, port) -> true or nil, error */
static int meth_connect(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    const char *host = sl_arg_name(L, 2);
    const char *port = sl_arg_port(L, 3);
    sl_arg_check(L, a->kind != SL_SERVER, 1, "tcp{master} expected");
    if (a->transport == SL_FOREIGN)
        return sl_foreign_method(L, a, "connect");
    sl_wait_check(L, &a->source.writer, "connect");
    lua_pushvalue(L, 1);
    return sl_connect_start(L, host, port, 0);
}

/* The other name of connect: see arg.h. */
static int meth_setpeername(lua_State *L)
{
    return meth_connect(L);
}

const luaL_Reg sl_connect_methods[] = {
    {"connect", meth_connect},
    {"setpeername", meth_setpeername},
    {NULL, NULL}
};
