/*
 * connect.c - connecting a socket.
 *
 * The host is looked up; then a socket that has neither a descriptor nor an
 * object races for a connection to the host's addresses (happy_eyeballs.h).
 * Others try one address after another, through their driver: on the
 * descriptor they have (they were bound, say), or on a new one each time.
 *
 * All of it is one operation of the writer and has one deadline. What a call
 * has begun when its time is over goes on: the next call for the same host
 * and port finds it.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/connect.h"

#include "loop/reclaim.h"
#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/dns.h"
#include "socket/happy_eyeballs.h"
#include "socket/methods.h"
#include "socket/native.h"
#include "thread/arg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum connect_phase {
    LOOKING_UP,    /* the host */
    TRYING,        /* addresses in turn: the next one is to be tried */
    ASKING,        /* the driver tries it, perhaps in Lua: the memory stays */
    ABANDONED,     /* during that: ends when the driver returns */
    PENDING,       /* the last attempt is in progress */
    RACING         /* the attempts are happy_eyeballs.c's */
} connect_phase;

struct sl_connect {
    connect_phase phase;
    unsigned char fresh;       /* each attempt gets a new descriptor */
    unsigned char tried_again; /* an attempt was, after a collection */
    unsigned char has_value;   /* the registry has the driver's value under
                                  this field's address, */
    unsigned char has_result;  /* what success gives under this one's */
    const sl_driver *driver;   /* the socket's when it began */
    sl_dns_walk walk;          /* over the addresses */
    sl_happy_eyeballs *race;   /* owned; NULL if not RACING */
    char *port;                /* in target */
    char target[];             /* host and port */
};

/* --- one address after another ----------------------------------------- */

/* Has the driver try the address. A code, EINPROGRESS, or ECANCELED: the
 * connect has been abandoned meanwhile. */
static int ask_driver(lua_State *L, sl_asocket *a, const struct addrinfo *ai)
{
    sl_connect *c = a->connect;
    int fd;
    c->phase = ASKING;
    int err = c->driver->connect(L, a, ai, c->fresh, &c->has_value, &fd);
    int is_abandoned = c->phase == ABANDONED;
    c->phase = TRYING;
    if (is_abandoned)    /* by a finalizer */
        return ECANCELED;
    int claimed = fd >= 0 ? sl_source_claim(&a->source, fd) : 0;
    return claimed != 0 ? claimed : err;
}

/* Begins to connect to an address (sl_dns_attempt). */
static int try_address(lua_State *L, sl_asocket *a, const struct addrinfo *ai,
                       void *arg)
{
    sl_connect *c = a->connect;
    (void)arg;
    if (a->driver != c->driver) {    /* an object was made meanwhile: it owns */
        sl_dns_stop(&c->walk);       /* the descriptor, which stays as it is */
        return ECONNABORTED;
    }
    int err = ask_driver(L, a, ai);
    if (!c->fresh && (err == ECONNABORTED || err == SL_CLOSED))
        err = ask_driver(L, a, ai);    /* On Linux the first connect(2) after a
                                          failure reports that once more. */
    if (err == ECANCELED) {
        sl_dns_stop(&c->walk);
        return SL_CLOSED;
    }
    if (err == EINPROGRESS)
        return err;
    return sl_reclaim_later(&a->source.loop->reclaim, &c->tried_again, err);
}

/* How the attempt in progress ended, or SL_AGAIN. */
static int attempt_result(sl_asocket *a)
{
    if (a->source.fd < 0)
        return SL_CLOSED;
    if (!a->source.writable)
        return SL_AGAIN;
    int err = sl_fd_attempted(a->source.fd);
    if (err == EINPROGRESS) {
        a->source.writable = 0;
        return SL_AGAIN;
    }
    a->connect->phase = TRYING;
    return err;
}

static int try_in_order(lua_State *L, sl_asocket *a)
{
    sl_connect *c = a->connect;
    if (c->phase == PENDING) {
        int err = attempt_result(a);
        if (err == 0 || c->phase == PENDING)
            return err;
        sl_dns_failed(&c->walk, err);
    }
    int err = sl_dns_try(L, a, &c->walk, try_address, NULL);
    if (err != EINPROGRESS)
        return err;
    c->phase = PENDING;
    a->source.writable = a->source.hangup = 0;
    return SL_AGAIN;
}

/* --- the operation ----------------------------------------------------- */

