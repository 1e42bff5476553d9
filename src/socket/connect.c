/*
 * connect.c - connecting a socket.
 *
 * First the host is looked up. Then a socket with neither a descriptor nor an
 * object connects to several of the host's addresses at once
 * (happy_eyeballs.h). Any other socket tries one address after another, through
 * its driver: on the descriptor that it has (from bind, for instance), or on a
 * new one for each address.
 *
 * The look-up and all attempts are one operation of the writer, with one
 * deadline. A connect that times out stays in progress: the next call for the
 * same host and port continues it.
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
    LOOKING_UP,    /* the look-up of the host is not finished */
    TRYING,        /* addresses in turn: the next one is to be tried */
    ASKING,        /* the driver is at work, perhaps in Lua: this struct must
                      not be freed */
    ABANDONED,     /* ASKING, and abandoned: fails when the driver returns */
    PENDING,       /* addresses in turn: the last attempt is in progress */
    RACING         /* happy_eyeballs.c makes the attempts */
} connect_phase;

struct sl_connect {
    connect_phase phase;
    unsigned char fresh;       /* each attempt gets a new descriptor */
    unsigned char tried_again; /* an attempt has failed, has had garbage
                                  collected, and is made a second time */
    unsigned char has_value;   /* the registry has the value that the driver
                                  has pushed, under this field's address */
    unsigned char has_result;  /* the registry has the result of a success,
                                  under this field's address */
    const sl_driver *driver;   /* the socket's when the connect began */
    sl_dns_walk walk;          /* over the addresses */
    sl_happy_eyeballs *race;   /* owned; NULL unless RACING */
    char *port;                /* points into target */
    char target[];             /* host and port, each ends with a zero byte */
};

/* --- one address after another ----------------------------------------- */

/* Has the driver try the address. Returns a code, EINPROGRESS, or ECANCELED if
 * the connect has been abandoned meanwhile. */
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

/* Begins to connect to an address. An sl_dns_attempt. */
static int try_address(lua_State *L, sl_asocket *a, const struct addrinfo *ai,
                       void *arg)
{
    sl_connect *c = a->connect;
    (void)arg;
    if (a->driver != c->driver) {
        /* A LuaSocket object was made meanwhile, and owns the descriptor. */
        sl_dns_stop(&c->walk);
        return ECONNABORTED;
    }
    int err = ask_driver(L, a, ai);
    /* On Linux the first connect(2) after a failed attempt on the same
     * descriptor reports that failure once more. */
    if (!c->fresh && (err == ECONNABORTED || err == SL_CLOSED))
        err = ask_driver(L, a, ai);
    if (err == ECANCELED) {
        sl_dns_stop(&c->walk);
        return SL_CLOSED;
    }
    if (err == EINPROGRESS)
        return err;
    return sl_reclaim_later(&a->source.loop->reclaim, &c->tried_again, err);
}

/* Returns the result of the attempt in progress, or SL_AGAIN. If the attempt
 * has ended the phase is TRYING again. */
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

/* Advances a connect that tries addresses in turn. Returns 0 if connected,
 * SL_AGAIN, or a code. */
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

/* Leaves the phase LOOKING_UP when the look-up is finished. Returns 0 or the
 * look-up's code, SL_AGAIN while it is not finished. */
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
        return ECONNABORTED;    /* a LuaSocket object was made meanwhile */
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

/* [-1, +0, e] Pops a value, stores it in the registry under the address of the
 * flag, and sets the flag. luaL_ref would be wrong: see anchor.h. */
static void keep_value(lua_State *L, unsigned char *flag)
{
    sl_rawsetp(L, LUA_REGISTRYINDEX, flag);
    *flag = 1;
}

/* [-0, +0, -] Removes the value of keep_value, if there is one. */
static void forget_value(lua_State *L, unsigned char *flag)
{
    if (!*flag)
        return;
    lua_pushnil(L);
    sl_rawsetp(L, LUA_REGISTRYINDEX, flag);
    *flag = 0;
}

/* True while the driver is at work. */
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

/* true or the value kept as result; or nil, error */
static int connect_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_source_of(wait);
    sl_connect *c = a->connect;
    const sl_thread *t = wait->thread;
    int err = wait->status;
    if (err != 0) {
        sl_result_fail(L, err);
        if (a->connect != c || wait->thread != t)
            return 2;    /* a finalizer has closed or connected the socket */
    } else if (c->has_result) {
        sl_rawgetp(L, LUA_REGISTRYINDEX, &c->has_result);
    } else {
        lua_pushboolean(L, 1);
    }
    wait->interest = SL_WRITABLE;
    if (err == SL_TIMEOUT && !c->has_result)
        return 2;    /* the next call continues this connect */
    if (err == 0)
        become_connected(a);
    else if (c->fresh || c->has_result)
        sl_native_drop(a);
    sl_connect_abandon(L, a);
    return err == 0 ? 1 : 2;
}

/* --- beginning --------------------------------------------------------- */

/* Makes a->connect. Returns 0 or ENOMEM. */
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

/* Sets a->host to a copy of host. Returns 0 or ENOMEM. */
static int set_host(sl_asocket *a, const char *host)
{
    size_t size = strlen(host) + 1;
    char *copy = realloc(a->host, size);
    if (copy == NULL)
        return ENOMEM;
    a->host = memcpy(copy, host, size);
    return 0;
}

/* [-0, +0, m] Begins a connect of the asocket at index self, which has none.
 * Returns 0 or a code. */
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

/* True if the connect in progress is for that host and port and can go on. */
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

/* setpeername is connect under another name. A function of its own, since error
 * messages find the name by the function (arg.h). */
static int meth_setpeername(lua_State *L)
{
    return meth_connect(L);
}

const luaL_Reg sl_connect_methods[] = {
    {"connect", meth_connect},
    {"setpeername", meth_setpeername},
    {NULL, NULL}
};
