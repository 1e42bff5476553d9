/*
 * kqueue.c - FreeBSD's kqueue(2) on top of Linux' epoll(7), so that the specs
 * can run on os/poller_kqueue.c. Where the two differ, it is as strict as
 * kqueue:
 *
 * - The filters of a descriptor are independent: an event that makes it
 *   writable does not report again that it is readable.
 * - EV_CLEAR: a change is reported once, and only if the condition still
 *   holds when the event is fetched.
 * - EV_EOF for reading when the peer has sent its end, for writing when
 *   nothing can be sent any more, also after a local shutdown(2).
 * - Urgent data is not reported separately.
 * - A pipe whose other end is closed cannot be watched for writing: EPIPE.
 * - A failed change is an event with EV_ERROR where there is room for
 *   events; otherwise kevent fails, and the changes before it stay.
 * - A child of fork(2) does not have the queue.
 *
 * A queue is an epoll instance that holds two others, one for each filter. The
 * wait is a call of poll(2), so that preloaded libraries of the specs can
 * intercept it. Differences from kqueue: a closed descriptor stays watched
 * while it has duplicates, timeouts are rounded up to milliseconds, data is 0,
 * and other filters and flags fail with EINVAL.
 */

#define _GNU_SOURCE    /* EPOLLRDHUP, syscall */

#include <sys/event.h>
#undef close

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { READING, WRITING, FILTERS };

/* A watched descriptor. Events carry the serial number, since a descriptor that
 * was closed and has duplicates may still send events. */
typedef struct knote {
    uint32_t serial;
    void *udata;
} knote;

typedef struct queue {
    int outer, inner[FILTERS];
    knote *notes[FILTERS];    /* by descriptor */
    int size[FILTERS];
    uint32_t serial;
    int first;                /* the filter that is fetched first */
    struct queue *next;
} queue;

static queue *queues;
static pthread_mutex_t queues_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void close_descriptors(queue *q)
{
    close(q->outer);
    for (int i = 0; i < FILTERS; i++)
        close(q->inner[i]);
}

static void free_queue(queue *q)
{
    for (int i = 0; i < FILTERS; i++)
        free(q->notes[i]);
    free(q);
}

static void before_fork(void)
{
    pthread_mutex_lock(&queues_lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&queues_lock);
}

static void in_child(void)
{
    while (queues != NULL) {
        queue *q = queues;
        queues = q->next;
        close_descriptors(q);
        free_queue(q);
    }
    after_fork();
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork, in_child);
}

static int open_descriptors(queue *q)
{
    q->outer = epoll_create1(0);
    int ok = q->outer >= 0;
    for (int i = 0; i < FILTERS; i++) {
        struct epoll_event event = {EPOLLIN, {.u32 = (uint32_t)i}};
        q->inner[i] = ok ? epoll_create1(EPOLL_CLOEXEC) : -1;
        ok = q->inner[i] >= 0 && epoll_ctl(q->outer, EPOLL_CTL_ADD,
                                           q->inner[i], &event) == 0;
    }
    return ok;
}

int kqueue(void)
{
    pthread_once(&once, watch_forks);
    queue *q = calloc(1, sizeof *q);
    if (q == NULL)
        return -1;
    if (!open_descriptors(q)) {
        int err = errno;
        close_descriptors(q);
        free_queue(q);
        errno = err;
        return -1;
    }
    pthread_mutex_lock(&queues_lock);
    q->next = queues;
    queues = q;
    pthread_mutex_unlock(&queues_lock);
    return q->outer;
}

/* Returns the queue of that descriptor, or NULL and errno. closing unlinks the
 * queue. */
static queue *find(int fd, int closing)
{
    pthread_mutex_lock(&queues_lock);
    queue **link = &queues, *q;
    while ((q = *link) != NULL && q->outer != fd)
        link = &q->next;
    if (q != NULL && closing)
        *link = q->next;
    pthread_mutex_unlock(&queues_lock);
    if (q == NULL)
        errno = EBADF;
    return q;
}

int kqueue_close_queue(int fd)
{
    queue *q = find(fd, 1);
    if (q == NULL)
        return -1;
    close_descriptors(q);
    free_queue(q);
    return 0;
}

/* --- changes ----------------------------------------------------------- */

static int reserve_notes(queue *q, int which, int fd)
{
    if (fd < q->size[which])
        return 0;
    int size = fd + 64;
    knote *notes = realloc(q->notes[which], (size_t)size * sizeof *notes);
    if (notes == NULL)
        return ENOMEM;
    for (int i = q->size[which]; i < size; i++)
        notes[i] = (knote){0, NULL};
    q->notes[which] = notes;
    q->size[which] = size;
    return 0;
}

