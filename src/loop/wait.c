/*
 * wait.c - the phases of a wait, and how it ends; its time limit; and threads
 * that have left their waits. See wait.h.
 */

#include "loop/wait.h"

#include "os/clock.h"
#include "os/error.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* --- phases ------------------------------------------------------------ */

/* A parked wait goes into another phase. The phase changes before the poller
 * is updated, which asks the waits for their interest. */
static void unpark(sl_wait *wait, enum sl_wait_phase phase)
{
    sl_loop *loop = sl_wait_loop(wait);
    wait->phase = phase;
    loop->waiting--;
    if (loop->unparked != NULL)
        loop->unparked(wait);
}

int sl_wait_park(sl_wait *wait)
{
    sl_loop *loop = sl_wait_loop(wait);
    int err = 0;
    if (wait->has_timeout)
        err = sl_wait_setdeadline(wait, sl_clock_now());
    if (err != 0)
        return err;
    if (wait->phase == SL_WAIT_QUEUED)
        sl_wait_dequeue(loop, wait->thread);
    wait->phase = SL_WAIT_PARKED;
    loop->waiting++;
    return 0;
}

void sl_wait_queue(sl_wait *wait)
{
    sl_loop *loop = sl_wait_loop(wait);
    if (wait->phase == SL_WAIT_PARKED)
        unpark(wait, SL_WAIT_QUEUED);
    else if (wait->phase == SL_WAIT_QUEUED)
        sl_wait_dequeue(loop, wait->thread);
    wait->phase = SL_WAIT_QUEUED;
    sl_wait_enqueue(loop, wait->thread);
}

void sl_wait_finish(sl_wait *wait, int status)
{
    switch (wait->phase) {
    case SL_WAIT_IDLE: case SL_WAIT_DONE:
        return;
    case SL_WAIT_PARKED:
        unpark(wait, SL_WAIT_DONE);
        sl_wait_enqueue(sl_wait_loop(wait), wait->thread);
        break;
    case SL_WAIT_QUEUED:
        wait->phase = SL_WAIT_DONE;
    }
    wait->status = (short)status;
}

void sl_wait_leave(sl_wait *wait)
{
    if (wait->phase == SL_WAIT_PARKED)
        unpark(wait, SL_WAIT_IDLE);
    wait->phase = SL_WAIT_IDLE;
    wait->thread = NULL;
}

/* --- threads that have left -------------------------------------------- */

/* A writer's results release what the operation holds. */
void sl_wait_giveup(lua_State *L, sl_wait *wait)
{
    wait->status = SL_CLOSED;
    if (wait->writes && wait->operation->results != NULL) {
        int top = lua_gettop(L);
        wait->operation->results(L, wait);
        lua_settop(L, top);
    }
}

void sl_wait_drop(lua_State *L, sl_wait *wait)
{
    sl_thread *t = wait->thread;
    sl_wait_finish(wait, SL_CLOSED);
    t->wait = NULL;
    sl_wait_leave(wait);
    sl_wait_giveup(L, wait);
}

/* Whether a thread has left a wait or sleep in that loop, and is not ready. */
static int has_left(const sl_loop *loop, const sl_thread *t)
{
    const sl_wait *wait = t->wait;
    if (t->co == NULL || t->state != SL_WAITING || t->fiber != NULL ||
        t->loop != loop)
        return 0;
    return (wait != NULL ? sl_wait_isparked(wait)
                         : sl_timer_isset(&t->timer)) &&
           !sl_thread_waits(t);
}

void sl_wait_patrol(lua_State *L, sl_loop *loop)
{
    sl_thread *t = loop->threads->records;
    for (; t != NULL; t = t->next_record) {
        if (!has_left(loop, t))
            continue;
        if (t->wait != NULL) {
            sl_wait_drop(L, t->wait);
        } else {
            sl_timer_cancel(&loop->timers, &t->timer);
            loop->waiting--;
            sl_wait_enqueue(loop, t);
        }
    }
}

int sl_wait_occupied(lua_State *L, sl_wait *wait)
{
    if (wait->thread == NULL)
        return 0;
    if (sl_thread_waits(wait->thread))
        return 1;
    sl_wait_drop(L, wait);
    return 0;
}

/* A waiting thread keeps alive what the wait is a part of. So the thread has
 * left, and its record ends in its turn; or the Lua state is being closed, and
 * then its turn never comes. */
static void abandon(sl_wait *wait, sl_loop *loop)
{
    sl_thread *t = wait->thread;
    if (t == NULL)
        return;
    sl_wait_finish(wait, SL_CLOSED);
    sl_wait_leave(wait);
    t->wait = NULL;
    if (sl_thread_waits(t))
        sl_wait_dequeue(loop, t);
}

void sl_wait_free(sl_wait *wait, sl_loop *loop)
{
    if (!loop->closed && !loop->threads->closed)
        abandon(wait, loop);
    wait->phase = SL_WAIT_IDLE;
    wait->thread = NULL;
    if (wait->timeout != NULL && !loop->closed)
        sl_timer_cancel(&loop->timers, &wait->timeout->timer);
    free(wait->timeout);
    wait->timeout = NULL;
    wait->has_timeout = 0;
}

/* --- time limits ------------------------------------------------------- */

/* The timer of a wait fires. The wait may be over, or its deadline may have
 * been moved: then the timer is set again, which takes no memory. */
static sl_thread *expire(sl_timer *timer, double now)
{
    sl_timeout *timeout = (sl_timeout *)((char *)timer -
                                         offsetof(sl_timeout, timer));
    sl_wait *wait = timeout->wait;
    if (!sl_wait_isparked(wait) || !wait->has_timeout)
        return NULL;
    if (timeout->deadline > now) {
        sl_timer_set(&sl_wait_loop(wait)->timers, timer, timeout->deadline);
        return NULL;
    }
    sl_wait_finish(wait, SL_TIMEOUT);
    return wait->thread;
}

int sl_wait_settimeout(sl_wait *wait, double block, double until)
{
    wait->has_timeout = block >= 0 || until >= 0;
    if (!wait->has_timeout)
        return 0;
    if (wait->timeout == NULL) {
        wait->timeout = malloc(sizeof *wait->timeout);
        if (wait->timeout == NULL) {
            wait->has_timeout = 0;
            return ENOMEM;
        }
        wait->timeout->wait = wait;
        sl_timer_init(&wait->timeout->timer, expire);
    }
    wait->timeout->block = block;
    wait->timeout->until = until;
    return 0;
}

/* The timer stays where it is in the heap if it fires earlier. */
int sl_wait_setdeadline(sl_wait *wait, double now)
{
    sl_timers *timers = &sl_wait_loop(wait)->timers;
    sl_timeout *timeout = wait->timeout;
    sl_timer *timer = &timeout->timer;
    timeout->deadline = timeout->block >= 0 ? now + timeout->block
                                            : timeout->until;
    if (timeout->until >= 0 && timeout->until < timeout->deadline)
        timeout->deadline = timeout->until;
    if (sl_timer_isset(timer) &&
        sl_timer_due(timers, timer) <= timeout->deadline)
        return 0;
    return sl_timer_set(timers, timer, timeout->deadline);
}
