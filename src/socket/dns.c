/*
 * dns.c - an asocket's look-up; and loop.resolve, which makes an internal
 * asocket for one. A look-up occupies the writer; the waiting thread has no
 * interest in readiness.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/dns.h"

#include "loop/reclaim.h"
#include "loop/result.h"
#include "loop/operation.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/lookup.h"
#include "thread/arg.h"
#include "thread/hook.h"
#include "thread/stop.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int sl_dns_begin(sl_asocket *a, const sl_query *query)
{
    sl_dns_end(a);
    int err = sl_resolver_begin(&a->source.writer, query, 0, &a->lookup);
    if (err == 0 && a->lookup->status == SL_AGAIN)
        a->source.writer.interest = 0;
    return err;
}

void sl_dns_end(sl_asocket *a)
{
    a->source.writer.interest = SL_WRITABLE;
    if (a->lookup != NULL)
        sl_resolver_end(a->lookup);
    a->lookup = NULL;
}

static int try_lookup(lua_State *L, sl_source *source)
{
    (void)L;
    return ((sl_asocket *)source)->lookup->status;
}

static const sl_operation looking_up = {try_lookup, NULL};

/* [-0, +0, e] Makes a->lookup a finished look-up. A thread of the loop waits,
 * and freezes; other callers block. Returns 0 or a code. */
static int look_up_now(lua_State *L, sl_asocket *a, const sl_query *query)
{
    sl_wait *wait = &a->source.writer;
    int in_thread = a->source.loop->threads->running != NULL;
    int err;
    do {
        sl_dns_end(a);
        err = sl_resolver_begin(wait, query, !in_thread, &a->lookup);
    } while (sl_reclaim_retry(L, &a->source.loop->reclaim, err));
    if (err != 0)
        return err;
    if (a->lookup->status == SL_AGAIN) {
        sl_operation_checkobstacle(L, a->source.loop);
        wait->interest = 0;
        err = sl_operation_block(L, wait, &looking_up, sl_asocket_timeout(a));
        wait->interest = SL_WRITABLE;
    }
    if (err != 0)
        sl_dns_end(a);
    return err;
}

/* --- one address after another ----------------------------------------- */

/* Returns address number i, or NULL. The result is valid until Lua code may
 * run, which may end the look-up. */
static const struct addrinfo *find_address(const sl_asocket *a, int i)
{
    const struct addrinfo *ai = a->lookup != NULL ? a->lookup->list : NULL;
    while (ai != NULL && i-- > 0)
        ai = ai->ai_next;
    return ai;
}

int sl_dns_has(const sl_asocket *a, int i)
{
    return find_address(a, i) != NULL;
}

void sl_dns_failed(sl_dns_walk *walk, int err)
{
    walk->failed = sl_error_prefer(walk->failed, err);
}

void sl_dns_stop(sl_dns_walk *walk)
{
    walk->next = INT_MAX - 1;
}

int sl_dns_try(lua_State *L, sl_asocket *a, sl_dns_walk *walk,
               sl_dns_attempt attempt, void *arg)
{
    const struct addrinfo *ai;
    while ((ai = find_address(a, walk->next)) != NULL) {
        int err = attempt(L, a, ai, arg);
        if (err == SL_BUSY)
            return err;
        walk->next++;
        if (err == 0 || err == EINPROGRESS)
            return err;
        sl_dns_failed(walk, err);
    }
    return walk->failed != 0 ? walk->failed : SL_CLOSED;
}

int sl_dns_each(lua_State *L, sl_asocket *a, const sl_query *query,
                sl_dns_attempt attempt, void *arg)
{
    sl_dns_walk walk = {0, 0};
    int err = look_up_now(L, a, query);
    if (err != 0)
        return err;
    do
        err = sl_dns_try(L, a, &walk, attempt, arg);
    while (err == SL_BUSY);
    sl_dns_end(a);
    return err;
}

/* --- resolve ----------------------------------------------------------- */

/* [-0, +1, m] Pushes a table with the fields family ('inet' or 'inet6'), addr,
 * and port unless that is 0. */
static void push_address(lua_State *L, const struct addrinfo *ai)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    lua_createtable(L, 0, 3);
    if (!sl_lookup_format(ai->ai_addr, ai->ai_addrlen, host, port))
        return;
    lua_pushstring(L, ai->ai_family == AF_INET6 ? "inet6" : "inet");
    lua_setfield(L, -2, "family");
    lua_pushstring(L, host);
    lua_setfield(L, -2, "addr");
    lua_pushstring(L, port);
    lua_pushinteger(L, (lua_Integer)lua_tonumber(L, -1));
    lua_replace(L, -2);
    if (lua_tointeger(L, -1) != 0)
        lua_setfield(L, -2, "port");
    else
        lua_pop(L, 1);
}

/* [-0, +0, m] Sets a field of the table on the top to the name. Returns a
 * pointer to the next name: names lie behind one another. */
static const char *set_name(lua_State *L, const char *field, const char *name)
{
    lua_pushstring(L, name);
    lua_setfield(L, -2, field);
    return name + strlen(name) + 1;
}

/* addresses or nil, error */
static int resolve_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_source_of(wait);
    if (wait->status != 0) {
        sl_dns_end(a);
        return sl_result_fail(L, wait->status);
    }
    const char *name = a->lookup->names;
    lua_newtable(L);
    const struct addrinfo *first = a->lookup->list;
    if (a->lookup->to_name && first != NULL && first->ai_canonname != NULL)
        set_name(L, "name", first->ai_canonname);
    if (name != NULL)
        name = set_name(L, "service", name);
    int i = 1;
    for (struct addrinfo *ai = a->lookup->list; ai != NULL; ai = ai->ai_next) {
        push_address(L, ai);
        if (name != NULL)
            name = set_name(L, "name", name);
        lua_rawseti(L, -2, i++);
    }
    sl_dns_end(a);
    return 1;
}

static const sl_operation resolving = {try_lookup, resolve_results};

int sl_dns_names(lua_State *L, int purpose)
{
    sl_loop *loop = sl_loop_check(L);
    sl_query query = {sl_arg_name(L, 1), NULL, AF_UNSPEC, SOCK_STREAM,
                      purpose};
    if (!lua_isnoneornil(L, 2))
        query.port = sl_arg_port(L, 2);
    double timeout = sl_arg_optseconds(L, 3, -1);
    sl_stop_check(L, loop->threads, "resolve");
    sl_asocket *a = sl_asocket_new(L, loop, SL_TCP);
    int err;
    do
        err = sl_dns_begin(a, &query);
    while (sl_reclaim_retry(L, &loop->reclaim, err));
    if (err != 0)
        return sl_result_fail(L, err);
    return sl_operation_run(L, &a->source.writer, &resolving, -1,
                            timeout < 0 ? -1 : timeout);
}
