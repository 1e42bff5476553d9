/*
 * timeout.h - time limits of a source's waits.
 */

#ifndef SL_TIMEOUT_H
#define SL_TIMEOUT_H

#include "loop/source.h"

/* Slow path of sl_timeout_set. */
int sl_timeout_setlimits(sl_wait *wait, double block, double until);

/* Sets the wait's limits: `block` seconds for each wait, and the time `until`
 * for the call. Negative: no limit. 0 or ENOMEM. */
static inline int sl_timeout_set(sl_wait *wait, double block, double until)
{
    wait->has_timeout = 0;
    return block >= 0 || until >= 0 ? sl_timeout_setlimits(wait, block, until)
                                    : 0;
}

/* Slow path of sl_timeout_begin. */
int sl_timeout_beginlimited(sl_wait *wait);

/* Sets the deadline and the timer of a wait that begins now, if it has a limit.
 * 0 or ENOMEM. */
static inline int sl_timeout_begin(sl_wait *wait)
{
    return wait->has_timeout ? sl_timeout_beginlimited(wait) : 0;
}

/* After bytes have moved: `block` counts from now. */
void sl_timeout_renew(sl_wait *wait);

/* Whether the operation must not wait. */
static inline int sl_timeout_isinstant(const sl_wait *wait)
{
    if (!wait->has_timeout)
        return 0;
    const sl_timeout *timeout = sl_source_pending(wait)->timeout;
    return timeout->block == 0 || timeout->until == 0;
}

/* The wait's status after its operation has returned `status`: SL_TIMEOUT if
 * the wait must not wait, or its call must not go on; else `status`. */
int sl_timeout_status(const sl_wait *wait, int status);

#endif
