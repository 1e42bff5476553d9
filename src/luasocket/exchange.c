/*
 * exchange.c - calling objects that do their own I/O. See exchange.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/exchange.h"

#include "luasocket/attach.h"
#include "luasocket/object.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/fd.h"
#include "thread/hook.h"

#include <math.h>
#include <string.h>

/* The number of `tries` (exchange.h) after which there is a pause before each
 * further call. */
enum { TRIES_MAX = 16 };

/* A thread's budget in bytes. */
enum { BYTES_MAX = 64 * 1024 };

/* The pause after TRIES_MAX tries. */
static const double pause_seconds = 0.01;

/* --- waiting ----------------------------------------------------------- */

/* Returns 0 if the wait's readiness has come, SL_AGAIN or SL_CLOSED. */
static int ready_status(const sl_source *source, const sl_wait *wait)
{
    if (source->fd < 0)
        return SL_CLOSED;
    /* The wait was queued when the readiness came. By now another call may have
     * used that up. */
    if (wait->phase == SL_WAIT_QUEUED)
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

void sl_exchange_regain(const sl_exchange *x)
{
    if (x->receive != NULL)
        x->a->receive = *x->receive;
}

/* [-0, +0, e] Raises if the caller is no thread of the loop, or another thread
 * uses the wait. */
static void check_thread(lua_State *L, const sl_exchange *x)
{
    sl_operation_check(L, x->wait, x->name);
    if (x->a->source.loop->threads->running == NULL)
        luaL_error(L, "%s must be called from a loop thread (see newthread)",
                   x->name);
}

double sl_exchange_timeleft(const sl_exchange *x)
{
    double limit = x->a->block;
    if (limit > 0 && x->tries > 0)
        limit = fmax(limit - (sl_clock_now() - x->since), 0);
    if (x->until >= 0) {
        double left = fmax(x->until - sl_clock_now(), 0);
        limit = limit < 0 ? left : fmin(limit, left);
    }
    return limit;
}

/* sl_operation_block in x->wait. Restores a->receive afterwards. */
static int block_exchange(lua_State *L, const sl_exchange *x,
                          const sl_operation *operation, double limit)
{
    int err = sl_operation_block(L, x->wait, operation, limit);
    sl_exchange_regain(x);
    return err;
}

void sl_exchange_charge(sl_thread *t, size_t n)
{
    if (t == NULL)
        return;
    size_t spent = t->spent + n / (BYTES_MAX / SL_OPERATIONS_MAX);
    t->spent = spent < SL_OPERATIONS_MAX ? (unsigned char)spent
                                         : SL_OPERATIONS_MAX;
}

size_t sl_exchange_collect(lua_State *L, sl_asocket *a, int index)
{
    size_t n = 0;
    const char *bytes = lua_tolstring(L, index, &n);
    if (n > 0 && sl_buffer_append(&a->buffer, &a->source.loop->scratch, bytes,
                                  n) != 0)
        luaL_error(L, "not enough memory");
    return n;
}

void sl_exchange_progress(sl_exchange *x, size_t n)
{
    x->tries = 0;
    sl_exchange_charge(x->a->source.loop->threads->running, n);
}

int sl_exchange_turn(lua_State *L, sl_exchange *x)
{
    check_thread(L, x);
    return block_exchange(L, x, &sl_operation_turn, -1);
}

/* [-0, +0, e] Waits before another call of an object that wants readiness that
 * is there already: for a turn, after TRIES_MAX tries for a pause. Returns 0 or
 * SL_CLOSED. */
static int try_again_later(lua_State *L, sl_exchange *x, double limit)
{
    if (x->tries++ == 0)
        x->since = sl_clock_now();
    if (x->tries <= TRIES_MAX)
        return sl_exchange_turn(L, x);
    int err = sl_operation_pause(L, x->wait, limit < 0 ? pause_seconds
                                                  : fmin(limit,
                                                         pause_seconds));
    sl_exchange_regain(x);
    return err;
}

/* Asks the system for the readiness before it waits. An object that has not
 * read or written as much as it could would otherwise wait for ever: an
 * edge-triggered poller does not report the readiness again. */
int sl_exchange_await(lua_State *L, sl_exchange *x)
{
    sl_source *source = &x->a->source;
    int reading = x->wait == &source->reader;
    double limit = sl_exchange_timeleft(x);
    check_thread(L, x);
    if (source->fd < 0)
        return SL_CLOSED;
    if (limit == 0)
        return SL_TIMEOUT;
    if (sl_fd_ready(source->fd, x->wanted == SL_WRITABLE))
        return try_again_later(L, x, limit);
    x->tries = 0;
    sl_operation_checkobstacle(L, source->loop);
    if (x->wanted == SL_READABLE)
        source->readable = 0;
    else
        source->writable = 0;
    x->wait->interest = (unsigned char)x->wanted;
    int err = block_exchange(L, x, reading ? &reading_on : &writing_on, limit);
    x->wait->interest = reading ? SL_READABLE : SL_WRITABLE;
    return err;
}

/* --- waking ------------------------------------------------------------ */

int sl_exchange_isdirty(lua_State *L, const sl_exchange *x)
{
    return sl_object_isdirty(L, x->object);
}

/* Ends a parked wait that is interested in the opposite direction of its own.
 * Ends it also if the call of the other thread had waited for this wait's own
 * direction. */
static void wake_crossed(sl_wait *wait, unsigned own, unsigned wanted)
{
    if (sl_wait_isparked(wait) && (wait->interest != own || wanted == own))
        sl_wait_finish(wait, 0);
}

/* [-0, +0, e] After a call of the object, ends the waits that the call may have
 * ended without making the descriptor ready. x->wanted is still the readiness
 * that was wanted before the call. */
static void wake_others(lua_State *L, const sl_exchange *x)
{
    sl_wait *reader = &x->a->source.reader;
    if (!x->a->driver->does_io)
        return;
    if (sl_wait_isparked(reader) && reader->interest == SL_READABLE &&
        sl_exchange_isdirty(L, x))
        sl_wait_finish(reader, 0);
    wake_crossed(reader, SL_READABLE, x->wanted);
    wake_crossed(&x->a->source.writer, SL_WRITABLE, x->wanted);
}

/* Ends the waits of both directions, as the object has failed. */
static void wake_both(sl_source *source)
{
    if (sl_wait_isparked(&source->reader))
        sl_wait_finish(&source->reader, 0);
    if (sl_wait_isparked(&source->writer))
        sl_wait_finish(&source->writer, 0);
}

/* --- errors ------------------------------------------------------------ */

static int is_word(lua_State *L, int index, const char *word)
{
    return lua_type(L, index) == LUA_TSTRING &&
           strcmp(lua_tostring(L, index), word) == 0;
}

int sl_exchange_isclosed(lua_State *L, int index)
{
    return is_word(L, index, "closed");
}

unsigned sl_exchange_wanted(lua_State *L, int index, unsigned own)
{
    return is_word(L, index, "wantread") ? SL_READABLE
         : is_word(L, index, "wantwrite") ? SL_WRITABLE
         : is_word(L, index, "timeout") ? own : 0;
}

/* [-0, +0, m] Replaces an error at index that means a lost connection by
 * 'closed'. LuaSec returns the system's message there. */
static void reword_error(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING ||
        !sl_error_isclosed(lua_tostring(L, index)))
        return;
    lua_pushliteral(L, "closed");
    lua_replace(L, index);
}

