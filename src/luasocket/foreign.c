/*
 * foreign.c - the driver of asockets with a foreign object, and call_async. See
 * foreign.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/foreign.h"

#include "loop/result.h"
#include "luasocket/attach.h"
#include "luasocket/exchange.h"
#include "luasocket/object.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/signal.h"
#include "socket/pattern.h"
#include "socket/receive.h"
#include "socket/send.h"
#include "thread/arg.h"

#include <errno.h>

/* The most bytes that one call of the object receives or sends. Between two
 * calls other threads may run. */
enum { CHUNK = 32 * 1024 };

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

int sl_foreign_istls(lua_State *L, int index)
{
    return sl_testudata(L, index, "SSL:Connection") != NULL;
}

void sl_foreign_prepare(lua_State *L, int index)
{
    sl_signal_ignorepipe();
    lua_getfield(L, index, "settimeout");
    if (lua_isfunction(L, -1))
        sl_object_nonblock(L, index);
    lua_pop(L, 1);
    if (sl_foreign_istls(L, index))
        sl_fd_boundsend(sl_object_fd(L, index));
}

/* --- receive and send -------------------------------------------------- */

/* [-1, +3, e] Pops an error and pushes nil, the error, partial. Returns 3. */
static int fail_received(lua_State *L, const sl_exchange *x)
{
    lua_pushnil(L);
    lua_insert(L, -2);
    sl_exchange_regain(x);
    sl_receive_take(L, x->a, 0);
    return 3;
}

/* [-0, +1, -] Pushes the pattern for the object's receive. Returns the number
 * of bytes that it asks for, 0 for a line. Asks for bytes instead of a line if
 * lines have a limit; also of TLS, whose receive of a line does not return
 * while the peer goes on sending. */
static size_t push_pattern(lua_State *L, const sl_asocket *a)
{
    size_t asked = sl_pattern_missing(a);
    const sl_pattern *pattern = &sl_patterns[a->receive.pattern];
    if (asked == 0 && pattern->is_line && !a->is_tls) {
        lua_pushfstring(L, "*%c", pattern->letter);
        return 0;
    }
    if (asked == 0 || asked > CHUNK)
        asked = CHUNK;
    lua_pushinteger(L, (lua_Integer)asked);
    return asked;
}

/* [-0, +0, e] Appends the string at index to the asocket's buffer, and counts
 * and charges its bytes. Returns their number. */
static size_t take_result_bytes(lua_State *L, sl_exchange *x, int index)
{
    size_t n = sl_exchange_collect(L, x->a, index);
    x->a->received += (double)n;
    if (n > 0)
        sl_exchange_progress(x, n);
    return n;
}

/* [-0, +0, e] True if the error at index is the end of the stream, and the
 * receive is finished by it. */
static int is_end(lua_State *L, sl_exchange *x, int index)
{
    const sl_asocket *a = x->a;
    return sl_pattern_endswithstream(a) && sl_exchange_isclosed(L, index) &&
           (!a->is_tls || sl_exchange_isgoodbye(L, x));
}

/* [-0, +(0|3), e] True if remember_outcome has kept an outcome, which is pushed
 * as the results of a receive: nil, 'wantread' or 'closed', nil. False if the
 * object has to be called: there is no outcome, or it is SL_IO_DRAINED and
 * either out of date or of no use, as this receive must not wait. */
static int recall_outcome(lua_State *L, sl_exchange *x)
{
    sl_asocket *a = x->a;
    int outcome = a->outcome;
    if (outcome != SL_IO_ENDED && outcome != SL_IO_DRAINED)
        return 0;
    a->outcome = SL_IO_GOES_ON;
    if (outcome == SL_IO_DRAINED &&
        (sl_exchange_timeleft(x) == 0 || sl_exchange_isdirty(L, x)))
        return 0;
    x->wanted = outcome == SL_IO_DRAINED ? SL_READABLE : 0;
    lua_pushnil(L);
    lua_pushstring(L, outcome == SL_IO_DRAINED ? "wantread" : "closed");
    lua_pushnil(L);
    return 1;
}

/* Keeps the outcome of a call of LuaSec's receive that has failed, but whose
 * bytes finish the asocket's receive. The asocket's next receive begins with
 * this outcome instead of a call. */
static void remember_outcome(lua_State *L, const sl_exchange *x)
{
    sl_asocket *a = x->a;
    if (a->outcome != SL_IO_GOES_ON || !a->is_tls)
        return;
    if (x->wanted == SL_READABLE)
        a->outcome = SL_IO_DRAINED;
    else if (sl_exchange_isclosed(L, x->object + 2))
        a->outcome = SL_IO_ENDED;
}

/* [-0, +4, e] Calls the object's receive once, or recalls an outcome, and
 * leaves the results above the object. True if the asocket's receive is
 * finished. */
