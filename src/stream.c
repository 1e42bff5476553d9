/*
 * stream.c - receive, send and shutdown: the operations on a connected
 * socket. What they give is LuaSocket's (see its tcp and buffer.c), what they
 * do in between is the loop's.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "stream.h"

#include "descriptor.h"
#include "foreign.h"
#include "gather.h"
#include "luasocket.h"
#include "result.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ROUNDS_MAX = 16,    /* of reading or writing, before it is others' turn */
    LINE_READ = 4096    /* bytes at least, where the length is limited */
};

int sl_stream_failure(int err)
{
    if (err == EAGAIN || err == EWOULDBLOCK)
        return SL_AGAIN;
    if (err == EPIPE || err == ECONNRESET || err == EBADF)
        return SL_CLOSED;    /* EBADF: closed behind our back */
    return err;
}

/* The LuaSocket object may have been used behind our back: closed, given
 * another descriptor, or read, which leaves bytes in its buffer. */
static void look_behind(lua_State *L, sl_asocket *a, int receiving)
{
    sl_asocket_pushobject(L, 1);
    int object = lua_gettop(L);
    if (sl_luasocket_fd(L, object) != a->source.fd)
        sl_asocket_sync(L, a, object);
    if (!a->source.lent)
        sl_source_lend(&a->source);
    if (receiving && sl_buffer_count(&a->buffer) == 0 &&
        a->source.fd >= 0)
        sl_luasocket_drain(L, object, a);
    lua_pop(L, 1);
}

/* --- receive ----------------------------------------------------------- */

/* Whether a line is received, whose length is limited. */
static int is_limited(const sl_asocket *a)
{
    return a->receive.pattern == SL_LINE && a->max_line > 0;
}

/* How many bytes of it there may be behind the prefix. */
static size_t line_room(const sl_asocket *a)
{
    size_t prefix = a->receive.prefix_size;
    return a->max_line > prefix ? a->max_line - prefix : 0;
}

/* How many bytes more would finish it, or are enough for now; 0: any. */
static size_t still_wanted(const sl_asocket *a)
{
    size_t count = sl_buffer_count(&a->buffer);
    if (a->receive.pattern == SL_COUNT)
        return a->receive.wanted - count;
    if (!is_limited(a))
        return 0;
    size_t room = line_room(a);
    return room >= count + LINE_READ ? room + 1 - count : LINE_READ;
}

size_t sl_stream_wanted(const sl_asocket *a)
{
    return still_wanted(a);
}

/* The same as received, for a line whose length is limited. What it takes of
 * one that is too long is cut there; as much is enough if less is. */
static int received_limited(sl_asocket *a)
{
    sl_receive *r = &a->receive;
    size_t room = line_room(a);
    size_t line = r->wanted > 0 ? r->wanted - 1 : sl_buffer_count(&a->buffer);
    if (line > room) {
        r->wanted = 0;
        a->overlong = !r->less_is_ok || room == 0;
        return a->overlong ? SL_TOO_LONG : 0;
    }
    return r->wanted > 0 || r->less_is_ok ? 0 : SL_AGAIN;
}

/* 0 when what is in the buffer finishes the receive, SL_AGAIN if it doesn't,
 * SL_TOO_LONG. */
static inline int received(sl_asocket *a)
{
    sl_receive *r = &a->receive;
    size_t count = sl_buffer_count(&a->buffer);
    if (r->pattern == SL_COUNT && count >= r->wanted)
        return 0;
    if (count == 0)
        return SL_AGAIN;
    if (r->pattern == SL_LINE) {
        r->wanted = sl_buffer_line(&a->buffer);
        if (a->max_line > 0)
            return received_limited(a);
        return r->wanted > 0 || r->less_is_ok ? 0 : SL_AGAIN;
    }
    return r->less_is_ok ? 0 : SL_AGAIN;
}

int sl_stream_received(sl_asocket *a)
{
    return received(a);
}

/* Reads once. 0 or how it failed. */
static int fill(sl_asocket *a)
{
    size_t size, n, wanted = still_wanted(a);
    sl_source *source = &a->source;
    char *free_part = sl_buffer_reserve(&a->buffer, &source->loop->scratch,
                                        wanted, &size);
    if (free_part == NULL)
        return ENOMEM;
    if (is_limited(a) && size > wanted)
        size = wanted;
    int err = sl_fd_recv(source->fd, free_part, size, &n);
    if (err == 0 && n > 0) {
        sl_buffer_add(&a->buffer, n);
        a->received += (double)n;
        source->reader.progress = 1;
        /* What came short is drained, unless the end may be behind it. */
        if (n < size && !source->hangup)
            source->readable = 0;
        return 0;
    }
    if (sl_buffer_count(&a->buffer) == 0)
        sl_buffer_free(&a->buffer, &source->loop->scratch);
    a->ended = err == 0;
    err = err == 0 ? SL_CLOSED : sl_stream_failure(err);
    if (err == SL_AGAIN)
        source->readable = 0;
    return err;
}

