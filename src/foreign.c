/*
 * foreign.c - receive, send and other methods of objects that are not
 * LuaSocket's, called so that they wait in the loop. See foreign.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "foreign.h"

#include "clock.h"
#include "descriptor.h"
#include "luasocket.h"
#include "receive.h"
#include "result.h"
#include "send.h"
#include "stream.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* At most so many bytes in one call, before it may be others' turn. */
enum { CHUNK = 32 * 1024 };

/* Calls of the object's methods that go on until one of them is done. */
typedef struct exchange {
    sl_asocket *a;
    sl_wait *wait;       /* in which the thread waits; NULL: as it wants */
    const char *name;    /* of the asocket's method, for messages */
    double until;        /* deadline, or negative */
    unsigned wanted;     /* what the last call wanted, or 0 */
    int object;          /* its index */
    const sl_receive *receive;    /* what it is after; or NULL: not that */
} exchange;

/* --- objects ----------------------------------------------------------- */

int sl_foreign_is(lua_State *L, int index)
{
    static const char *const needed[] = {
        "receive", "send", "close", "getfd", NULL
    };
    if (lua_type(L, index) == LUA_TUSERDATA) {
        if (!luaL_getmetafield(L, index, "__index"))
            return 0;
        lua_pop(L, 1);
    } else if (!lua_istable(L, index)) {
        return 0;
    }
    int is_one = 1;
    for (int i = 0; is_one && needed[i] != NULL; i++) {
        lua_getfield(L, index, needed[i]);
        is_one = lua_isfunction(L, -1);
        lua_pop(L, 1);
    }
    return is_one;
}

static int is_luasec(lua_State *L, int index)
{
    return sl_testudata(L, index, "SSL:Connection") != NULL;
}

void sl_foreign_prepare(lua_State *L, int index)
{
    sl_fd_ignorepipe();
    lua_getfield(L, index, "settimeout");
    if (lua_isfunction(L, -1))
        sl_luasocket_nonblock(L, index);
    lua_pop(L, 1);
    if (is_luasec(L, index))
        sl_fd_hurry(sl_luasocket_fd(L, index));
}

/* [-0, +0, e] Whether there are bytes in the object that wait for nothing. */
static int is_dirty(lua_State *L, int object)
{
    sl_luasocket_method(L, object, "dirty");
    if (!lua_isfunction(L, -1)) {
        lua_pop(L, 1);
        return 0;
    }
    lua_pushvalue(L, object);
    lua_call(L, 1, 1);
    int dirty = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return dirty;
}

/* --- waiting ----------------------------------------------------------- */

static int ready_status(const sl_source *source, const sl_wait *wait)
{
    if (source->fd < 0)
        return SL_CLOSED;
    /* Its turn came late: the readiness may be forgotten again. */
    if (wait->status == SL_BUSY)
        return 0;
    int ready = wait->interest & SL_READABLE ? source->readable
                                             : source->writable;
    return ready ? 0 : SL_AGAIN;
}

static int try_reading(lua_State *L, sl_source *source)
{
    (void)L;
    return ready_status(source, &source->reader);
}

static int try_writing(lua_State *L, sl_source *source)
{
    (void)L;
    return ready_status(source, &source->writer);
}

static const sl_operation reading_on = {try_reading, NULL};
static const sl_operation writing_on = {try_writing, NULL};

/* Others may have run: an object that waits by itself, in loop sockets of its
 * own, does not keep them from using the asocket meanwhile. */
static void regain(const exchange *x)
{
    if (x->receive != NULL)
        x->a->receive = *x->receive;
}

/* [-0, +0, e] Raises where the thread cannot wait in straight-line C. */
static void check_thread(lua_State *L, const exchange *x)
{
    sl_wait_check(L, x->wait, x->name);
    if (x->a->source.loop->threads->running == NULL)
        luaL_error(L, "%s must be called from a loop thread (see newthread)",
                   x->name);
}

/* How long the next wait may take: 0 not at all, negative for ever. */
static double time_left(const exchange *x)
{
    double limit = x->a->block;
    if (x->until >= 0) {
        double left = fmax(x->until - sl_clock_now(), 0);
        limit = limit < 0 ? left : fmin(limit, left);
    }
    return limit;
}

