/*
 * receive.c - receiving from a stream. What receive gives is LuaSocket's (see
 * its buffer.c), what it does in between is the loop's.
 */

#include "socket/receive.h"

#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/methods.h"
#include "thread/arg.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum {
    ROUNDS_MAX = 16,       /* of reading, before it is others' turn */
    LIMITED_READ = 4096    /* bytes at least, where what is read is limited */
};

/* --- what it is after -------------------------------------------------- */

/* How long what is received may be, prefix included; 0: no limit. */
static size_t limit_of(const sl_asocket *a)
{
    switch (a->receive.pattern) {
    case SL_LINE: return a->max_line;
    case SL_ALL: return a->max_read;
    default: return 0;    /* see refuse */
    }
}

/* How much of a limit there is for what is behind the prefix. */
static size_t room_in(size_t limit, const sl_receive *r)
{
    return limit > r->prefix_size ? limit - r->prefix_size : 0;
}

size_t sl_receive_wanted(const sl_asocket *a)
{
    size_t count = sl_buffer_count(&a->buffer), limit = limit_of(a);
    if (a->receive.pattern == SL_COUNT)
        return a->receive.wanted - count;
    if (limit == 0)
        return 0;
    size_t room = room_in(limit, &a->receive);
    return room >= count + LIMITED_READ ? room + 1 - count : LIMITED_READ;
}

/* The same as status_of, for a line or all, where that is limited. What is
 * taken of too much is cut at the limit; that is enough if less is. */
static int limited_status(sl_asocket *a)
{
    sl_receive *r = &a->receive;
    size_t room = room_in(limit_of(a), r);
    size_t size = r->wanted > 0 ? r->wanted - 1 : sl_buffer_count(&a->buffer);
    if (size <= room)
        return r->wanted > 0 || r->less_is_ok ? 0 : SL_AGAIN;
    r->wanted = 0;
    if (r->less_is_ok && room > 0)
        return 0;
    if (r->pattern == SL_LINE) {
        a->overlong = 1;
        return SL_TOO_LONG;
    }
    a->overfull = 1;
    return SL_TOO_MUCH;
}

/* 0 when what is in the buffer finishes the receive, SL_AGAIN if it doesn't,
 * SL_TOO_LONG, SL_TOO_MUCH; SL_CLOSED if it wants no bytes of a closed
 * socket. */
static inline int status_of(sl_asocket *a)
{
    sl_receive *r = &a->receive;
    size_t count = sl_buffer_count(&a->buffer);
    if (r->pattern == SL_COUNT && count >= r->wanted)
        return count == 0 && a->source.fd < 0 ? SL_CLOSED : 0;
    if (count == 0)
        return SL_AGAIN;
    if (r->pattern == SL_LINE) {
        r->wanted = sl_buffer_line(&a->buffer);
        if (a->max_line > 0)
            return limited_status(a);
        return r->wanted > 0 || r->less_is_ok ? 0 : SL_AGAIN;
    }
    if (r->pattern == SL_ALL && a->max_read > 0)
        return limited_status(a);
    return r->less_is_ok ? 0 : SL_AGAIN;
}

int sl_receive_finished(sl_asocket *a)
{
    return status_of(a);
}

int sl_receive_overflows(const sl_asocket *a)
{
    const sl_receive *r = &a->receive;
    return r->pattern == SL_ALL && a->max_read > 0 &&
           sl_buffer_count(&a->buffer) > room_in(a->max_read, r);
}