static int try_receive(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    (void)L;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int status = received(a);
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
    int status = received(a);
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
    size_t count = *data = sl_buffer_count(&a->buffer);
    if (is_limited(a) && r->wanted == 0 && count > line_room(a))
        return *data = line_room(a);
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

void sl_stream_take(lua_State *L, sl_asocket *a, int finished)
{
    size_t data;
    size_t taken = take(a, finished, &data);
    const char *bytes = data > 0 ? sl_buffer_bytes(&a->buffer) : "";
    push_bytes(L, &a->receive, bytes, data);
    if (taken > 0)
        sl_buffer_skip(&a->buffer, &a->source.loop->scratch, taken);
}

/* data, nil, nil or nil, error, partial */
static int receive_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_wait_source(wait);
    if (wait->status != 0)
        sl_result_fail(L, wait->status);
    sl_stream_take(L, a, wait->status == 0);
    if (wait->status == 0) {
        lua_pushnil(L);
        lua_pushnil(L);
    }
    return 3;
}

static void check_pattern(lua_State *L, sl_receive *r)
{
    if (lua_isnumber(L, 2)) {
        double n = lua_tonumber(L, 2);
        luaL_argcheck(L, n >= 0, 2, "invalid receive pattern");
        size_t count = n < (double)(SIZE_MAX / 2) ? (size_t)n : SIZE_MAX / 2;
        r->pattern = SL_COUNT;
        r->wanted = count > r->prefix_size ? count - r->prefix_size : 0;
        return;
    }
    const char *pattern = luaL_optstring(L, 2, "*l");
    const char *letter = pattern;
    if (*letter == '*')
        letter++;
    luaL_argcheck(L, (letter > pattern || SL_STAR_OPTIONAL) &&
                     (*letter == 'l' || *letter == 'a'), 2,
                  "invalid receive pattern");
    r->pattern = *letter == 'l' ? SL_LINE : SL_ALL;
}

/* The arguments of receive, if there are any. */
static void check_receive(lua_State *L, sl_receive *r)
{
    r->prefix = luaL_optlstring(L, 3, "", &r->prefix_size);
    r->less_is_ok = lua_toboolean(L, 4);
    check_pattern(L, r);
}

/* nil, error, prefix: who went on in the middle of a line would take the rest
 * of it for another one. */
static int fail_overlong(lua_State *L, const sl_receive *r)
{
    int n = sl_result_fail(L, SL_TOO_LONG);
    lua_pushlstring(L, r->prefix, r->prefix_size);
    return n + 1;
}

static const sl_operation receiving = {try_receive, receive_results};

/* receive([pattern [, prefix [, less_is_ok]]]) -> data, nil, nil or nil,
 * error, partial. Pattern '*l', '*a' or a count, which includes the prefix;
 * less_is_ok: whatever has arrived is enough. */
static int meth_receive(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_receive r = {SL_LINE, 0, 0, "", 0};
    if (lua_gettop(L) > 1)
        check_receive(L, &r);
    sl_asocket_checkkind(L, a, SL_CLIENT);
    sl_wait_check(L, &a->source.reader, "receive");
    if (a->overlong)
        return fail_overlong(L, &r);
    if (a->transport == SL_FOREIGN) {
        a->receive = r;
        return sl_foreign_receive(L, a);
    }
    if (a->has_object)
        look_behind(L, a, 1);
    a->receive = r;
    if (sl_buffer_count(&a->buffer) > 0 && received(a) == 0 &&
        sl_wait_spare(&a->source.reader)) {
        a->source.reader.status = 0;
        return receive_results(L, &a->source.reader);
    }
    return sl_wait_operate(L, &a->source.reader, &receiving, a->block,
                           a->total);
}

/* --- send -------------------------------------------------------------- */

/* Sends once, after what is still to be sent. */
static inline int put(sl_source *source, const char *data, size_t size,
                      size_t *n)
{
    return source->unsent == NULL ? sl_fd_send(source->fd, data, size, n)
                                  : sl_gather_send(source, data, size, n);
}

static int try_send(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    sl_send *s = &a->writer.send;
    (void)L;
    for (int round = 0; s->next < s->end; round++) {
        size_t n;
        if (round == ROUNDS_MAX)
            return SL_BUSY;
        if (source->fd < 0)
            return SL_CLOSED;
        if (source->lost != 0)
            return sl_stream_failure(source->lost);
        if (!source->writable)
            return SL_AGAIN;
        int err = put(source, s->data + s->next, s->end - s->next, &n);
        s->next += n;
        a->sent += (double)n;
        source->writer.progress |= n > 0;
        if (err != 0 && sl_stream_failure(err) != SL_AGAIN)
            return sl_stream_failure(err);
        if (s->next < s->end)    /* what came short has filled the window */
            source->writable = 0;
    }
    return 0;
}