static int ask_for_bytes(lua_State *L, sl_exchange *x)
{
    sl_asocket *a = x->a;
    int result = x->object + 1;
    size_t asked = 0;
    if (!recall_outcome(L, x)) {
        asked = push_pattern(L, a);
        sl_exchange_call(L, x, "receive", 1);
    }
    if (!lua_toboolean(L, result)) {
        take_result_bytes(L, x, result + 2);
        return is_end(L, x, result + 1);
    }
    size_t n = take_result_bytes(L, x, result);
    if (asked == 0 || sl_patterns[a->receive.pattern].is_line)
        return asked == 0 || n == 0;
    return n < asked && !sl_pattern_overflows(a);
}

/* [-0, +(0|1), e] To be called after a call that has not finished the receive:
 * waits for the readiness that the object wants. Returns 0 if the receive goes
 * on, or -1 and pushes the error with which it fails. */
static int go_on_receiving(lua_State *L, sl_exchange *x)
{
    if (lua_toboolean(L, x->object + 1))
        return 0;
    if (sl_pattern_find(x->a) != SL_AGAIN) {
        remember_outcome(L, x);
        return 0;
    }
    if (x->wanted == 0) {
        lua_pushvalue(L, x->object + 2);
        return -1;
    }
    int err = 0;
    if (x->wanted != SL_READABLE || !sl_exchange_isdirty(L, x))
        err = sl_exchange_await(L, x);
    if (err == 0)
        return 0;
    lua_pushstring(L, sl_error_message(err));
    return -1;
}

/* Receives until the pattern is finished. Stack: the asocket and the arguments
 * (4 places), the object at x.object, the results of a call above it. */
static int foreign_receive(lua_State *L, sl_asocket *a,
                           const sl_receive *pattern)
{
    const sl_receive r = a->receive = *pattern;
    lua_settop(L, 4);
    sl_exchange x = sl_exchange_begin(L, a, &a->source.reader, "receive");
    x.receive = &r;
    for (;;) {
        sl_exchange_regain(&x);
        int err = sl_pattern_find(a);
        if (err == 0)
            return sl_receive_give(L, a);
        lua_settop(L, x.object);
        if (err == SL_AGAIN)
            err = sl_exchange_turn(L, &x);
        if (err != 0) {
            lua_pushstring(L, sl_error_message(err));
            return fail_received(L, &x);
        }
        if (ask_for_bytes(L, &x))
            return sl_receive_give(L, a);
        if (go_on_receiving(L, &x) != 0)
            return fail_received(L, &x);
    }
}

/* [-0, +3, e] Calls the object's send once, and leaves its results above the
 * object. True if the object has sent all bytes of the call. */
static int send_once(lua_State *L, sl_exchange *x, sl_send *s)
{
    size_t end = s->end - s->next > CHUNK ? s->next + CHUNK : s->end;
    lua_pushvalue(L, 2);
    lua_pushnumber(L, (lua_Number)s->next + 1);
    lua_pushnumber(L, (lua_Number)end);
    sl_exchange_call(L, x, "send", 3);
    int sent = lua_toboolean(L, x->object + 1);
    double last = lua_tonumber(L, sent ? x->object + 1 : x->object + 3);
    if (sent && !(last > (double)s->next && last < (double)end))
        last = (double)end;
    if (last > (double)s->next && last <= (double)end) {
        size_t n = sl_arg_tosize(last) - s->next;
        x->a->sent += (double)n;
        s->next += n;
        sl_exchange_progress(x, n);
    }
    return sent;
}

/* [-1, +3, -] Pops an error and pushes nil, the error, the last index sent.
 * Returns 3. */
static int fail_sent(lua_State *L, const sl_send *s)
{
    lua_pushnil(L);
    lua_insert(L, -2);
    lua_pushnumber(L, (lua_Number)s->next);
    return 3;
}

static int foreign_send(lua_State *L, sl_asocket *a, const sl_send *part)
{
    sl_send s = *part;
    lua_settop(L, 2);
    sl_exchange x = sl_exchange_begin(L, a, &a->source.writer, "send");
    while (s.next < s.end) {
        lua_settop(L, x.object);
        int err = sl_exchange_turn(L, &x);
        if (err == 0) {
            if (send_once(L, &x, &s))
                continue;
            if (x.wanted == 0) {
                lua_pushvalue(L, x.object + 2);
                return fail_sent(L, &s);
            }
            err = sl_exchange_await(L, &x);
        }
        if (err != 0) {
            lua_pushstring(L, sl_error_message(err));
            return fail_sent(L, &s);
        }
    }
    lua_pushnumber(L, (lua_Number)s.next);
    lua_pushnil(L);
    lua_pushnil(L);
    return 3;
}

/* --- other methods ----------------------------------------------------- */

