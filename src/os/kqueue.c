/*
 * kqueue.c - the BSDs' and macOS' kqueue(2), edge-triggered.
 */

#include "os/poller.h"

#if defined(SL_HAVE_KQUEUE)

#include <sys/types.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 };

/* The state is the kqueue descriptor itself. */
static int kqueue_descriptor(void *state)
{
    return (int)(intptr_t)state;
}

static int kqueue_open(void **state)
{
    int queue = kqueue();
    if (queue < 0)
        return errno;
    fcntl(queue, F_SETFD, FD_CLOEXEC);
    *state = (void *)(intptr_t)queue;
    return 0;
}

static void kqueue_close(void *state)
{
    close(kqueue_descriptor(state));
}

static int kqueue_holds(int fd)
{
    (void)fd;
    return 1;
}

static void kqueue_forget(void *state, int fd)
{
    struct kevent both[2];
    EV_SET(&both[0], fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
    EV_SET(&both[1], fd, EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
    kevent(kqueue_descriptor(state), both, 1, NULL, 0, NULL);
    kevent(kqueue_descriptor(state), both + 1, 1, NULL, 0, NULL);
}

/* A pipe whose other end is closed can be registered for reading only (EPIPE).
 * Its event then counts for both directions. */
static int kqueue_watch(void *state, int fd, uint32_t generation,
                        unsigned interest)
{
    struct kevent both[2];
    (void)interest;
    EV_SET(&both[0], fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0,
           (void *)(uintptr_t)generation);
    EV_SET(&both[1], fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0,
           (void *)(uintptr_t)generation);
    int err = kevent(kqueue_descriptor(state), both, 2, NULL, 0, NULL) < 0
                  ? errno : 0;
    if (err == 0 || err == EPIPE)
        return 0;
    kqueue_forget(state, fd);
    return err;
}

static int is_pipe(int fd)
{
    struct stat file;
    return fstat(fd, &file) == 0 && S_ISFIFO(file.st_mode);
}

/* Urgent data is not reported, so a readable descriptor counts as hung up (see
 * poller.h). A pipe ends in both directions at once. */
static unsigned kqueue_readiness(const struct kevent *event)
{
    int at_end = event->flags & EV_EOF;
    if (event->flags & EV_ERROR)
        return SL_READABLE | SL_WRITABLE | SL_HANGUP;
    if (event->filter == EVFILT_READ)
        return SL_READABLE | SL_HANGUP |
               (at_end && is_pipe((int)event->ident) ? SL_WRITABLE : 0);
    return at_end ? SL_READABLE | SL_WRITABLE | SL_HANGUP : SL_WRITABLE;
}

static int kqueue_wait(void *state, int ms, sl_event *events, int max)
{
    struct kevent found[EVENTS_MAX];
    struct timespec limit = {ms / 1000, (long)(ms % 1000) * 1000000};
    int n = kevent(kqueue_descriptor(state), NULL, 0, found,
                   max < EVENTS_MAX ? max : EVENTS_MAX,
                   ms < 0 ? NULL : &limit);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++) {
        events[i].fd = (int)found[i].ident;
        events[i].generation = (uint32_t)(uintptr_t)found[i].udata;
        events[i].ready = kqueue_readiness(&found[i]);
    }
    return n;
}

const sl_poller_type sl_poller_kqueue = {
    "kqueue", 1, 0, kqueue_open, kqueue_close, kqueue_holds, kqueue_watch,
    kqueue_forget, kqueue_wait,
};

#else

typedef int sl_no_kqueue_here;    /* ISO C forbids an empty file */

#endif
