/*
 * model_clock.c - time that advances only while a process waits, preloaded:
 *
 *     LD_PRELOAD=.../model.so lua ...
 *
 * The monotonic clock stands still. A wait for readiness that would block
 * returns at once, and the clock is advanced to a whole number of ticks of 1/64
 * second. If deadlines are whole numbers of ticks, too, nothing is ever late. A
 * wait without a timeout that would block aborts the process, since nothing
 * would end it.
 */

#define _GNU_SOURCE    /* RTLD_NEXT */

#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

static const long long tick = 1000000000 / 64;

static long long nanoseconds = 1000000000;

static void *find(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static void pass(long long milliseconds)
{
    if (milliseconds < 0) {
        fputs("a wait without end\n", stderr);
        abort();
    }
    long long then = nanoseconds + milliseconds * 1000000;
    long long rounded = then - then % tick;
    nanoseconds = rounded > nanoseconds ? rounded : then;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t clock, struct timespec *now);
    if (clock == CLOCK_MONOTONIC) {
        now->tv_sec = (time_t)(nanoseconds / 1000000000);
        now->tv_nsec = (long)(nanoseconds % 1000000000);
        return 0;
    }
    if (real == NULL)
        *(void **)&real = find("clock_gettime");
    return real(clock, now);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int limit)
{
    static int (*real)(int fd, struct epoll_event *events, int max,
                       int limit);
    if (real == NULL)
        *(void **)&real = find("epoll_wait");
    int n = real(fd, events, max, 0);
    if (n == 0)
        pass(limit);
    return n;
}

int poll(struct pollfd *set, nfds_t count, int limit)
{
    static int (*real)(struct pollfd *set, nfds_t count, int limit);
    if (real == NULL)
        *(void **)&real = find("poll");
    int n = real(set, count, 0);
    if (n == 0)
        pass(limit);
    return n;
}

int select(int count, fd_set *readers, fd_set *writers, fd_set *others,
           struct timeval *limit)
{
    static int (*real)(int count, fd_set *readers, fd_set *writers,
                       fd_set *others, struct timeval *limit);
    struct timeval none = {0, 0};
    if (real == NULL)
        *(void **)&real = find("select");
    int n = real(count, readers, writers, others, &none);
    if (n == 0)
        pass(limit == NULL ? -1 : (long long)limit->tv_sec * 1000 +
                                  limit->tv_usec / 1000);
    return n;
}