/* Reads once. 0 or how it failed. */
static int fill(sl_asocket *a)
{
    size_t size, n, wanted = sl_receive_wanted(a);
    sl_source *source = &a->source;
    char *free_part = sl_buffer_reserve(&a->buffer, &source->loop->scratch,
                                        wanted, &size);
    if (free_part == NULL)
        return ENOMEM;
    if (size > wanted && limit_of(a) > 0)
        size = wanted;
    int err = sl_fd_recv(source->fd, free_part, size, &n);
    if (err == 0 && n > 0) {
        sl_buffer_add(&a->buffer, n);
        a->received += (double)n;
        source->reader.progress = 1;
        /* What came short is drained, unless the end may be behind it; on a
         * unix socket a read also ends behind descriptors passed with it. */
        if (n < size && !source->hangup && a->transport != SL_UNIX)
            source->readable = 0;
        return 0;
    }
    if (sl_buffer_count(&a->buffer) == 0)
        sl_buffer_free(&a->buffer, &source->loop->scratch);
    a->ended = err == 0 && !sl_error_isbroken(source->lost);
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
        int status = status_of(a);
        if (status != SL_AGAIN)
            return status;
        if (source->fd < 0)
            return SL_CLOSED;
        if (!source->readable)
            return SL_AGAIN;
        int err = fill(a);
        if (err == SL_CLOSED && a->ended && a->receive.pattern == SL_ALL &&
            sl_buffer_count(&a->buffer) > 0)
            return 0;
        if (err != 0)
            return err;
    }
    int status = status_of(a);
    return status == SL_AGAIN ? SL_BUSY : status;
}

/* [-0, +1, m] Pushes prefix and bytes, without their CRs if there is one. A
 * function of its own, since luaL_Buffer may be more than a page of stack. */
static void push_joined(lua_State *L, const sl_receive *r, const char *bytes,
                        size_t n, const char *cr)
{
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    luaL_addlstring(&b, r->prefix, r->prefix_size);
    while (cr != NULL) {
        luaL_addlstring(&b, bytes, (size_t)(cr - bytes));
        n -= (size_t)(cr - bytes) + 1;
        bytes = cr + 1;
        cr = memchr(bytes, '\r', n);
    }
    luaL_addlstring(&b, bytes, n);
    luaL_pushresult(&b);
}

/* [-0, +1, m] Pushes prefix and bytes, without their CRs if it's a line. */
static void push_bytes(lua_State *L, const sl_receive *r, const char *bytes,
                       size_t n)
{
    const char *cr = NULL;
    if (r->pattern == SL_LINE && n > 0) {
        cr = memchr(bytes, '\r', n);
        if (cr == bytes + n - 1) {    /* as it ends nearly always */
            cr = NULL;
            n--;
        }
    }
    if (cr == NULL && r->prefix_size == 0)
        lua_pushlstring(L, bytes, n);
    else
        push_joined(L, r, bytes, n, cr);
}

/* How many of the buffered bytes the receive takes, and how many of these
 * are data: a line feed is taken but not given. */
static size_t take(sl_asocket *a, int finished, size_t *data)
{
    const sl_receive *r = &a->receive;
    size_t count = *data = sl_buffer_count(&a->buffer), limit = limit_of(a);
    if (limit > 0 && r->wanted == 0 && count > room_in(limit, r))
        return *data = room_in(limit, r);
    if (!finished || r->pattern == SL_ALL)
        return count;
    if (r->pattern == SL_LINE && r->wanted > 0) {
        *data = r->wanted - 1;
        return r->wanted;
    }
    if (r->pattern == SL_COUNT && count > r->wanted)
        *data = r->wanted;
    return *data;
}

typedef struct slice {
    const sl_receive *receive;
    const char *bytes;
    size_t n;
} slice;

static int push_slice(lua_State *L, void *arg)
{
    const slice *s = arg;
    push_bytes(L, s->receive, s->bytes, s->n);
    return 1;
}

/* [-0, +1, e] Pushes what lies in the buffer's own memory, which nobody may
 * touch meanwhile. */
static void push_locked(lua_State *L, sl_asocket *a, slice s)
{
    a->receive.locked = 1;
    int status = sl_pcall_body(L, a->source.loop->threads, push_slice, &s,
                               1);
    a->receive.locked = 0;
    if (status != LUA_OK)
        lua_error(L);
}

/* What lies in the scratch can be moved, but its memory lasts, so this needs no
 * protected call. */
void sl_receive_push(lua_State *L, sl_asocket *a, const sl_receive *r,
                     size_t offset, size_t n)
{
    sl_buffer *const *user = &a->source.loop->scratch.user;
    const char *bytes = sl_buffer_bytes(&a->buffer) + offset;
    a->receive.taking = 1;
    if (*user == &a->buffer) {
        push_bytes(L, r, bytes, n);
        if (*user == &a->buffer || !a->receive.taking)
            return;
        lua_pop(L, 1);    /* perhaps it was moved before it was read */
        bytes = sl_buffer_bytes(&a->buffer) + offset;
    }
    push_locked(L, a, (slice){r, bytes, n});
}