/* [-0, +0, m] Remembers that the object has failed with the error at index.
 * Replaces nil, which LuaSec returns if OpenSSL has no message. */
static void remember_failure(lua_State *L, sl_asocket *a, int index)
{
    a->outcome = SL_IO_FAILED;
    if (lua_isnil(L, index)) {
        lua_pushliteral(L, "unknown error");
        lua_replace(L, index);
    }
    sl_asocket_pushvalues(L, 1);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, SL_AT_FAILURE);
    lua_pop(L, 1);
}

void sl_exchange_called(lua_State *L, sl_exchange *x, int does_io, int first)
{
    sl_asocket *a = x->a;
    unsigned own = x->wait == NULL ? 0
                 : x->wait == &a->source.reader ? SL_READABLE : SL_WRITABLE;
    int error = first + 1;
    int failed = !lua_toboolean(L, first);
    unsigned wanted = failed ? sl_exchange_wanted(L, error, own) : 0;
    if (failed && wanted == 0 && does_io) {
        reword_error(L, error);
        if (!sl_exchange_isclosed(L, error)) {
            remember_failure(L, a, error);
            wake_both(&a->source);
            x->wanted = 0;
            return;
        }
    }
    wake_others(L, x);
    x->wanted = wanted;
}

int sl_exchange_doesio(lua_State *L, const sl_exchange *x, int function)
{
    static const char *const names[] = {
        "receive", "send", "dohandshake", NULL
    };
    int does_io = 0;
    for (int i = 0; !does_io && names[i] != NULL; i++) {
        sl_object_method(L, x->object, names[i]);
        does_io = lua_rawequal(L, -1, function);
        lua_pop(L, 1);
    }
    return does_io;
}