/* The look-up has its result: 0 or how it failed. */
static int take_addresses(sl_asocket *a)
{
    sl_connect *c = a->connect;
    int err = a->lookup->status;
    if (err != 0)
        return err;
    c->phase = TRYING;
    a->source.writer.interest = SL_WRITABLE;
    a->source.writable = 1;
    if (c->fresh && a->driver->owns && sl_dns_has(a, 1)) {
        c->phase = RACING;
        c->race = sl_happy_eyeballs_new(&a->source.writer, a->lookup->list);
        if (c->race == NULL)
            return ENOMEM;
    }
    return 0;
}

static int run_race(sl_asocket *a)
{
    if (a->driver != a->connect->driver)
        return ECONNABORTED;    /* an object was made, without a descriptor */
    return sl_happy_eyeballs_advance(a->connect->race);
}

static int try_connect(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    int err = a->connect->phase == LOOKING_UP ? take_addresses(a) : 0;
    if (err != 0)
        return err;
    return a->connect->phase == RACING ? run_race(a) : try_in_order(L, a);
}

/* [-1, +0, e] Has the registry keep the value on the top under the address of
 * the flag. Not a reference: see anchor.h. */
static void keep_value(lua_State *L, unsigned char *flag)
{
    sl_rawsetp(L, LUA_REGISTRYINDEX, flag);
    *flag = 1;
}

static void forget_value(lua_State *L, unsigned char *flag)
{
    if (!*flag)
        return;
    lua_pushnil(L);
    sl_rawsetp(L, LUA_REGISTRYINDEX, flag);
    *flag = 0;
}

/* Whether the driver is at work. */
static int is_asking(const sl_connect *c)
{
    return c->phase == ASKING || c->phase == ABANDONED;
}

void sl_connect_abandon(lua_State *L, sl_asocket *a)
{
    sl_connect *c = a->connect;
    if (is_asking(c)) {
        c->phase = ABANDONED;
        return;
    }
    forget_value(L, &c->has_value);
    forget_value(L, &c->has_result);
    if (c->race != NULL)
        sl_happy_eyeballs_free(c->race);
    free(c);
    a->connect = NULL;
    sl_dns_end(a);
}

static void become_connected(sl_asocket *a)
{
    sl_asocket_enter(a, SL_PHASE_OPEN);
    sl_asocket_assumeready(a);
}

/* true (or what loop.connect promised), or nil, error */
static int connect_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_source_of(wait);
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
        become_connected(a);
    else if (c->fresh || c->has_result)
        sl_native_drop(a);
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
    c->driver = a->driver;
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
static int begin_connect(lua_State *L, int self, const char *host,
                         const char *port)
{
    sl_asocket *a = lua_touserdata(L, self);
    int fd = a->source.fd;
    if (a->driver->connect == NULL)
        return EOPNOTSUPP;
    if (fd >= 0 && sl_fd_connected(fd) == 0)
        return EISCONN;
    int err = make_connect(a, host, port);
    if (err != 0)
        return err;
    a->kind = SL_CLIENT;
    err = set_host(a, host);
    if (a->driver->push != NULL) {
        a->driver->push(L, self);
        keep_value(L, &a->connect->has_value);
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
           a->lookup != NULL && !(c->phase == PENDING && a->source.fd < 0);
}

static const sl_operation connecting = {try_connect, connect_results};

int sl_connect_start(lua_State *L, const char *host, const char *port,
                     int result)
{
    int self = lua_gettop(L);
    sl_asocket *a = lua_touserdata(L, self);
    double limit = sl_asocket_timeout(a);
    if (a->connect != NULL && is_asking(a->connect))
        return sl_result_fail(L, EALREADY);
    if (a->connect != NULL && !goes_on(a, host, port)) {
        if (a->connect->fresh)
            sl_native_drop(a);
        sl_connect_abandon(L, a);
    }
    int err;
    do
        err = a->connect != NULL ? 0 : begin_connect(L, self, host, port);
    while (sl_reclaim_retry(L, &a->source.loop->reclaim, err));
    if (err != 0)
        return sl_result_fail(L, err);
    if (a->connect->phase == LOOKING_UP && a->lookup->status == SL_AGAIN)
        a->source.writer.interest = 0;
    if (result != 0) {
        lua_pushvalue(L, result);
        keep_value(L, &a->connect->has_result);
    }
    return sl_operation_run(L, &a->source.writer, &connecting, -1, limit);
}

/* connect(host, port) -> true or nil, error */
static int meth_connect(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    const char *host = sl_arg_name(L, 2);
    const char *port = sl_arg_port(L, 3);
    sl_arg_check(L, a->kind != SL_SERVER, 1, "tcp{master} expected");
    if (a->driver->method != NULL)
        return a->driver->method(L, a, "connect");
    sl_operation_check(L, &a->source.writer, "connect");
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
