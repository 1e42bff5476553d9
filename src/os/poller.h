/*
 * poller.h - readiness of many descriptors behind one table of functions.
 *
 * Two kinds of back-ends. An edge-triggered one (epoll, kqueue) is told of a
 * descriptor once, for both directions, and reports each change: whoever
 * waits must remember it. A level-triggered one (poll, select) is told of
 * each interest when a wait begins and ends, and reports what is ready now.
 *
 * One rule for all of them: an error or a full hang-up makes a descriptor
 * readable, writable and hung up, so that the next operation finds out; the
 * peer's half-close makes it readable and, where the system tells, hung up.
 * A read ends in front of urgent data, however much comes after. So where
 * urgent data came an edge-triggered one calls it hung up, too: epoll reports
 * that it came; kqueue does not, so there a readable descriptor always counts
 * as hung up, and is read until nothing is left.
 *
 * A poller knows descriptors and nothing about who waits. The generation is
 * the caller's: it comes back in the event, so that an event for a closed and
 * reused descriptor can be told from a fresh one.
 */

#ifndef SL_POLLER_H
#define SL_POLLER_H

#include <stdint.h>

enum { SL_READABLE = 1, SL_WRITABLE = 2, SL_HANGUP = 4 };

typedef struct sl_event {
    int fd;
    uint32_t generation;
    unsigned ready;    /* of SL_READABLE, SL_WRITABLE, SL_HANGUP */
} sl_event;

typedef struct sl_poller_type {
    const char *name;
    int edge_triggered;
    int is_inherited;    /* a child of fork(2) has the state, too, and has to
                            close it */

    /* Makes *state. 0 or an errno; nothing is left behind on failure. */
    int (*open)(void **state);
    void (*close)(void *state);

    /* Whether so high a descriptor can be watched at all. */
    int (*holds)(int fd);

    /* Edge-triggered: begins to watch both directions, interest is ignored.
     * Level-triggered: what is waited for from now on, may be 0. */
    int (*watch)(void *state, int fd, uint32_t generation, unsigned interest);

    /* Before a descriptor that was watched leaves us, open or closed. */
    void (*forget)(void *state, int fd);

    /* Waits at most ms (-1 for ever); how many events, or -errno, which is
     * -EINTR when a signal came. */
    int (*wait)(void *state, int ms, sl_event *events, int max);
} sl_poller_type;

/* The back-end of that name, the best one for NULL, or NULL if unknown. */
const sl_poller_type *sl_poller_find(const char *name);

/* The i-th back-end built in, best first, or NULL. */
const sl_poller_type *sl_poller_at(int i);

#if defined(__linux__)
#define SL_HAVE_EPOLL
#endif
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || \
    defined(__OpenBSD__) || defined(__DragonFly__)
#define SL_HAVE_KQUEUE
#endif

extern const sl_poller_type sl_poller_epoll;
extern const sl_poller_type sl_poller_kqueue;
extern const sl_poller_type sl_poller_poll;
extern const sl_poller_type sl_poller_select;

#endif
