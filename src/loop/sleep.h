/*
 * sleep.h - waits without a source: for a time, for a turn, or for a resume.
 */

#ifndef SL_SLEEP_H
#define SL_SLEEP_H

#include "loop/wait.h"
#include "thread/stop.h"

/* Ends the running C function in a sleep of so many seconds; 0 or less gives
 * way for one turn. */
int sl_sleep_run(lua_State *L, sl_loop *loop, double seconds);

/* [-0, +0, e] Sleeps so many seconds while the calling C function stays on its
 * fiber. Only in a thread. */
void sl_sleep_block(lua_State *L, sl_loop *loop, double seconds);

/* Queues a thread that is about to stop: it continues in its next turn. */
void sl_sleep_queue(sl_thread *t);

/* Ends the running C function in a suspension. Returns the number of values
 * that resume has passed. If the suspension raises, the wait stays parked
 * until the thread's next wait. */
static inline int sl_sleep_suspend(lua_State *L, sl_loop *loop)
{
    sl_thread *t = loop->threads->running;
    if (t == NULL) {
        sl_stop_check(L, loop->threads, "suspend");
        return sl_stop_suspend(L, loop->threads);
    }
    sl_wait *wait = &sl_wait_own(t)->wait;
    *wait = (sl_wait){t, 0, SL_WAIT_SUSPENSION, SL_WAIT_PARKED, 0, 0, 0, 0};
    t->wait = wait;
    int n = sl_stop_suspend(L, loop->threads);
    wait->phase = SL_WAIT_IDLE;
    t->wait = NULL;
    return n;
}

#endif
