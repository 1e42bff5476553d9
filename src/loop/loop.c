/*
 * loop.c - the step, and what becomes of failures. See loop.h for the order
 * within a step. Knows descriptors and threads, no sockets.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "loop/loop.h"

#include "loop/cork.h"
#include "loop/interrupt.h"
#include "loop/reclaim.h"
#include "loop/resolver.h"
#include "loop/source.h"
#include "loop/operation.h"
#include "os/clock.h"
#include "os/error.h"
#include "thread/anchor.h"
#include "thread/run.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENTS_MAX = 256,     /* taken from the poller at once */
    STEPS_UNLOOKED = 16   /* before the time of the next look is compared */
};

/* Seconds between two looks for threads that have left their waits: at least,
 * and for each record of a thread. */
static const double look_pause = 0.01, look_pause_each = 0.00001;

int sl_loop_isclosed(lua_State *L)
{
    return luaL_error(L, "socketloop: the loop is closed");
}

void sl_loop_env(lua_State *L, int which)
{
    sl_getuservalue(L, lua_upvalueindex(1));
    lua_rawgeti(L, -1, which);
    lua_remove(L, -2);
}

/* --- failures ---------------------------------------------------------- */

/* [-3, +0, e] A thread failed: thread, error and traceback go to onerror, or
 * out of this step, as Ctrl-C does. */
static void fail(lua_State *L, const sl_loop *loop)
{
    sl_loop_check(L)->failed(L, lua_gettop(L) - 2);
    sl_loop_env(L, SL_ENV_MODULE);
    lua_getfield(L, -1, "onerror");
    lua_remove(L, -2);
    if (lua_isnil(L, -1) || sl_interrupt_isone(L, -3, loop->has_sigint)) {
        lua_pop(L, 1);
        sl_failure_message(L);
        lua_error(L);
    }
    lua_insert(L, -4);
    lua_call(L, 3, 0);
}

void sl_loop_fail_later(lua_State *L, sl_loop *loop)
{
    lua_createtable(L, 3, 0);
    lua_insert(L, -4);
    for (int i = 3; i >= 1; i--)
        lua_rawseti(L, -(i + 1), i);
    sl_loop_env(L, SL_ENV_FAILURES);
    lua_insert(L, -2);
    lua_rawseti(L, -2, loop->failures + 1);
    lua_pop(L, 1);
    loop->failures++;
}

/* [-0, +0, e] Tells the failures that were put off. */
static void report_failures(lua_State *L, sl_loop *loop)
{
    sl_thread_sync_vm(L, loop->threads);
    while (loop->failures > 0) {
        sl_loop_env(L, SL_ENV_FAILURES);
        lua_rawgeti(L, -1, 1);
        for (int i = 1; i < loop->failures; i++) {
            lua_rawgeti(L, -2, i + 1);
            lua_rawseti(L, -3, i);
        }
        lua_pushnil(L);
        lua_rawseti(L, -3, loop->failures--);
        lua_remove(L, -2);
        for (int i = 1; i <= 3; i++)
            lua_rawgeti(L, -i, i);
        lua_remove(L, -4);
        fail(L, loop);
    }
}

/* --- after a fork ------------------------------------------------------ */

/* Tells the new poller, which knows nothing, what is waited for. */
static void update_all(sl_loop *loop)
{
    for (int fd = 0; fd < loop->sources_size; fd++) {
        sl_source *source = loop->sources[fd];
        if (source == NULL)
            continue;
        source->watched = 0;
        if (source->kind != SL_SOURCE_WATCHED && sl_source_owned(source) < 0) {
            sl_source_dispossess(source);
            continue;
        }
        int err = sl_source_update(source);
        if (err != 0) {
            sl_wait_finish(&source->reader, err);
            sl_wait_finish(&source->writer, err);
            sl_source_notify(source, SL_READABLE | SL_WRITABLE);
        }
    }
}

int sl_loop_afterfork(sl_loop *loop)
{
    void *poller;
    int err = loop->type->open(&poller);
    if (err != 0)
        return err;
    if (loop->resolver != NULL)
        err = sl_resolver_restart(loop->resolver);
    if (err != 0) {
        loop->type->close(poller);
        return err;
    }
    sl_cork_afterfork(loop);
    if (loop->type->is_inherited)
        loop->type->close(loop->poller);
    loop->poller = poller;
    loop->forks = sl_process_forks;
    loop->event = loop->event_count = 0;
    update_all(loop);
    return 0;
}

/* --- the step ---------------------------------------------------------- */

/* The operation of a queued wait goes on. True if the wait is over, or its
 * thread has left. */
static int advance_queued(lua_State *L, sl_wait *wait)
{
    if (!sl_thread_waits(wait->thread))
        return 1;
    if (!sl_wait_hassource(wait))
        sl_wait_finish(wait, 0);
    else if (sl_source_isreused(sl_source_of(wait)))
        sl_source_release(sl_source_of(wait), 0);
    else
        sl_operation_advance(L, wait);
    return wait->phase == SL_WAIT_DONE;
}

