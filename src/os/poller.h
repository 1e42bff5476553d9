/*
 * poller.h - readiness of many descriptors behind one table of functions.
 *
 * There are two kinds of back-ends. With an edge-triggered one (epoll, kqueue)
 * a descriptor is registered once, for both directions, and each change of its
 * readiness is reported once: the caller remembers the readiness. With a
 * level-triggered one (poll, select) the caller registers its interest when a
 * wait begins and removes it when the wait ends, and present readiness is
 * reported.
 *
 * All back-ends report errors alike. An error or a full hang-up makes a
 * descriptor readable, writable and hung up, so that the next operation
 * returns the error. The peer's half-close makes it readable and, where the
 * system reports half-closes, hung up. A read stops before urgent data, though
 * more bytes may follow. So edge-triggered back-ends report urgent data as a
 * hang-up, too: epoll where it has arrived; kqueue, which does not report it,
 * for every readable descriptor, which is then read until nothing is left.
 *
 * A poller knows descriptors, not waiting threads. The caller chooses a
 * generation for each use of a descriptor's number, and the event returns it. A
 * stale event, for a descriptor that was closed and whose number was reused,
 * has another generation.
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
    int is_inherited;    /* a child of fork(2) has its own copy of the state,
                            and frees it */

    /* Makes *state. 0 or an errno; nothing is allocated on failure. */
    int (*open)(void **state);
    void (*close)(void *state);

    /* Whether a descriptor is low enough to be watched. */
    int (*holds)(int fd);

    /* Edge-triggered: registers both directions, and ignores the interest.
     * Level-triggered: sets the interest, which may be 0. 0 or an errno. */
    int (*watch)(void *state, int fd, uint32_t generation, unsigned interest);

    /* Called before a watched descriptor is closed or given away. */
    void (*forget)(void *state, int fd);

    /* Waits at most ms milliseconds (-1: no limit). Returns the number of
     * events, or -errno: -EINTR after a signal. */
    int (*wait)(void *state, int ms, sl_event *events, int max);
} sl_poller_type;

/* The back-end of that name, or NULL. Without a name: the best back-end. */
const sl_poller_type *sl_poller_find(const char *name);

/* The i-th of the back-ends that are built in, best first; or NULL. */
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
