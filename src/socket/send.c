/*
 * send.c - sending to a stream. The results of send are those of LuaSocket's
 * buffer.c. cork.h explains when sends are gathered.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/send.h"

#include "loop/cork.h"
#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/connect.h"
#include "socket/methods.h"
#include "socket/pattern.h"
#include "thread/arg.h"

enum { ROUNDS_MAX = 16 };    /* writes until other threads run */

/* Makes one system call that sends the source's unsent bytes, then data. *n is
 * the number of bytes of data that were sent. Returns 0 or an errno. */
static inline int put_bytes(sl_source *source, const char *data, size_t size,
                            size_t *n)
{
    return source->unsent == NULL ? sl_fd_send(source->fd, data, size, n)
                                  : sl_cork_send(source, data, size, n);
}

static int try_send(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    sl_send *s = &a->pending.send;
    (void)L;
    for (int round = 0; s->next < s->end; round++) {
        size_t n;
        if (round == ROUNDS_MAX)
            return SL_BUSY;
        if (source->fd < 0)
            return SL_CLOSED;
        if (source->lost != 0)
            return sl_error_ofstream(source->lost);
        if (!source->writable)
            return SL_AGAIN;
        int err = put_bytes(source, s->data + s->next, s->end - s->next, &n);
        s->next += n;
        a->sent += (double)n;
        source->writer.progress |= n > 0;
        if (err != 0 && sl_error_ofstream(err) != SL_AGAIN) {
            if (sl_error_isbroken(err))
                source->lost = (short)err;
            return sl_error_ofstream(err);
        }
        if (s->next < s->end)    /* a short write has filled the window */
            source->writable = 0;
    }
    return 0;
}

/* last index, nil, nil or nil, error, last index */
static int send_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_source_of(wait);
    lua_Number last = (lua_Number)a->pending.send.next;
    a->gave_up = wait->status == SL_TIMEOUT;
    if (wait->status != 0) {
        sl_result_fail(L, wait->status);
        lua_pushnumber(L, last);
    } else {
        lua_pushnumber(L, last);
        lua_pushnil(L);
        lua_pushnil(L);
    }
    return 3;
}

/* True if the send may be gathered: the buffer has the peer's next request, so
 * the peer does not wait for this answer alone; and a step runs the thread, so
 * the bytes leave when the thread's turn ends. */
static int may_gather(sl_asocket *a)
{
    sl_loop *loop = a->source.loop;
    return a->driver->owns && loop->stepping &&
           loop->threads->running != NULL && a->source.fd >= 0 &&
           a->source.lost == 0 && sl_pattern_hasnext(a);
}

/* [-0, +(0|3), -] Gathers the bytes and pushes the results of send; or returns
 * 0. */
static int send_later(lua_State *L, sl_asocket *a, const sl_send *s)
{
    if (s->next == s->end || !may_gather(a) ||
        !sl_cork_add(&a->source, s->data + s->next, s->end - s->next))
        return 0;
    a->gave_up = 0;
    a->sent += (double)(s->end - s->next);
    lua_pushnumber(L, (lua_Number)s->end);
    lua_pushnil(L);
    lua_pushnil(L);
    return 3;
}

/* [-0, +0, e] Replaces the table of strings at index by their
 * concatenation. */
static void join_strings(lua_State *L, int index)
{
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (int i = 1;; i++) {
        lua_rawgeti(L, index, i);
        if (lua_isnil(L, -1))
            break;
        if (!lua_isstring(L, -1))
            luaL_error(L, "bad argument #1 to 'send' (string expected at "
                          "index %d of the table, got %s)", i,
                       luaL_typename(L, -1));
        luaL_addvalue(&b);
    }
    lua_pop(L, 1);
    luaL_pushresult(&b);
    lua_replace(L, index);
}

/* [-0, +0, v] Limits s to the bytes between the indices i and j, the arguments
 * of send at 3 and 4. */