/* last index, nil, nil or nil, error, last index */
static int send_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_wait_source(wait);
    lua_Number last = (lua_Number)a->writer.send.next;
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

/* Whether the next line is there already, so that the peer won't wait for this
 * answer; and we are in a turn that ends. */
static int may_gather(sl_asocket *a)
{
    sl_loop *loop = a->source.loop;
    return a->receive.pattern == SL_LINE && !a->has_object &&
           loop->stepping && loop->threads->running != NULL &&
           a->source.fd >= 0 && a->source.lost == 0 &&
           sl_buffer_line(&a->buffer) > 0;
}

/* The same results for what was gathered, or 0: it was not. */
static int send_later(lua_State *L, sl_asocket *a, const sl_send *s)
{
    if (s->next == s->end || !may_gather(a) ||
        !sl_gather_add(&a->source, s->data + s->next, s->end - s->next))
        return 0;
    a->sent += (double)(s->end - s->next);
    lua_pushnumber(L, (lua_Number)s->end);
    lua_pushnil(L);
    lua_pushnil(L);
    return 3;
}

/* [-0, +0, e] Replaces a table of strings by the one string. */
static void join(lua_State *L, int index)
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

static long clamp(double index)
{
    const double limit = 4503599627370496.0;    /* 2^52: exact, and enough */
    return (long)(index > limit ? limit : index > -limit ? index : -limit);
}

/* The part of the string between the indices i and j of send. */
static void check_part(lua_State *L, sl_send *s)
{
    long size = (long)s->end;
    long first = clamp(luaL_optnumber(L, 3, 1));
    long last = clamp(luaL_optnumber(L, 4, -1));
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

/* send(data [, i [, j]]) -> last index sent, nil, nil or nil, error, last
 * index sent. data is a string or a table of strings. */
static int meth_send(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_send s = {NULL, 0, 0};
    if (lua_istable(L, 2))
        join(L, 2);
    s.data = luaL_checklstring(L, 2, &s.end);
    if (lua_gettop(L) > 2)
        check_part(L, &s);
    sl_asocket_checkkind(L, a, SL_CLIENT);
    sl_wait_check(L, &a->source.writer, "send");
    if (a->connect != NULL)
        sl_connect_abandon(L, a);
    if (a->has_object && a->transport != SL_FOREIGN)
        look_behind(L, a, 0);
    a->writer.send = s;
    if (a->transport == SL_FOREIGN)
        return sl_foreign_send(L, a);
    if (sl_buffer_count(&a->buffer) > 0 && send_later(L, a, &s))
        return 3;
    return sl_wait_operate(L, &a->source.writer, &sending, a->block,
                           a->total);
}

static int try_settle(lua_State *L, sl_source *source)
{
    size_t n;
    (void)L;
    while (source->unsent != NULL) {
        if (!source->writable)
            return SL_AGAIN;
        sl_gather_send(source, NULL, 0, &n);
    }
    return source->fd < 0 ? SL_CLOSED : 0;
}

static const sl_operation settling = {try_settle, NULL};

void sl_stream_settle(lua_State *L, sl_asocket *a, const char *what)
{
    sl_loop *loop = a->source.loop;
    sl_gather_flush(loop);
    if (a->source.unsent == NULL)
        return;
    if (loop->threads->running == NULL)
        luaL_error(L, "%s: the peer has not taken yet what was sent to it",
                   what);
    sl_wait_check(L, &a->source.writer, what);
    int err = sl_wait_block(L, &a->source.writer, &settling, -1);
    if (err != 0 && err != SL_CLOSED)
        luaL_error(L, "%s: %s", what, sl_result_message(err));
}

/* --- shutdown ---------------------------------------------------------- */

/* shutdown(['receive' | 'send' | 'both']) -> 1 */
static int meth_shutdown(lua_State *L)
{
    static const char *const names[] = {"receive", "send", "both", NULL};
    static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_checkkind(L, a, SL_CLIENT);
    if (a->transport == SL_FOREIGN)
        return sl_foreign_method(L, a, "shutdown");
    luaL_optstring(L, 2, NULL);    /* LuaJIT's checkoption takes anything */
    int how = hows[luaL_checkoption(L, 2, "both", names)];
    if (how == SHUT_RD || !sl_gather_end(&a->source))
        shutdown(a->source.fd, how);
    else if (how == SHUT_RDWR)
        shutdown(a->source.fd, SHUT_RD);
    lua_pushinteger(L, 1);
    return 1;
}

const luaL_Reg sl_stream_methods[] = {
    {"receive", meth_receive},
    {"send", meth_send},
    {"shutdown", meth_shutdown},
    {NULL, NULL}
};
