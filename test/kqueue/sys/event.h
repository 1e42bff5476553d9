/*
 * The part of the BSDs' <sys/event.h> that os/poller_kqueue.c uses, for
 * kqueue.c. The values are FreeBSD's.
 */

#ifndef STUB_SYS_EVENT_H
#define STUB_SYS_EVENT_H

#include <stdint.h>

struct timespec;

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned int fflags;
    int64_t data;
    void *udata;
    uint64_t ext[4];
};

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_CLEAR 0x0020
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

#define EV_SET(event, id, kind, what, more, amount, user) do { \
    struct kevent *set = (event); \
    set->ident = (uintptr_t)(id); \
    set->filter = (kind); \
    set->flags = (what); \
    set->fflags = (more); \
    set->data = (amount); \
    set->udata = (user); \
} while (0)

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int nchanges,
           struct kevent *events, int nevents, const struct timespec *timeout);

/* Closes a queue, which consists of several descriptors in this emulation. */
int kqueue_close_queue(int queue);
#define close(queue) kqueue_close_queue(queue)

#endif