/* --- calling ----------------------------------------------------------- */

sl_exchange sl_exchange_begin(lua_State *L, sl_asocket *a, sl_wait *wait,
                              const char *name)
{
    sl_exchange x = {a, wait, name, -1, 0, 0, 0, 0, NULL};
    check_thread(L, &x);
    if (a->handshaking)
        luaL_error(L, "%s: the TLS handshake is not finished", name);
    if (a->total >= 0)
        x.until = sl_clock_now() + a->total;
    sl_attach_push(L, 1);
    x.object = lua_gettop(L);
    return x;
}

void sl_exchange_call(lua_State *L, sl_exchange *x, const char *method,
                      int nargs)
{
    int first = lua_gettop(L) - nargs + 1;
    if (x->a->outcome == SL_IO_FAILED) {
        lua_settop(L, first - 1);
        lua_pushnil(L);
        sl_asocket_pushvalue(L, 1, SL_AT_FAILURE);
        lua_pushnil(L);
        x->wanted = 0;
        return;
    }
    sl_object_method(L, x->object, method);
    lua_insert(L, first);
    lua_pushvalue(L, x->object);
    lua_insert(L, first + 1);
    lua_call(L, nargs + 1, 3);
    sl_exchange_called(L, x, 1, first);
    sl_exchange_regain(x);
}

/* [-0, +0, e] True if OpenSSL's last call has stopped because it has to read or
 * write. */
static int wants_something(lua_State *L, const sl_exchange *x)
{
    sl_object_method(L, x->object, "want");
    lua_pushvalue(L, x->object);
    lua_call(L, 1, 1);
    int wants = !is_word(L, -1, "nothing");
    lua_pop(L, 1);
    return wants;
}

/* LuaSec's 'closed' may also mean a reset, with some versions of OpenSSL any
 * end of the connection, or that the object itself was closed. After a
 * close_notify another receive returns 'closed' again without trying to
 * read. */
int sl_exchange_isgoodbye(lua_State *L, sl_exchange *x)
{
    if (sl_object_fd(L, x->object) < 0 || wants_something(L, x))
        return 0;
    int first = lua_gettop(L) + 1;
    lua_pushinteger(L, 1);
    sl_exchange_call(L, x, "receive", 1);
    int is_goodbye = !lua_toboolean(L, first) &&
                     sl_exchange_isclosed(L, first + 1);
    lua_settop(L, first - 1);
    return is_goodbye && !wants_something(L, x);
}
