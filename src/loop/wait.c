/*
 * wait.c - the phases of a wait, and the end of any wait. See wait.h.
 */

#include "loop/wait.h"

#include "thread/stop.h"

/* --- phases ------------------------------------------------------------ */

/* unpark for a thread's own wait. */
static void unpark_own(sl_wait *wait, sl_loop *loop)
{
    if (wait->kind == SL_WAIT_SUSPENSION)
        return;    /* not counted as waiting */
    loop->waiting--;
    sl_timer_cancel(&loop->timers, &sl_wait_own(wait->thread)->place.timer);
}

/* Changes the phase of a parked wait. The phase changes before the poller is
 * updated, since sl_source_update reads the phases. The timer is cancelled
 * before the thread is queued, since both use the same memory. */
static inline void unpark(sl_wait *wait, enum sl_wait_phase phase)
{
    sl_loop *loop = sl_wait_loop(wait);
    wait->phase = (unsigned char)phase;
    if (!sl_wait_hassource(wait)) {
        unpark_own(wait, loop);
        return;
    }
    loop->waiting--;
    if (loop->unparked != NULL)
        loop->unparked(wait);
}

void sl_wait_requeue(sl_wait *wait)
{
    sl_loop *loop = sl_wait_loop(wait);
    if (wait->phase == SL_WAIT_PARKED)
        unpark(wait, SL_WAIT_QUEUED);
    else
        sl_wait_dequeue(loop, wait->thread);
    wait->phase = SL_WAIT_QUEUED;
    sl_wait_enqueue(loop, wait->thread);
}

/* Turns a suspended thread into a waiting one: only a waiting thread can be
 * queued, and only its record anchors it. False if the thread was resumed
 * meanwhile, or its loop is gone. */
static int end_suspension(sl_wait *wait)
{
    return sl_wait_loop(wait) != NULL && sl_stop_wake(wait->thread);
}

void sl_wait_finishparked(sl_wait *wait, int status)
{
    if (wait->kind == SL_WAIT_SUSPENSION && !end_suspension(wait))
        return;
    unpark(wait, SL_WAIT_DONE);
    sl_wait_enqueue(sl_wait_loop(wait), wait->thread);
    wait->status = (short)status;
}

void sl_wait_undo(sl_wait *wait)
{
    if (wait->phase == SL_WAIT_PARKED)
        unpark(wait, SL_WAIT_IDLE);
    sl_wait_leave(wait);
}
