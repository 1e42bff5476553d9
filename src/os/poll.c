/*
 * poll.c - POSIX poll(2), level-triggered: an array of the watched descriptors,
 * and the index of each descriptor in that array.
 */

#include "os/poller.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

typedef struct place {
    uint32_t generation;
    int index;    /* index in set + 1; 0: not watched */
} place;

typedef struct poll_state {
    struct pollfd *set;    /* owned */
    int count, size;
    place *places;         /* owned; by descriptor */
    int places_size;
    int next;              /* index of the first one to report, so that all are
                              reported in turn */
} poll_state;

static int poll_open(void **state)
{
    *state = calloc(1, sizeof(poll_state));
    return *state == NULL ? ENOMEM : 0;
}

static void poll_close(void *state)
{
    poll_state *s = state;
    free(s->set);
    free(s->places);
    free(s);
}

static int poll_holds(int fd)
{
    (void)fd;
    return 1;
}

static int reserve_place(poll_state *s, int fd)
{
    if (fd < s->places_size)
        return 0;
    int size = s->places_size > 0 ? s->places_size : 64;
    while (size <= fd)
        size *= 2;
    place *places = realloc(s->places, (size_t)size * sizeof *places);
    if (places == NULL)
        return ENOMEM;
    for (int i = s->places_size; i < size; i++)
        places[i] = (place){0, 0};
    s->places = places;
    s->places_size = size;
    return 0;
}

static int append_place(poll_state *s, int fd)
{
    if (s->count == s->size) {
        int size = s->size > 0 ? s->size * 2 : 64;
        struct pollfd *set = realloc(s->set, (size_t)size * sizeof *set);
        if (set == NULL)
            return ENOMEM;
        s->set = set;
        s->size = size;
    }
    s->set[s->count].fd = fd;
    s->set[s->count].revents = 0;
    s->places[fd].index = ++s->count;
    return 0;
}

static void poll_forget(void *state, int fd)
{
    poll_state *s = state;
    if (fd >= s->places_size || s->places[fd].index == 0)
        return;
    int index = s->places[fd].index;
    s->set[index - 1] = s->set[--s->count];
    s->places[s->set[index - 1].fd].index = index;
    s->places[fd].index = 0;
}

static int poll_watch(void *state, int fd, uint32_t generation,
                      unsigned interest)
{
    poll_state *s = state;
    if (interest == 0) {
        poll_forget(s, fd);
        return 0;
    }
    if (reserve_place(s, fd) != 0)
        return ENOMEM;
    if (s->places[fd].index == 0 && append_place(s, fd) != 0)
        return ENOMEM;
    s->places[fd].generation = generation;
    s->set[s->places[fd].index - 1].events =
        (short)((interest & SL_READABLE ? POLLIN : 0) |
                (interest & SL_WRITABLE ? POLLOUT : 0));
    return 0;
}

static unsigned poll_readiness(short revents)
{
    unsigned ready = 0;
    if (revents & POLLIN)
        ready |= SL_READABLE;
    if (revents & POLLOUT)
        ready |= SL_WRITABLE;
    if (revents & (POLLERR | POLLHUP | POLLNVAL))
        ready |= SL_READABLE | SL_WRITABLE | SL_HANGUP;
    return ready;
}

static int poll_wait(void *state, int ms, sl_event *events, int max)
{
    poll_state *s = state;
    int left = poll(s->set, (nfds_t)s->count, ms);
    if (left < 0)
        return -errno;
    int n = 0;
    for (int i = 0; i < s->count && left > 0 && n < max; i++) {
        int at = (s->next + i) % s->count;
        const struct pollfd *p = &s->set[at];
        if (p->revents == 0)
            continue;
        left--;
        events[n].fd = p->fd;
        events[n].generation = s->places[p->fd].generation;
        events[n++].ready = poll_readiness(p->revents);
        if (n == max)
            s->next = at + 1;
    }
    return n;
}

const sl_poller_type sl_poller_poll = {
    "poll", 0, 1, poll_open, poll_close, poll_holds, poll_watch, poll_forget,
    poll_wait,
};
