/*
 * sleep.c - see sleep.h.
 */

#include "loop/sleep.h"

#include "loop/operation.h"
#include "os/clock.h"
#include "os/error.h"
#include "thread/stop.h"

#include <stddef.h>

/* --- sleeping ---------------------------------------------------------- */

static sl_thread *wake_sleeper(sl_timer *timer, double now)
{
    sl_own *own = (sl_own *)((char *)timer - offsetof(sl_own, place));
    (void)now;
    sl_wait_finish(&own->wait, SL_TIMEOUT);
    return own->wait.thread;
}

/* Puts a thread into its own wait. */
static inline sl_own *enter_own(sl_loop *loop, sl_thread *t)
{
    sl_own *own = sl_wait_own(t);
    own->wait = (sl_wait){t, 0, SL_WAIT_SLEEP, SL_WAIT_IDLE, 0, 0, 0, 0};
    sl_wait_enter(&own->wait, loop, t);
    return own;
}

/* Parks a thread's own wait for so many seconds. 0 or ENOMEM. */
static int set_alarm(sl_loop *loop, sl_own *own, double seconds)
{
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
    sl_own *own = enter_own(loop, t);
    if (seconds <= 0) {
        sl_wait_queue(&own->wait);
    } else if (set_alarm(loop, own, seconds) != 0) {
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
    sl_wait_queue(&enter_own(t->loop, t)->wait);
}
