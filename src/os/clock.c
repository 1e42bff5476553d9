/*
 * clock.c - the monotonic clock.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "os/clock.h"

#include <limits.h>
#include <math.h>
#include <time.h>

double sl_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int sl_clock_ms(double seconds)
{
    if (seconds < 0)
        return -1;
    double ms = ceil(seconds * 1e3);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}
