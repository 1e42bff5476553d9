/*
 * timeout.h - how long a wait in a source may take.
 */

#ifndef SL_TIMEOUT_H
#define SL_TIMEOUT_H

#include "loop/source.h"

/* Limits the wait if block or until is not negative. 0 or ENOMEM. */
int sl_timeout_set(sl_wait *wait, double block, double until);

/* Sets the deadline of a limited wait that begins now. 0 or ENOMEM. */
int sl_timeout_begin(sl_wait *wait);

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
