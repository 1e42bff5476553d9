/*
 * clock.h - the one clock: monotonic, in seconds.
 */

#ifndef SL_CLOCK_H
#define SL_CLOCK_H

/* Seconds since an arbitrary moment; never set back (clock_gettime(2)). */
double sl_clock_now(void);

/* Milliseconds for a wait of so many seconds, rounded up so that nothing
 * wakes before its time; -1 (for ever) stays -1. */
int sl_clock_ms(double seconds);

#endif
