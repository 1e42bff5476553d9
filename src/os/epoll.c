/*
 * epoll.c - Linux' epoll(7), edge-triggered.
 */

#define _GNU_SOURCE    /* EPOLLRDHUP */

#include "os/poller.h"
#include "os/process.h"

#if defined(SL_HAVE_EPOLL)

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 };

/* The state is the epoll descriptor itself. */
static int epoll_descriptor(void *state)
{
    return (int)(intptr_t)state;
}

static int epoll_open(void **state)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return errno;
    sl_process_hide(epoll);
    *state = (void *)(intptr_t)epoll;
    return 0;
}

static void epoll_close(void *state)
{
    sl_process_forget(epoll_descriptor(state));
    close(epoll_descriptor(state));
}

static int epoll_holds(int fd)
{
    (void)fd;
    return 1;
}

static int epoll_watch(void *state, int fd, uint32_t generation,
                       unsigned interest)
{
    (void)interest;
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.u64 = (uint64_t)generation << 32 | (uint32_t)fd,
    };
    if (epoll_ctl(epoll_descriptor(state), EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    if (errno != EEXIST)
        return errno;
    if (epoll_ctl(epoll_descriptor(state), EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return errno;
}

static void epoll_forget(void *state, int fd)
{
    struct epoll_event unused = {0};
    epoll_ctl(epoll_descriptor(state), EPOLL_CTL_DEL, fd, &unused);
}

static unsigned epoll_readiness(uint32_t events)
{
    unsigned ready = 0;
    if (events & EPOLLIN)
        ready |= SL_READABLE;
    if (events & EPOLLOUT)
        ready |= SL_WRITABLE;
    if (events & EPOLLPRI)
        ready |= SL_HANGUP;
    if (events & EPOLLRDHUP)
        ready |= SL_READABLE | SL_HANGUP;
    if (events & (EPOLLERR | EPOLLHUP))
        ready |= SL_READABLE | SL_WRITABLE | SL_HANGUP;
    return ready;
}

static int epoll_wait_events(void *state, int ms, sl_event *events, int max)
{
    struct epoll_event found[EVENTS_MAX];
    int n = epoll_wait(epoll_descriptor(state), found,
                       max < EVENTS_MAX ? max : EVENTS_MAX, ms);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++) {
        events[i].fd = (int)(uint32_t)found[i].data.u64;
        events[i].generation = (uint32_t)(found[i].data.u64 >> 32);
        events[i].ready = epoll_readiness(found[i].events);
    }
    return n;
}

const sl_poller_type sl_poller_epoll = {
    "epoll", 1, 0, epoll_open, epoll_close, epoll_holds, epoll_watch,
    epoll_forget, epoll_wait_events,
};

#else

typedef int sl_no_epoll_here;    /* ISO C forbids an empty file */

#endif