/* [-0, +n, e] Calls the function at index `first` with the values above it, up
 * to the one below the object. Returns n, the number of results. */
static int call_once(lua_State *L, sl_exchange *x, int first)
{
    lua_settop(L, x->object);
    for (int i = first; i < x->object; i++)
        lua_pushvalue(L, i);
    lua_call(L, x->object - first - 1, LUA_MULTRET);
    int n = lua_gettop(L) - x->object;
    int result = x->object + 1;
    int failed = n >= 2 && !lua_toboolean(L, result) &&
                 x->a->driver->does_io;
    x->wait = NULL;    /* the reader or writer, according to x->wanted */
    sl_exchange_called(L, x, failed && sl_exchange_doesio(L, x, first),
                       result);
    return n;
}

/* [-0, +n, e] Calls the function at index `first` with the values above it,
 * repeatedly, until its results do not ask for a wait. Returns n. */
static int call_again(lua_State *L, sl_asocket *a, int first,
                      const char *name)
{
    sl_exchange x = {a, NULL, name, -1, 0, 0, 0, 0, NULL};
    if (a->total >= 0)
        x.until = sl_clock_now() + a->total;
    luaL_checkstack(L, lua_gettop(L) + LUA_MINSTACK, "too many arguments");
    lua_pushvalue(L, first);
    sl_object_original(L);
    lua_replace(L, first);
    sl_attach_push(L, 1);
    x.object = lua_gettop(L);
    for (int err = 0; err == 0;) {
        if (a->outcome == SL_IO_FAILED && sl_exchange_doesio(L, &x, first)) {
            lua_pushnil(L);
            sl_asocket_pushvalue(L, 1, SL_AT_FAILURE);
            return 2;
        }
        int n = call_once(L, &x, first);
        if (x.wanted == 0)
            return n;
        x.wait = x.wanted == SL_READABLE ? &a->source.reader
                                         : &a->source.writer;
        err = sl_exchange_await(L, &x);
        if (err != 0)
            return sl_result_fail(L, err);
    }
    return 0;
}

static int foreign_method(lua_State *L, sl_asocket *a, const char *name)
{
    sl_attach_push(L, 1);
    sl_object_method(L, -1, name);
    if (!lua_isfunction(L, -1))
        return sl_result_fail(L, EOPNOTSUPP);
    lua_insert(L, 2);
    lua_insert(L, 3);                /* asocket function object args */
    return call_again(L, a, 2, name);
}

static int foreign_call(lua_State *L, sl_asocket *a, int first)
{
    return call_again(L, a, first, "call_async");
}

/* --- the driver -------------------------------------------------------- */

static void foreign_resync(lua_State *L, sl_asocket *a)
{
    sl_attach_push(L, 1);
    int object = lua_gettop(L);
    if (sl_object_fd(L, object) != a->source.fd)
        sl_attach_sync(L, 1, object);
    lua_pop(L, 1);
}

static int foreign_dirty(lua_State *L, sl_asocket *a)
{
    (void)a;
    sl_attach_push(L, 1);
    int dirty = sl_object_isdirty(L, lua_gettop(L));
    lua_pop(L, 1);
    return dirty;
}

static void foreign_close(lua_State *L, int index, int fd, int again)
{
    (void)fd;    /* owned by the object */
    if (!again)
        sl_attach_close(L, index);
}

static const char *const foreign_classes[SL_KINDS] = {
    "foreign{master}", "foreign{client}", "foreign{server}"
};

/* A foreign object is always a client: functions for masters and servers are
 * NULL. */
const sl_driver sl_foreign_driver = {
    .name = "foreign", .classes = foreign_classes, .does_io = 1,
    .resync = foreign_resync,
    .receive = foreign_receive,
    .send = foreign_send,
    .method = foreign_method,
    .call = foreign_call,
    .dirty = foreign_dirty,
    .setfd = sl_attach_setfd,
    .close = foreign_close
};

/* --- call_async -------------------------------------------------------- */

/* call_async(f, ...) -> all results of f(...). While f returns nil or false and
 * 'wantread' or 'wantwrite', waits for that readiness and calls f again. */
static int meth_call_async(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_arg_any(L, 2);
    if (a->source.loop->threads->running == NULL)
        return luaL_error(L, "call_async must be called from a loop thread "
                             "(see newthread)");
    int err = sl_send_await(L, a, "call_async");
    if (err != 0 && err != SL_CLOSED)
        return sl_result_fail(L, err);
    if (sl_foreign_istls(L, 3))    /* f may be a method of LuaSec's object */
        sl_foreign_prepare(L, 3);
    int n = call_again(L, a, 2, "call_async");
    sl_asocket_assumeready(a);
    return n;
}

const luaL_Reg sl_foreign_methods[] = {
    {"call_async", meth_call_async},
    {NULL, NULL}
};