void sl_receive_take(lua_State *L, sl_asocket *a, int finished)
{
    const sl_receive r = a->receive;
    size_t data, taken = take(a, finished, &data);
    if (taken == 0) {
        push_bytes(L, &r, "", 0);
        return;
    }
    sl_receive_push(L, a, &r, 0, data);
    sl_receive_settle(L, a, "receive");
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
static int fail(lua_State *L, sl_asocket *a, int status)
{
    const sl_receive r = a->receive;
    sl_result_fail(L, status);
    a->receive = r;    /* a finalizer may have received */
    sl_receive_take(L, a, 0);
    return 3;
}

static int receive_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_source_of(wait);
    return wait->status == 0 ? sl_receive_give(L, a)
                             : fail(L, a, wait->status);
}

static void check_pattern(lua_State *L, sl_receive *r)
{
    if (lua_isnumber(L, 2)) {
        double n = lua_tonumber(L, 2);
        sl_arg_check(L, n >= 0, 2, "invalid receive pattern");
        size_t count = sl_arg_tosize(n);
        r->pattern = SL_COUNT;
        r->wanted = count > r->prefix_size ? count - r->prefix_size : 0;
        return;
    }
    const char *pattern = sl_arg_optstring(L, 2, "*l");
    const char *letter = pattern;
    if (*letter == '*')
        letter++;
    sl_arg_check(L, (letter > pattern || SL_STAR_OPTIONAL) &&
                    (*letter == 'l' || *letter == 'a'), 2,
                 "invalid receive pattern");
    r->pattern = *letter == 'l' ? SL_LINE : SL_ALL;
}

/* The arguments of receive, if there are any. */
static void check_receive(lua_State *L, sl_receive *r)
{
    r->prefix = sl_arg_optlstring(L, 3, "", &r->prefix_size);
    r->less_is_ok = (unsigned char)lua_toboolean(L, 4);
    check_pattern(L, r);
}

/* [-0, +3, m] nil, error, prefix */
static int give_prefix(lua_State *L, int err, const sl_receive *r)
{
    int n = sl_result_fail(L, err);
    lua_pushlstring(L, r->prefix, r->prefix_size);
    return n + 1;
}

/* 0 or how it fails without reading: in the middle of a line the rest of it
 * would be taken for another one; or it is after more than setmaxread allows.
 * If less is enough, the count becomes what is allowed. */
static int refuse(const sl_asocket *a, sl_receive *r)
{
    if (a->overlong)
        return SL_TOO_LONG;
    if (a->max_read == 0 || r->pattern == SL_LINE)
        return 0;
    if (r->pattern == SL_ALL)
        return a->overfull ? SL_TOO_MUCH : 0;
    size_t room = room_in(a->max_read, r);
    if (r->wanted <= room)
        return 0;
    r->wanted = room;
    return r->less_is_ok && room > 0 ? 0 : SL_TOO_MUCH;
}

static const sl_operation receiving = {try_receive, receive_results};

static inline int receive_natively(lua_State *L, sl_asocket *a,
                                   const sl_receive *r)
{
    a->receive = *r;
    if (sl_buffer_count(&a->buffer) > 0 && status_of(a) == 0 &&
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
 * error, partial. Pattern '*l', '*a' or a count, which includes the prefix;
 * less_is_ok: whatever has arrived is enough. */
static int meth_receive(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_receive r = {SL_LINE, 0, 0, 0, 0, "", 0};
    if (lua_gettop(L) > 1)
        check_receive(L, &r);
    sl_asocket_begin(L, a, SL_CLIENT);
    sl_receive_check(L, a, "receive");
    int err = refuse(a, &r);
    if (err != 0)
        return give_prefix(L, err, &r);
    return a->driver->receive != NULL ? a->driver->receive(L, a, &r)
                                      : receive_natively(L, a, &r);
}

const luaL_Reg sl_receive_methods[] = {
    {"receive", meth_receive},
    {NULL, NULL}
};
