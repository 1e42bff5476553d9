/*
 * clock.c - a wall clock that is set all the time, and a count of waits, for
 * the specs:
 *
 *     LD_PRELOAD=.../clock.so lua ...
 *
 * The time of day is a day late and a day early in turn. The monotonic clock is
 * unchanged. The number of calls of the pollers' wait functions is in the
 * environment variable WAITS.
 */

#define _GNU_SOURCE    /* RTLD_NEXT */

#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { DAY = 86400 };

static void *find(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

/* --- the clock --------------------------------------------------------- */

static time_t step(void)
{
    static long times;
    return __sync_add_and_fetch(&times, 1) % 2 > 0 ? DAY : -DAY;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int err = (int)syscall(SYS_clock_gettime, clock, now);
    if (err == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += step();
    return err;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int err = (int)syscall(SYS_gettimeofday, now, zone);
    if (err == 0)
        now->tv_sec += step();
    return err;
}

time_t time(time_t *result)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    if (result != NULL)
        *result = now.tv_sec;
    return now.tv_sec;
}

/* --- waits ------------------------------------------------------------- */

static void count(void)
{
    static long waits;
    char text[24];
    snprintf(text, sizeof text, "%ld", ++waits);
    setenv("WAITS", text, 1);
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int ms)
{
    static int (*real)(int, struct epoll_event *, int, int);
    if (real == NULL)
        *(void **)&real = find("epoll_wait");
    count();
    return real(epoll, events, max, ms);
}

int poll(struct pollfd *set, nfds_t size, int ms)
{
    static int (*real)(struct pollfd *, nfds_t, int);
    if (real == NULL)
        *(void **)&real = find("poll");
    count();
    return real(set, size, ms);
}

int select(int size, fd_set *restrict reading, fd_set *restrict writing,
           fd_set *restrict failing, struct timeval *restrict limit)
{
    static int (*real)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    if (real == NULL)
        *(void **)&real = find("select");
    count();
    return real(size, reading, writing, failing, limit);
}
