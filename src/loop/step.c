/*
 * step.c - one step of a loop: events, deadlines, turns. See step.h for their
 * order.
 */

#include "loop/step.h"

#include "loop/interrupt.h"
#include "loop/operation.h"
#include "loop/turn.h"
#include "os/clock.h"
#include "thread/run.h"
#include "thread/threads.h"

#include <errno.h>
#include <string.h>

/* Steps without a look at the clock, which says whether a patrol is due. */
enum { STEPS_UNLOOKED = 16 };

/* The pause between two patrols for threads that have left their waits:
 * look_pause seconds, and look_pause_each for each record of a thread. */
static const double look_pause = 0.01, look_pause_each = 0.00001;

/* --- events ------------------------------------------------------------ */

/* The wait's source became ready: tries the operation, if the wait is parked
 * for that, and runs the thread if the operation is finished. */
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
        sl_turn_take(L, sl_source_of(wait)->loop, wait->thread);
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

/* A thread that runs may close any source, so the source is looked up again
 * after each. A wait may be interested in the opposite direction (TLS). The
 * writer is tried only if it was parked before the reader was tried: a wait
 * that starts in between needs a new event. An error leaves the event in place,
 * and the next step dispatches it again, which does no harm. */
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

/* --- deadlines and patrols --------------------------------------------- */

static void fire_timers(lua_State *L, sl_loop *loop)
{
    if (loop->timers.count == 0)
        return;
    double now = sl_clock_now();
    sl_timer *timer;
    while ((timer = sl_timers_pop(&loop->timers, now)) != NULL) {
        sl_thread *t = timer->on_fire(timer, now);
        if (t != NULL)
            sl_turn_take(L, loop, t);
    }
}

/* Patrols for threads that have left their waits, if that is due; true if it
 * was. Most steps do not ask for the time. */
static int patrol_ifdue(lua_State *L, sl_loop *loop, double pause)
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

/* The earlier of two times; a negative one is never. */
static double earlier(double a, double b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Seconds to wait at most: until the first deadline or the step's end. With
 * *is_cut the result is shorter: after that pause the next patrol is due. */
static double step_timeleft(lua_State *L, sl_loop *loop, double end,
                            int *is_cut)
{
    double pause = look_pause +
                   look_pause_each * sl_threads_count(loop->threads);
    *is_cut = 0;
    if (loop->ready > 0)
        return 0;
    int has_looked = patrol_ifdue(L, loop, pause);
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

/* [-0, +0, e] step_timeleft, after calling a hook that is set. A signal between
 * this call and the wait for events does not end that wait; system calls would
 * be necessary to prevent that. */
static double call_hook(lua_State *L, sl_loop *loop, double end, int *is_cut)
{
    double left = step_timeleft(L, loop, end, is_cut);
    int stop_asked = loop->stop_asked;
    if (!sl_interrupt_calls(L))
        return left;
    if (loop->stop_asked == stop_asked)
        return step_timeleft(L, loop, end, is_cut);
    *is_cut = 0;
    return 0;
}

/* --- the step ---------------------------------------------------------- */

/* [-0, +0, e] In a child process: gives the loop a poller of its own. */
static void renew_poller(lua_State *L, sl_loop *loop)
{
    int err;
    do
        err = sl_loop_afterfork(loop);
    while (sl_reclaim_retry(L, &loop->reclaim, err));
    if (err != 0)
        luaL_error(L, "%s: %s", loop->type->name, strerror(err));
}

/* Waits for events, a deadline, or the step's end (0: does not wait). */
static void poll_events(lua_State *L, sl_loop *loop, double end)
{
    for (;;) {
        int is_cut;
        double left = call_hook(L, loop, end, &is_cut);
        if (sl_loop_isforked(loop))
            renew_poller(L, loop);
        int n = loop->type->wait(loop->poller, sl_clock_ms(left),
                                 loop->events, SL_EVENTS_MAX);
        loop->event = 0;
        loop->event_count = n > 0 ? n : 0;
        if (n == 0)
            loop->unlooked = 0;    /* idle: the next step looks at the clock */
        if (n == 0 && is_cut) {    /* patrols, then waits on */
            loop->looked = 0;
            continue;
        }
        if (n >= 0)
            return;
        if (n != -EINTR)
            luaL_error(L, "%s: %s", loop->type->name, strerror(-n));
    }
}

/* A child process drops the parent's unsent bytes first, as they count as
 * waiting. Threads that become ready in the last part have their turn in the
 * next step. */
int sl_step_run(lua_State *L, sl_loop *loop, double timeout)
{
    luaL_checkstack(L, LUA_MINSTACK * 2, "too many nested steps");
    sl_turn_report(L, loop);
    if (sl_loop_isforked(loop))
        renew_poller(L, loop);
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
        sl_turn_take(L, loop, loop->first);
    return 1;
}

