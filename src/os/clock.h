/*
 * clock.h - the module's clock: monotonic, in seconds.
 */

#ifndef SL_CLOCK_H
#define SL_CLOCK_H

/* Seconds since an arbitrary moment. The clock is never set back
 * (clock_gettime(2)). */
double sl_clock_now(void);

/* Converts a timeout to milliseconds, rounded up so that no wait ends before
 * its time. Negative (no limit) becomes -1. */
int sl_clock_ms(double seconds);

#endif