/* sl_wait_block in the exchange's wait */
static int block(lua_State *L, const exchange *x,
                 const sl_operation *operation, double limit)
{
    int err = sl_wait_block(L, x->wait, operation, limit);
    regain(x);
    return err;
}

/* [-0, +0, e] The others' turn if this thread had its share. 0 or SL_CLOSED. */
static int take_turn(lua_State *L, exchange *x)
{
    check_thread(L, x);
    return block(L, x, &sl_wait_turn, -1);
}

/* [-0, +0, e] Waits for what the object wants, which may be there already:
 * nobody says that it had done all it could. */
static int await(lua_State *L, exchange *x)
{
    sl_source *source = &x->a->source;
    int reading = x->wait == &source->reader;
    double limit = time_left(x);
    check_thread(L, x);
    sl_checkfinalizer(L);
    if (source->fd < 0)
        return SL_CLOSED;
    if (limit == 0)
        return SL_TIMEOUT;
    if (sl_fd_ready(source->fd, x->wanted == SL_WRITABLE))
        return take_turn(L, x);
    if (x->wanted == SL_READABLE)
        source->readable = 0;
    else
        source->writable = 0;
    x->wait->interest = (unsigned char)x->wanted;
    int err = block(L, x, reading ? &reading_on : &writing_on, limit);
    x->wait->interest = reading ? SL_READABLE : SL_WRITABLE;
    return err;
}

/* The wait ends if it is for the other direction than its own, or if what
 * was done went the other direction. */
static void wake_crossed(sl_wait *wait, unsigned own, unsigned wanted)
{
    if (wait->parked && (wait->interest != own || wanted == own))
        sl_wait_finish(wait, 0);
}

/* [-0, +0, e] The object was called, in a call that went on when it could do
 * what it wanted, or 0. Who waits for what that may have brought goes on. */
static void wake_others(lua_State *L, sl_asocket *a, int object,
                        unsigned wanted)
{
    sl_wait *reader = &a->source.reader;
    if (reader->parked && reader->interest == SL_READABLE &&
        is_dirty(L, object))
        sl_wait_finish(reader, 0);
    wake_crossed(reader, SL_READABLE, wanted);
    wake_crossed(&a->source.writer, SL_WRITABLE, wanted);
}

/* What the results from index on ask for, or 0. own: what it is if the
 * object only says that it had no time. */
static unsigned wanted_readiness(lua_State *L, int index, unsigned own)
{
    if (lua_toboolean(L, index) || lua_type(L, index + 1) != LUA_TSTRING)
        return 0;
    const char *what = lua_tostring(L, index + 1);
    return strcmp(what, "wantread") == 0 ? SL_READABLE
         : strcmp(what, "wantwrite") == 0 ? SL_WRITABLE
         : strcmp(what, "timeout") == 0 ? own : 0;
}

/* --- receive and send -------------------------------------------------- */

/* [-0, +1, e] Begins one of them; pushes the object. */
static exchange begin(lua_State *L, sl_asocket *a, sl_wait *wait,
                      const char *name)
{
    exchange x = {a, wait, name, -1, 0, 0, NULL};
    check_thread(L, &x);
    if (a->handshaking)
        luaL_error(L, "%s: the TLS handshake is not finished", name);
    if (a->total >= 0)
        x.until = sl_clock_now() + a->total;
    sl_asocket_pushobject(L, 1);
    x.object = lua_gettop(L);
    if (sl_luasocket_fd(L, x.object) != a->source.fd)
        sl_asocket_sync(L, a, x.object);
    return x;
}

/* [-nargs, +3, e] Calls the object's method with the values on the top. */
static void call_object(lua_State *L, exchange *x, const char *method,
                        int nargs)
{
    unsigned own = x->wait == &x->a->source.reader ? SL_READABLE
                                                   : SL_WRITABLE;
    sl_luasocket_method(L, x->object, method);
    lua_pushvalue(L, x->object);
    lua_insert(L, -(nargs + 2));
    lua_insert(L, -(nargs + 2));
    lua_call(L, nargs + 1, 3);
    wake_others(L, x->a, x->object, x->wanted);
    x->wanted = wanted_readiness(L, x->object + 1, own);
    regain(x);
}

