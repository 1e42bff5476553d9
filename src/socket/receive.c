/*
 * receive.c - receiving from a stream. The results of receive are those of
 * LuaSocket's buffer.c.
 */

#include "socket/receive.h"

#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/methods.h"
#include "socket/pattern.h"
#include "thread/arg.h"
#include "thread/pcall.h"

#include <errno.h>

enum { ROUNDS_MAX = 16 };    /* reads until other threads run */

/* --- reading ----------------------------------------------------------- */

/* Reads into the buffer once. Returns 0 or a code. With SL_CLOSED *is_end is
 * true at the end of the stream, false after a reset of the connection. */
static int fill_buffer(sl_asocket *a, int *is_end)
{
    size_t size, n, wanted = sl_pattern_missing(a);
    sl_source *source = &a->source;
    char *free_part = sl_buffer_reserve(&a->buffer, &source->loop->scratch,
                                        wanted, &size);
    if (free_part == NULL)
        return ENOMEM;
    if (size > wanted && sl_pattern_limit(a) > 0)
        size = wanted;
    int err = sl_fd_recv(source->fd, free_part, size, &n);
    if (err == 0 && n > 0) {
        sl_buffer_add(&a->buffer, n);
        a->received += (double)n;
        source->reader.progress = 1;
        /* A short read means that the system's buffer is empty, except after a
         * hang-up, when the end still has to be read; on a unix socket a read
         * also ends behind passed descriptors. */
        if (n < size && !source->hangup && a->transport != SL_UNIX)
            source->readable = 0;
        return 0;
    }
    if (sl_buffer_count(&a->buffer) == 0)
        sl_buffer_free(&a->buffer, &source->loop->scratch);
    *is_end = err == 0 && !sl_error_isbroken(source->lost);
    err = err == 0 ? SL_CLOSED : sl_error_ofstream(err);
    if (err == SL_AGAIN)
        source->readable = 0;
    return err;
}

static int try_receive(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    (void)L;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int status = sl_pattern_find(a);
        if (status != SL_AGAIN)
            return status;
        if (source->fd < 0)
            return SL_CLOSED;
        if (!source->readable)
            return SL_AGAIN;
        int is_end = 0;
        int err = fill_buffer(a, &is_end);
        if (err == SL_CLOSED && is_end && sl_pattern_endswithstream(a))
            return 0;
        if (err != 0)
            return err;
    }
    int status = sl_pattern_find(a);
    return status == SL_AGAIN ? SL_BUSY : status;
}

/* --- taking from the buffer -------------------------------------------- */

typedef struct slice {
    const sl_receive *receive;
    const char *bytes;
    size_t n;
} slice;

static int push_slice(lua_State *L, void *arg)
{
    const slice *s = arg;
    sl_pattern_push(L, s->receive, s->bytes, s->n);
    return 1;
}

/* [-0, +1, e] Pushes bytes that are in the buffer's own memory. No receive can
 * change the buffer meanwhile; the protected call makes sure that the lock is
 * released. */
static void push_locked(lua_State *L, sl_asocket *a, slice s)
{
    a->receive.locked = 1;
    int status = sl_pcall_body(L, a->source.loop->threads, push_slice, &s,
                               1);
    a->receive.locked = 0;
    if (status != LUA_OK)
        lua_error(L);
}

/* Bytes in the scratch area can be moved, but its memory lasts, so pushing them
 * needs no protected call. */
void sl_receive_push(lua_State *L, sl_asocket *a, const sl_receive *r,
                     size_t offset, size_t n)
{
    sl_buffer *const *user = &a->source.loop->scratch.user;
    const char *bytes = sl_buffer_bytes(&a->buffer) + offset;
    a->receive.taking = 1;
    if (*user == &a->buffer) {
        sl_pattern_push(L, r, bytes, n);
        if (*user == &a->buffer || !a->receive.taking)
            return;
        /* A finalizer needed the scratch area, so the bytes were moved, perhaps
         * before they were read. */
        lua_pop(L, 1);
        bytes = sl_buffer_bytes(&a->buffer) + offset;
    }
    push_locked(L, a, (slice){r, bytes, n});
}

void sl_receive_take(lua_State *L, sl_asocket *a, int finished)
{
    const sl_receive r = a->receive;
    size_t data, taken = sl_pattern_take(a, finished, &data);
    if (taken == 0) {
        sl_pattern_push(L, &r, "", 0);
        return;
    }
    sl_receive_push(L, a, &r, 0, data);
    sl_receive_commit(L, a, "receive");
    sl_buffer_skip(&a->buffer, &a->source.loop->scratch, taken);
}

int sl_receive_give(lua_State *L, sl_asocket *a)
{
    sl_receive_take(L, a, 1);
    lua_pushnil(L);
    lua_pushnil(L);
    return 3;
}

/* nil, error, partial */
static int fail_receive(lua_State *L, sl_asocket *a, int status)
{
    const sl_receive r = a->receive;
    sl_result_fail(L, status);
    a->receive = r;    /* a finalizer may have called receive */
    sl_receive_take(L, a, 0);
    return 3;
}

static int receive_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_source_of(wait);
    return wait->status == 0 ? sl_receive_give(L, a)
                             : fail_receive(L, a, wait->status);
}

/* --- the method -------------------------------------------------------- */

/* [-0, +0, v] Reads the arguments of receive. */
static void read_arguments(lua_State *L, sl_receive *r)
{
    r->prefix = sl_arg_optlstring(L, 3, "", &r->prefix_size);
    r->less_is_ok = (unsigned char)lua_toboolean(L, 4);
    sl_pattern_check(L, r);
}

/* [-0, +3, m] nil, error, prefix */
static int give_prefix(lua_State *L, int err, const sl_receive *r)
{
    int n = sl_result_fail(L, err);
    lua_pushlstring(L, r->prefix, r->prefix_size);
    return n + 1;
}

static const sl_operation receiving = {try_receive, receive_results};

static inline int receive_natively(lua_State *L, sl_asocket *a,
                                   const sl_receive *r)
{
    a->receive = *r;
    if (sl_buffer_count(&a->buffer) > 0 && sl_pattern_find(a) == 0 &&
        sl_operation_charge(&a->source.reader))
        return sl_receive_give(L, a);
    return sl_operation_run(L, &a->source.reader, &receiving, a->block,
                            a->total);
}

int sl_receive_start(lua_State *L, sl_asocket *a, const sl_receive *r)
{
    return receive_natively(L, a, r);
}

/* receive([pattern [, prefix [, less_is_ok]]]) -> data, nil, nil or nil,
 * error, partial. The pattern is '*l', '*a' or a count, which includes the
 * prefix. less_is_ok: any bytes that have arrived are enough. */
static int meth_receive(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_receive r = {SL_LINE, 0, 0, 0, 0, "", 0};
    if (lua_gettop(L) > 1)
        read_arguments(L, &r);
    sl_asocket_begin(L, a, SL_CLIENT);
    sl_receive_check(L, a, "receive");
    int err = sl_pattern_refuse(a, &r);
    if (err != 0)
        return give_prefix(L, err, &r);
    return a->driver->receive != NULL ? a->driver->receive(L, a, &r)
                                      : receive_natively(L, a, &r);
}

const luaL_Reg sl_receive_methods[] = {
    {"receive", meth_receive},
    {NULL, NULL}
};