static int is_broken_pipe(int fd)
{
    struct stat file;
    struct pollfd ends = {fd, 0, 0};
    return fstat(fd, &file) == 0 && S_ISFIFO(file.st_mode) &&
           poll(&ends, 1, 0) == 1 && (ends.revents & (POLLERR | POLLHUP));
}

static int add(queue *q, int which, const struct kevent *change)
{
    int fd = (int)change->ident;
    if (which == WRITING && is_broken_pipe(fd))
        return EPIPE;
    if (reserve_notes(q, which, fd) != 0)
        return ENOMEM;
    struct epoll_event event = {
        .events = EPOLLET | (which == READING ? EPOLLIN | EPOLLRDHUP
                                              : EPOLLOUT),
        .data.u64 = (uint64_t)++q->serial << 32 | (uint32_t)fd,
    };
    int err = epoll_ctl(q->inner[which], EPOLL_CTL_ADD, fd, &event);
    if (err != 0 && errno == EEXIST)
        err = epoll_ctl(q->inner[which], EPOLL_CTL_MOD, fd, &event);
    if (err != 0)
        return errno;
    q->notes[which][fd] = (knote){q->serial, change->udata};
    return 0;
}

static int apply(queue *q, const struct kevent *change)
{
    struct epoll_event unused = {0};
    int which = change->filter == EVFILT_READ ? READING : WRITING;
    if ((change->filter != EVFILT_READ && change->filter != EVFILT_WRITE) ||
        change->ident > INT32_MAX - 64)
        return EINVAL;
    if (change->flags == (EV_ADD | EV_CLEAR))
        return add(q, which, change);
    if (change->flags != EV_DELETE)
        return EINVAL;
    return epoll_ctl(q->inner[which], EPOLL_CTL_DEL, (int)change->ident,
                     &unused) == 0 ? 0 : errno;
}

/* --- events ------------------------------------------------------------ */

/* Whether the peer of a TCP socket has sent its end. */
static int has_shut(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           (info.tcpi_state == TCP_FIN_WAIT1 ||
            info.tcpi_state == TCP_FIN_WAIT2 ||
            info.tcpi_state == TCP_CLOSING ||
            info.tcpi_state == TCP_LAST_ACK);
}

static int is_at_end(int which, int fd, uint32_t found)
{
    if (found & (EPOLLHUP | EPOLLERR))
        return 1;
    return which == READING ? (found & EPOLLRDHUP) != 0 : has_shut(fd);
}

/* Fetches events of one filter. Returns their number. */
static int fetch(queue *q, int which, struct kevent *events, int max)
{
    struct epoll_event found[64];
    int count = 0;
    long n = max <= 0 ? 0 : syscall(SYS_epoll_pwait, q->inner[which], found,
                                    max < 64 ? max : 64, 0, NULL, 0);
    for (int i = 0; i < n; i++) {
        int fd = (int)(uint32_t)found[i].data.u64;
        knote note = q->notes[which][fd];
        if (note.serial != (uint32_t)(found[i].data.u64 >> 32))
            continue;
        int end = is_at_end(which, fd, found[i].events);
        EV_SET(&events[count++], fd,
               which == READING ? EVFILT_READ : EVFILT_WRITE,
               (unsigned short)(EV_CLEAR | (end ? EV_EOF : 0)), 0, 0,
               note.udata);
    }
    return count;
}

static int fetch_all(queue *q, struct kevent *events, int max)
{
    int first = q->first;
    q->first = !first;
    int n = fetch(q, first, events, max);
    return n + fetch(q, !first, events + n, max - n);
}

static int milliseconds(const struct timespec *timeout)
{
    if (timeout == NULL)
        return -1;
    return (int)(timeout->tv_sec * 1000 +
                 (timeout->tv_nsec + 999999) / 1000000);
}

/* Waits until there are events to fetch. Stale events end a wait with a timeout
 * early. */
static int await(queue *q, struct kevent *events, int max,
                 const struct timespec *timeout)
{
    struct pollfd ready = {q->outer, POLLIN, 0};
    for (;;) {
        int n = poll(&ready, 1, milliseconds(timeout));
        if (n <= 0)
            return n;
        n = fetch_all(q, events, max);
        if (n > 0 || timeout != NULL)
            return n;
    }
}

int kevent(int fd, const struct kevent *changes, int nchanges,
           struct kevent *events, int nevents, const struct timespec *timeout)
{
    int failed = 0;
    queue *q = find(fd, 0);
    if (q == NULL)
        return -1;
    for (int i = 0; i < nchanges; i++) {
        int err = apply(q, &changes[i]);
        if (err == 0)
            continue;
        if (failed == nevents) {
            errno = err;
            return -1;
        }
        events[failed] = changes[i];
        events[failed].flags = EV_ERROR;
        events[failed++].data = err;
    }
    return failed > 0 || nevents == 0 ? failed
                                      : await(q, events, nevents, timeout);
}