/* Runs a ready thread. It stays in the queue until nothing can fail. */
static void take_turn(lua_State *L, sl_loop *loop, sl_thread *t)
{
    sl_wait *wait = t->wait;
    if (wait != NULL && wait->phase == SL_WAIT_QUEUED &&
        !advance_queued(L, wait))
        return;
    int waits = sl_run_prepare(L, t);
    if (!waits && wait != NULL)
        sl_operation_drop(L, wait);
    sl_wait_dequeue(loop, t);
    t->wait = NULL;
    t->spent = 0;
    int failed = waits ? sl_run_wake(L, t, loop->hook) : sl_run_lose(L, t);
    sl_cork_flush(loop);
    if (failed)
        fail(L, loop);
    if (loop->failures > 0)
        report_failures(L, loop);
}

/* The source became ready: tries the operation if it waits for that. */
static void advance_parked(lua_State *L, sl_wait *wait, unsigned ready)
{
    if (!sl_wait_isparked(wait) || !(wait->interest & ready))
        return;
    if (!sl_thread_waits(wait->thread)) {
        sl_operation_drop(L, wait);
        return;
    }
    if (sl_source_isreused(sl_source_of(wait))) {
        sl_source_release(sl_source_of(wait), 0);
        return;
    }
    sl_operation_advance(L, wait);
    if (wait->phase == SL_WAIT_DONE)
        take_turn(L, sl_source_of(wait)->loop, wait->thread);
}

static sl_source *find_source(sl_loop *loop, const sl_event *event)
{
    if (event->fd >= loop->sources_size)
        return NULL;
    sl_source *source = loop->sources[event->fd];
    if (source == NULL || source->generation != event->generation)
        return NULL;
    return source;
}

/* Each wait looks the source up, as a thread may have closed it. A wait may be
 * for the other direction than its own (see foreign.h); one that begins now
 * waits for the next event. If a thread fails, the event is dispatched again,
 * which does no harm. */
static void dispatch(lua_State *L, sl_loop *loop, sl_event *event)
{
    sl_source *source = find_source(loop, event);
    if (source == NULL)
        return;
    source->hangup |= (event->ready & SL_HANGUP) != 0;
    source->readable |= (event->ready & SL_READABLE) != 0;
    source->writable |= (event->ready & SL_WRITABLE) != 0;
    if (source->kind == SL_SOURCE_CALLBACK) {
        event->ready = 0;
        ((sl_callback *)source)->on_ready(source);
        return;
    }
    if (source->watches != NULL) {
        sl_source_notify(source, event->ready);
        source = find_source(loop, event);
    }
    int writes = source != NULL && sl_wait_isparked(&source->writer);
    if (source != NULL)
        advance_parked(L, &source->reader, event->ready);
    if (writes && (source = find_source(loop, event)) != NULL)
        advance_parked(L, &source->writer, event->ready);
}

static void fire_timers(lua_State *L, sl_loop *loop)
{
    if (loop->timers.count == 0)
        return;
    double now = sl_clock_now();
    sl_timer *timer;
    while ((timer = sl_timers_pop(&loop->timers, now)) != NULL) {
        sl_thread *t = timer->on_fire(timer, now);
        if (t != NULL)
            take_turn(L, loop, t);
    }
}

/* Looks for threads that have left their waits, if that is due; true if it was.
 * Not every step asks for the time. */
static int look(lua_State *L, sl_loop *loop, double pause)
{
    if (loop->unlooked-- > 0)
        return 0;
    loop->unlooked = STEPS_UNLOOKED;
    double now = sl_clock_now();
    if (now < loop->looked + pause)
        return 0;
    loop->looked = now;
    sl_operation_patrol(L, loop);
    return 1;
}

