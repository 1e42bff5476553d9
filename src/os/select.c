/*
 * select.c - POSIX select(2), level-triggered, for descriptors below
 * FD_SETSIZE.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "os/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/select.h>

typedef struct select_state {
    fd_set readers, writers;    /* the watched descriptors */
    uint32_t generation[FD_SETSIZE];
    int end;                    /* one above the highest watched descriptor */
    int next;                   /* the first one to report, so that all are
                                   reported in turn */
} select_state;

static int select_open(void **state)
{
    select_state *s = malloc(sizeof *s);
    if (s == NULL)
        return ENOMEM;
    FD_ZERO(&s->readers);
    FD_ZERO(&s->writers);
    s->end = s->next = 0;
    *state = s;
    return 0;
}

static void select_close(void *state)
{
    free(state);
}

static int select_holds(int fd)
{
    return fd < FD_SETSIZE;
}

static int is_watched(select_state *s, int fd)
{
    return FD_ISSET(fd, &s->readers) || FD_ISSET(fd, &s->writers);
}

static int select_watch(void *state, int fd, uint32_t generation,
                        unsigned interest)
{
    select_state *s = state;
    if (fd >= FD_SETSIZE)
        return EMFILE;
    FD_CLR(fd, &s->readers);
    FD_CLR(fd, &s->writers);
    if (interest & SL_READABLE)
        FD_SET(fd, &s->readers);
    if (interest & SL_WRITABLE)
        FD_SET(fd, &s->writers);
    s->generation[fd] = generation;
    if (interest != 0 && fd >= s->end)
        s->end = fd + 1;
    while (s->end > 0 && !is_watched(s, s->end - 1))
        s->end--;
    return 0;
}

static void select_forget(void *state, int fd)
{
    if (fd < FD_SETSIZE)
        select_watch(state, fd, 0, 0);
}

/* A bad descriptor fails the whole call. Then only the bad descriptors are
 * reported, as ready. */
static void keep_bad_ones(const select_state *s, fd_set *readable,
                          fd_set *writable)
{
    for (int fd = 0; fd < s->end; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            FD_CLR(fd, readable);
            FD_CLR(fd, writable);
        }
    }
}

static int select_wait(void *state, int ms, sl_event *events, int max)
{
    select_state *s = state;
    fd_set readable = s->readers, writable = s->writers;
    struct timeval limit = {ms / 1000, (long)(ms % 1000) * 1000};
    int left = select(s->end, &readable, &writable, NULL,
                      ms < 0 ? NULL : &limit);
    int bad = left < 0 && errno == EBADF;
    if (bad) {
        readable = s->readers;
        writable = s->writers;
        keep_bad_ones(s, &readable, &writable);
    } else if (left <= 0) {
        return left == 0 ? 0 : -errno;
    }
    int n = 0;
    for (int i = 0; i < s->end && n < max; i++) {
        int fd = (s->next + i) % s->end;
        unsigned ready = (FD_ISSET(fd, &readable) ? SL_READABLE : 0) |
                         (FD_ISSET(fd, &writable) ? SL_WRITABLE : 0);
        if (ready == 0)
            continue;
        if (bad)
            ready = SL_READABLE | SL_WRITABLE | SL_HANGUP;
        events[n].fd = fd;
        events[n].generation = s->generation[fd];
        events[n++].ready = ready;
        if (n == max)
            s->next = fd + 1;
    }
    return n;
}

const sl_poller_type sl_poller_select = {
    "select", 0, 1, select_open, select_close, select_holds, select_watch,
    select_forget, select_wait,
};