/* [-0, +1, m] Pushes the object's error at index: OpenSSL knows no words for
 * some. */
static void push_error(lua_State *L, int index)
{
    if (lua_isnil(L, index))
        lua_pushliteral(L, "unknown error");
    else
        lua_pushvalue(L, index);
}

/* [-1, +3, e] nil, the error on the top, what was received */
static int fail_received(lua_State *L, const exchange *x)
{
    lua_pushnil(L);
    lua_insert(L, -2);
    regain(x);
    sl_receive_take(L, x->a, 0);
    return 3;
}

/* [-0, +1, -] Pushes the pattern for the object; how many bytes it asks for,
 * 0 for a line. One whose length is limited is not left to the object. */
static size_t push_pattern(lua_State *L, const sl_asocket *a)
{
    size_t asked = sl_receive_wanted(a);
    if (asked == 0 && a->receive.pattern == SL_LINE) {
        lua_pushliteral(L, "*l");
        return 0;
    }
    if (asked == 0 || asked > CHUNK)
        asked = CHUNK;
    lua_pushinteger(L, (lua_Integer)asked);
    return asked;
}

/* [-0, +0, e] Moves the bytes at index to the asocket's buffer; how many. */
static size_t collect(lua_State *L, sl_asocket *a, int index)
{
    size_t n = 0;
    const char *bytes = lua_tolstring(L, index, &n);
    if (n > 0 && sl_buffer_append(&a->buffer, &a->source.loop->scratch,
                                  bytes, n) != 0)
        luaL_error(L, "not enough memory");
    a->received += (double)n;
    return n;
}

/* Whether the error at index is the end of the stream, and that finishes the
 * receive. */
static int is_end(lua_State *L, sl_asocket *a, int index)
{
    return a->receive.pattern == SL_ALL &&
           sl_buffer_count(&a->buffer) > 0 &&
           lua_type(L, index) == LUA_TSTRING &&
           strcmp(lua_tostring(L, index), "closed") == 0;
}

/* One call of the object's receive, which leaves its results. Whether the
 * object has given all that was asked for. */
static int receive_once(lua_State *L, exchange *x)
{
    sl_asocket *a = x->a;
    size_t asked = push_pattern(L, a);
    call_object(L, x, "receive", 1);
    int result = x->object + 1;
    if (!lua_toboolean(L, result)) {
        collect(L, a, result + 2);
        return is_end(L, a, result + 1);
    }
    size_t n = collect(L, a, result);
    if (a->receive.pattern == SL_LINE)
        return asked == 0 || n == 0;
    return n < asked;
}

int sl_foreign_receive(lua_State *L, sl_asocket *a)
{
    const sl_receive r = a->receive;
    lua_settop(L, 4);
    exchange x = begin(L, a, &a->source.reader, "receive");
    x.receive = &r;
    for (;;) {
        regain(&x);
        int err = sl_receive_finished(a);
        if (err == 0)
            return sl_receive_give(L, a);
        lua_settop(L, x.object);
        if (err == SL_AGAIN)
            err = take_turn(L, &x);
        if (err == 0) {
            if (receive_once(L, &x))
                return sl_receive_give(L, a);
            if (lua_toboolean(L, x.object + 1) ||
                sl_receive_finished(a) != SL_AGAIN)
                continue;
            push_error(L, x.object + 2);
            if (x.wanted == 0)
                return fail_received(L, &x);
            if (x.wanted != SL_READABLE || !is_dirty(L, x.object))
                err = await(L, &x);
        }
        if (err != 0) {
            lua_pushstring(L, sl_result_message(err));
            return fail_received(L, &x);
        }
    }
}

/* One call of the object's send, which leaves its results. Whether it sent
 * as many bytes as it was told to. */
