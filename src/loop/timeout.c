/*
 * timeout.c - see timeout.h.
 */

#include "loop/timeout.h"

#include "os/clock.h"
#include "os/error.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* Called when the timer of a wait fires. The wait may be over. If its deadline
 * was moved, the timer is set again, which needs no memory. */
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

int sl_timeout_setlimits(sl_wait *wait, double block, double until)
{
    sl_pending *pending = sl_source_pending(wait);
    if (pending->timeout == NULL) {
        pending->timeout = malloc(sizeof *pending->timeout);
        if (pending->timeout == NULL)
            return ENOMEM;
        pending->timeout->wait = wait;
        sl_timer_init(&pending->timeout->timer, expire);
    }
    pending->timeout->block = block;
    pending->timeout->until = until;
    wait->has_timeout = 1;
    return 0;
}

/* Sets the deadline of a wait that begins now. A timer that fires earlier stays
 * where it is in the heap. */
static int set_deadline(const sl_wait *wait, double now)
{
    sl_timers *timers = &sl_wait_loop(wait)->timers;
    sl_timeout *timeout = sl_source_pending(wait)->timeout;
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

int sl_timeout_beginlimited(sl_wait *wait)
{
    return set_deadline(wait, sl_clock_now());
}

void sl_timeout_renew(sl_wait *wait)
{
    if (wait->has_timeout && sl_source_pending(wait)->timeout->block >= 0)
        set_deadline(wait, sl_clock_now());
}

int sl_timeout_status(const sl_wait *wait, int status)
{
    double until = sl_source_pending(wait)->timeout->until;
    if (status == SL_AGAIN && sl_timeout_isinstant(wait))
        return SL_TIMEOUT;
    if (status == SL_BUSY && until >= 0 && sl_clock_now() >= until)
        return SL_TIMEOUT;
    return status;
}