/* The earlier of two times, of which negative ones are never. */
static double earlier(double a, double b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Seconds to wait at most: until the first deadline and the step's end, or
 * *is_cut: for a pause, after which it is time to look for threads. */
static double time_left(lua_State *L, sl_loop *loop, double end, int *is_cut)
{
    double pause = look_pause +
                   look_pause_each * sl_threads_count(loop->threads);
    *is_cut = 0;
    if (loop->ready > 0)
        return 0;
    int has_looked = look(L, loop, pause);
    if (loop->ready > 0 || end == 0)
        return 0;
    double left = -1, first = earlier(sl_timers_first(&loop->timers), end);
    if (first >= 0) {
        double now = sl_clock_now();
        left = first > now ? first - now : 0;
    }
    *is_cut = !has_looked && (left < 0 || pause < left);
    return *is_cut ? pause : left;
}

/* [-0, +0, e] The same after calling the hook, if one is set. A signal that
 * comes between this and the wait does not end the wait: to prevent it would
 * take system calls. */
static double call_hook(lua_State *L, sl_loop *loop, double end, int *is_cut)
{
    double left = time_left(L, loop, end, is_cut);
    int stop_asked = loop->stop_asked;
    if (!sl_interrupt_calls(L))
        return left;
    if (loop->stop_asked == stop_asked)
        return time_left(L, loop, end, is_cut);
    *is_cut = 0;
    return 0;
}

/* Waits for events, a deadline, or the step's end (0: at once). */
static void poll_events(lua_State *L, sl_loop *loop, double end)
{
    for (;;) {
        int is_cut;
        int err = sl_loop_isforked(loop) ? sl_loop_afterfork(loop) : 0;
        if (err != 0 && sl_reclaim_retry(L, &loop->reclaim, err))
            continue;
        if (err != 0)
            luaL_error(L, "%s: %s", loop->type->name, strerror(err));
        double left = call_hook(L, loop, end, &is_cut);
        int n = loop->type->wait(loop->poller, sl_clock_ms(left),
                                 loop->events, EVENTS_MAX);
        loop->event = 0;
        loop->event_count = n > 0 ? n : 0;
        if (n == 0)
            loop->unlooked = 0;    /* there is time to compare the time */
        if (n == 0 && is_cut) {    /* looks now, then waits on */
            loop->looked = 0;
            continue;
        }
        if (n >= 0)
            return;
        if (n != -EINTR)
            luaL_error(L, "%s: %s", loop->type->name, strerror(-n));
    }
}

int sl_loop_step(lua_State *L, sl_loop *loop, double timeout)
{
    luaL_checkstack(L, LUA_MINSTACK * 2, "too many nested steps");
    if (loop->failures > 0)
        report_failures(L, loop);
    if (sl_loop_isforked(loop))
        sl_cork_afterfork(loop);
    int unfinished = loop->event < loop->event_count;
    if (loop->waiting == 0 && loop->ready == 0 && !unfinished)
        return 0;
    if (!unfinished)
        poll_events(L, loop, timeout > 0 ? sl_clock_now() + timeout : timeout);
    sl_interrupt_calls(L);
    for (; loop->event < loop->event_count; loop->event++)
        dispatch(L, loop, &loop->events[loop->event]);
    fire_timers(L, loop);
    sl_reclaim_step(L, &loop->reclaim);
    for (int n = loop->ready; n > 0 && loop->first != NULL; n--)
        take_turn(L, loop, loop->first);
    return 1;
}

/* --- making and unmaking ----------------------------------------------- */

static int loop_gc(lua_State *L)
{
    sl_loop *loop = lua_touserdata(L, 1);
    if (loop->closed)
        return 0;
    sl_resolver_free(loop);
    sl_cork_free(loop);
    loop->closed = 1;
    if (loop->type != NULL &&
        (loop->type->is_inherited || !sl_loop_isforked(loop)))
        loop->type->close(loop->poller);
    sl_timers_free(&loop->timers);
    free(loop->sources);
    free(loop->events);
    sl_scratch_free(&loop->scratch);
    sl_threads_forgetloop(loop->threads, loop);
    return 0;
}

/* [-0, +0, m] The table of the loop on the top. */
static void make_env(lua_State *L)
{
    lua_createtable(L, SL_ENV_WATCHERS, 0);
    sl_anchor_newweak(L, "kv");
    lua_rawseti(L, -2, SL_ENV_WRAPPERS);
    lua_newtable(L);
    lua_rawseti(L, -2, SL_ENV_FAILURES);
    sl_anchor_newweak(L, "kv");
    lua_rawseti(L, -2, SL_ENV_GUARDED);
    sl_setuservalue(L, -2);
}

sl_loop *sl_loop_new(lua_State *L, const sl_poller_type *type,
                     void (*failed)(lua_State *L, int thread))
{
    sl_threads *threads = sl_threads_get(L);
    sl_loop *loop = sl_newuserdata(L, sizeof *loop);
    memset(loop, 0, sizeof *loop);
    loop->threads = threads;
    loop->failed = failed;
    loop->forks = sl_process_forks;
    loop->has_sigint = sl_interrupt_handled();
    sl_timers_init(&loop->timers);
    sl_reclaim_init(&loop->reclaim);
    loop->max_lookups = SL_MAX_LOOKUPS;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, loop_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    make_env(L);
    loop->events = malloc(EVENTS_MAX * sizeof *loop->events);
    if (loop->events == NULL || sl_scratch_init(&loop->scratch) != 0)
        luaL_error(L, "not enough memory");
    int err;
    do
        err = type->open(&loop->poller);
    while (sl_reclaim_retry(L, &loop->reclaim, err));
    if (err != 0)
        luaL_error(L, "%s: %s", type->name, strerror(err));
    loop->type = type;
    return loop;
}
