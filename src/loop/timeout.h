/*
 * timeout.h - how long a wait in a source may take.
 */

#ifndef SL_TIMEOUT_H
#define SL_TIMEOUT_H

#include "loop/source.h"

/* The rest of sl_timeout_set. */
int sl_timeout_setlimits(sl_wait *wait, double block, double until);

/* Limits the wait if block or until is not negative. 0 or ENOMEM. */
static inline int sl_timeout_set(sl_wait *wait, double block, double until)
{
    wait->has_timeout = 0;
    return block >= 0 || until >= 0 ? sl_timeout_setlimits(wait, block, until)
                                    : 0;
}

/* The rest of sl_timeout_begin. */
int sl_timeout_beginlimited(sl_wait *wait);

/* Sets the deadline of a wait that begins now, if it is limited. 0 or
 * ENOMEM. */
static inline int sl_timeout_begin(sl_wait *wait)
{
    return wait->has_timeout ? sl_timeout_beginlimited(wait) : 0;
}

/* Bytes have moved: a limited wait begins anew. */
void sl_timeout_renew(sl_wait *wait);

/* Whether the operation may only be tried. */
static inline int sl_timeout_isinstant(const sl_wait *wait)
{
    if (!wait->has_timeout)
        return 0;
    const sl_timeout *timeout = sl_source_pending(wait)->timeout;
    return timeout->block == 0 || timeout->until == 0;
}

/* The status of a wait whose operation has returned that status. A limited
 * wait times out if it must not wait, or not go on. */
int sl_timeout_status(const sl_wait *wait, int status);

#endif