static int send_once(lua_State *L, exchange *x, sl_send *s)
{
    size_t end = s->end - s->next > CHUNK ? s->next + CHUNK : s->end;
    lua_pushvalue(L, 2);
    lua_pushnumber(L, (lua_Number)s->next + 1);
    lua_pushnumber(L, (lua_Number)end);
    call_object(L, x, "send", 3);
    int sent = lua_toboolean(L, x->object + 1);
    double last = lua_tonumber(L, sent ? x->object + 1 : x->object + 3);
    if (sent && !(last > (double)s->next && last < (double)end))
        last = (double)end;
    if (last > (double)s->next && last <= (double)end) {
        x->a->sent += last - (double)s->next;
        s->next = (size_t)last;
    }
    return sent;
}

/* [-1, +3, -] nil, the error on the top, last index sent */
static int fail_sent(lua_State *L, const sl_send *s)
{
    lua_pushnil(L);
    lua_insert(L, -2);
    lua_pushnumber(L, (lua_Number)s->next);
    return 3;
}

int sl_foreign_send(lua_State *L, sl_asocket *a)
{
    sl_send s = a->writer.send;
    lua_settop(L, 2);
    exchange x = begin(L, a, &a->source.writer, "send");
    while (s.next < s.end) {
        lua_settop(L, x.object);
        int err = take_turn(L, &x);
        if (err == 0) {
            if (send_once(L, &x, &s))
                continue;
            push_error(L, x.object + 2);
            if (x.wanted == 0)
                return fail_sent(L, &s);
            err = await(L, &x);
        }
        if (err != 0) {
            lua_pushstring(L, sl_result_message(err));
            return fail_sent(L, &s);
        }
    }
    lua_pushnumber(L, (lua_Number)s.next);
    lua_pushnil(L);
    lua_pushnil(L);
    return 3;
}

/* --- other methods ----------------------------------------------------- */

int sl_foreign_call(lua_State *L, sl_asocket *a, int first, const char *name)
{
    exchange x = {a, NULL, name, -1, 0, 0, NULL};
    int top = lua_gettop(L);
    if (a->total >= 0)
        x.until = sl_clock_now() + a->total;
    luaL_checkstack(L, top + LUA_MINSTACK, "too many arguments");
    lua_pushvalue(L, first);
    sl_luasocket_original(L);
    lua_replace(L, first);
    for (int err = 0; err == 0;) {
        lua_settop(L, top);
        for (int i = first; i <= top; i++)
            lua_pushvalue(L, i);
        lua_call(L, top - first, LUA_MULTRET);
        if (a->transport == SL_FOREIGN) {
            sl_asocket_pushobject(L, 1);
            wake_others(L, a, lua_gettop(L), x.wanted);
            lua_pop(L, 1);
        }
        int n = lua_gettop(L) - top;
        x.wanted = n >= 2 ? wanted_readiness(L, top + 1, 0) : 0;
        if (x.wanted == 0)
            return n;
        x.wait = x.wanted == SL_READABLE ? &a->source.reader
                                         : &a->source.writer;
        err = await(L, &x);
        if (err != 0)
            return sl_result_fail(L, err);
    }
    return 0;
}

int sl_foreign_method(lua_State *L, sl_asocket *a, const char *name)
{
    sl_asocket_pushobject(L, 1);
    sl_luasocket_method(L, -1, name);
    if (!lua_isfunction(L, -1))
        return sl_result_fail(L, EOPNOTSUPP);
    lua_insert(L, 2);
    lua_insert(L, 3);                /* asocket function object args */
    return sl_foreign_call(L, a, 2, name);
}

/* call_async(f, ...) -> all results of f(...), which is called again, after
 * waiting for that, while it returns nil or false and 'wantread' or
 * 'wantwrite'. */
static int meth_call_async(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    luaL_checkany(L, 2);
    if (a->source.loop->threads->running == NULL)
        return luaL_error(L, "call_async must be called from a loop thread "
                             "(see newthread)");
    sl_send_settle(L, a, "call_async");
    if (is_luasec(L, 3))    /* it would block if no asocket has it yet */
        sl_foreign_prepare(L, 3);
    int n = sl_foreign_call(L, a, 2, "call_async");
    a->source.readable = a->source.writable = 1;
    return n;
}

const luaL_Reg sl_foreign_methods[] = {
    {"call_async", meth_call_async},
    {NULL, NULL}
};
