/*
 * sleep.c - see sleep.h.
 */

#include "loop/sleep.h"

#include "loop/operation.h"
#include "os/clock.h"
#include "os/error.h"
#include "thread/stop.h"

#include <stddef.h>

/* Puts a thread into its own wait. */
static sl_own *enter_own(sl_loop *loop, sl_thread *t, enum sl_wait_kind kind)
{
    sl_own *own = sl_wait_own(t);
    own->wait = (sl_wait){NULL, 0, (unsigned char)kind, SL_WAIT_IDLE, 0, 0, 0,
                          0};
    sl_wait_enter(&own->wait, loop, t);
    return own;
}

/* --- sleeping ---------------------------------------------------------- */

static sl_thread *wake_sleeper(sl_timer *timer, double now)
{
    sl_own *own = (sl_own *)((char *)timer - offsetof(sl_own, place));
    (void)now;
    sl_wait_finish(&own->wait, SL_TIMEOUT);
    return own->wait.thread;
}

/* Begins a sleep; 0 or ENOMEM. */
static int begin_sleep(sl_loop *loop, sl_thread *t, double seconds)
{
    sl_own *own = enter_own(loop, t, SL_WAIT_SLEEP);
    if (seconds <= 0) {
        sl_wait_queue(&own->wait);
        return 0;
    }
    sl_timer *timer = &own->place.timer;
    sl_timer_init(timer, wake_sleeper);
    int err = sl_timer_set(&loop->timers, timer, sl_clock_now() + seconds);
    if (err == 0)
        sl_wait_park(&own->wait);
    else
        sl_wait_leave(&own->wait);
    return err;
}

/* [-0, +0, e] Puts the running thread to sleep, and returns it: it has to stop
 * next. */
static sl_thread *fall_asleep(lua_State *L, sl_loop *loop, double seconds)
{
    sl_operation_checkobstacle(L, loop);
    sl_thread *t = sl_stop_current(L, loop->threads);
    if (begin_sleep(loop, t, seconds) != 0) {
        t->wait = NULL;
        sl_stop_disown(L, t);
        luaL_error(L, "not enough memory");
    }
    return t;
}

static int sleep_results(lua_State *L, void *wait)
{
    (void)L;
    sl_wait_leave(wait);
    return 0;
}

int sl_sleep_run(lua_State *L, sl_loop *loop, double seconds)
{
    return sl_stop_wait(L, fall_asleep(L, loop, seconds), sleep_results);
}

void sl_sleep_block(lua_State *L, sl_loop *loop, double seconds)
{
    sl_thread *t = fall_asleep(L, loop, seconds);
    sl_stop_freeze(L, t);
    sl_wait_leave(&sl_wait_own(t)->wait);
}

void sl_sleep_queue(sl_thread *t)
{
    begin_sleep(t->loop, t, 0);
}

/* --- suspending -------------------------------------------------------- */

/* If the suspension raises, the wait stays parked. sl_wait_finish ignores it
 * then, as the thread is not suspended. */
int sl_sleep_suspend(lua_State *L, sl_loop *loop)
{
    sl_thread *t = loop->threads->running;
    if (t == NULL) {
        sl_stop_check(L, loop->threads, "suspend");
        return sl_stop_suspend(L, loop->threads);
    }
    sl_own *own = enter_own(t->loop, t, SL_WAIT_SUSPENSION);
    own->wait.phase = SL_WAIT_PARKED;
    int n = sl_stop_suspend(L, loop->threads);
    own->wait.phase = SL_WAIT_IDLE;
    t->wait = NULL;
    return n;
}