static void check_part(lua_State *L, sl_send *s)
{
    long size = (long)s->end;
    long first = sl_arg_optindex(L, 3, 1);
    long last = sl_arg_optindex(L, 4, -1);
    if (first < 0)
        first += size + 1;
    if (last < 0)
        last += size + 1;
    if (first < 1)
        first = 1;
    if (last > size)
        last = size;
    s->next = (size_t)first - 1;
    s->end = last < first ? s->next : (size_t)last;
}

static const sl_operation sending = {try_send, send_results};

static inline int send_natively(lua_State *L, sl_asocket *a,
                                const sl_send *s)
{
    a->pending_kind = SL_PENDING_SEND;
    a->pending.send = *s;
    if (sl_buffer_count(&a->buffer) > 0 && send_later(L, a, s))
        return 3;
    return sl_operation_run(L, &a->source.writer, &sending, a->block,
                            a->total);
}

int sl_send_start(lua_State *L, sl_asocket *a, const sl_send *s)
{
    return send_natively(L, a, s);
}

/* [-0, +0, v] Reads the arguments of send. */
static void check_send(lua_State *L, sl_send *s)
{
    if (lua_istable(L, 2))
        join_strings(L, 2);
    s->next = 0;
    s->data = sl_arg_lstring(L, 2, &s->end);
    if (lua_gettop(L) > 2)
        check_part(L, s);
}

/* send(data [, i [, j]]) -> last index sent, nil, nil or nil, error, last
 * index sent. data is a string or a table of strings. */
static int meth_send(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_send s;
    check_send(L, &s);
    sl_asocket_begin(L, a, SL_CLIENT);
    sl_operation_check(L, &a->source.writer, "send");
    if (a->connect != NULL)
        sl_connect_abandon(L, a);
    return a->driver->send != NULL ? a->driver->send(L, a, &s)
                                   : send_natively(L, a, &s);
}

/* --- shutdown, and waiting for unsent bytes ---------------------------- */

/* shutdown(['receive' | 'send' | 'both']) -> 1 */
static int meth_shutdown(lua_State *L)
{
    static const char *const names[] = {"receive", "send", "both", NULL};
    static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_checkkind(L, a, SL_CLIENT);
    if (a->driver->method != NULL)
        return a->driver->method(L, a, "shutdown");
    int how = hows[sl_arg_option(L, 2, "both", names)];
    if (how == SHUT_RD || !sl_cork_end(&a->source))
        sl_fd_shutdown(a->source.fd, how);
    else if (how == SHUT_RDWR)
        sl_fd_shutdown(a->source.fd, SHUT_RD);
    lua_pushinteger(L, 1);
    return 1;
}

static int try_drain(lua_State *L, sl_source *source)
{
    size_t n;
    (void)L;
    while (source->unsent != NULL) {
        if (!source->writable)
            return SL_AGAIN;
        sl_cork_send(source, NULL, 0, &n);
    }
    return source->fd < 0 ? SL_CLOSED : 0;
}

static const sl_operation draining = {try_drain, NULL};

int sl_send_await(lua_State *L, sl_asocket *a, const char *what)
{
    sl_loop *loop = a->source.loop;
    sl_cork_flush(loop);
    if (a->source.unsent == NULL)
        return 0;
    if (loop->threads->running == NULL)
        luaL_error(L, "%s: the peer has not taken yet what was sent to it",
                   what);
    sl_operation_check(L, &a->source.writer, what);
    return sl_operation_blocklimited(L, &a->source.writer, &draining, a->block,
                                     a->total);
}

void sl_send_drain(lua_State *L, sl_asocket *a, const char *what)
{
    int err = sl_send_await(L, a, what);
    if (err != 0 && err != SL_CLOSED)
        luaL_error(L, "%s: %s", what, sl_error_message(err));
}

const luaL_Reg sl_send_methods[] = {
    {"send", meth_send},
    {"shutdown", meth_shutdown},
    {NULL, NULL}
};
