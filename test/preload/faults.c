/*
 * faults.c - system calls that fail now and then, for the specs:
 *
 *     FAULTS='seed=7 interrupt=100 short=200' LD_PRELOAD=.../faults.so lua ...
 *
 * Of 1000 calls so many fail:
 *
 *     interrupt   with EINTR, if a signal may interrupt the call
 *     again       with EAGAIN, on non-blocking descriptors
 *     short       by reading or writing less than possible
 *     reset       with ECONNRESET
 *     accept      with EMFILE, ENFILE, ENOMEM or ECONNABORTED
 *
 * With alarm=N there is a signal every N microseconds; with pipe=1 SIGPIPE has
 * its default action, which LuaSocket cannot change. At the end the number of
 * faults of each kind is printed to standard error.
 *
 * A socket that could have done more is still ready, but edge-triggered epoll
 * would not report it again. So the event is re-armed.
 */

#define _GNU_SOURCE    /* RTLD_NEXT, accept4, program_invocation_short_name */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { INTERRUPT, AGAIN, SHORT, RESET, ACCEPT, KINDS };

static const char *const names[KINDS] = {
    "interrupt", "again", "short", "reset", "accept"
};

static long rates[KINDS], counts[KINDS];
static volatile sig_atomic_t alarms;
static uint64_t state = 1;

static unsigned long draw(unsigned long end)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned long)(state >> 11) % end;
}

static int strikes(int kind)
{
    int does = rates[kind] > 0 && (long)draw(1000) < rates[kind];
    counts[kind] += does;
    return does;
}

/* --- the real ones ----------------------------------------------------- */

#define REAL(result, name, ...) \
    typedef result name##_type(__VA_ARGS__); \
    static name##_type *real_##name(void) \
    { \
        static name##_type *real; \
        if (real == NULL) \
            *(void **)&real = dlsym(RTLD_NEXT, #name); \
        return real; \
    }

REAL(ssize_t, recv, int, void *, size_t, int)
REAL(ssize_t, send, int, const void *, size_t, int)
REAL(ssize_t, sendmsg, int, const struct msghdr *, int)
REAL(ssize_t, recvfrom, int, void *, size_t, int, struct sockaddr *,
     socklen_t *)
REAL(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *,
     socklen_t)
REAL(int, accept4, int, struct sockaddr *, socklen_t *, int)
REAL(int, connect, int, const struct sockaddr *, socklen_t)
REAL(int, epoll_ctl, int, int, int, struct epoll_event *)
REAL(int, epoll_wait, int, struct epoll_event *, int, int)
REAL(int, poll, struct pollfd *, nfds_t, int)
REAL(int, select, int, fd_set *, fd_set *, fd_set *, struct timeval *)
REAL(ssize_t, read, int, void *, size_t)

/* --- epoll ------------------------------------------------------------- */

enum { FDS = 65536 };

/* Registrations: epoll instance and event. A program that watches the two
 * directions separately has two instances. */
static struct { int epoll; struct epoll_event event; } told[FDS][2];

int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    if (fd >= 0 && fd < FDS && what != EPOLL_CTL_DEL) {
        int which = (event->events & EPOLLIN) != 0;
        told[fd][which].epoll = epoll + 1;
        told[fd][which].event = *event;
    }
    return real_epoll_ctl()(epoll, what, fd, event);
}

/* Re-arms the descriptor's events, so that it is reported if it is ready. */
static void remind(int fd)
{
    for (int i = 0; i < 2; i++)
        if (fd >= 0 && fd < FDS && told[fd][i].epoll > 0)
            real_epoll_ctl()(told[fd][i].epoll - 1, EPOLL_CTL_MOD, fd,
                             &told[fd][i].event);
}

/* --- calls that fail --------------------------------------------------- */

static int fails(int err)
{
    errno = err;
    return -1;
}

/* Whether a call that moves data fails. May reduce its size. */
static int disturbed(int fd, size_t *size)
{
    if (strikes(INTERRUPT))
        return fails(EINTR);
    if (strikes(RESET))
        return fails(ECONNRESET);
    if (fcntl(fd, F_GETFL) & O_NONBLOCK) {
        if (strikes(AGAIN)) {
            remind(fd);
            return fails(EAGAIN);
        }
        if (size != NULL && *size > 1 && strikes(SHORT)) {
            *size = 1 + draw(*size > 64 ? 64 : *size);
            remind(fd);
        }
    }
    return 0;
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
    return disturbed(fd, &size) ? -1 : real_recv()(fd, data, size, flags);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    return disturbed(fd, &size) ? -1 : real_send()(fd, data, size, flags);
}

/* A message consists of one or two parts. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct iovec parts[2] = {{NULL, 0}, {NULL, 0}};
    struct msghdr copy = *message;
    size_t size = 0, whole;
    for (size_t i = 0; i < message->msg_iovlen && i < 2; i++) {
        parts[i] = message->msg_iov[i];
        size += parts[i].iov_len;
    }
    whole = size;
    if (disturbed(fd, &size))
        return -1;
    if (size == whole || message->msg_iovlen > 2)
        return real_sendmsg()(fd, message, flags);
    copy.msg_iov = parts;
    if (size < parts[0].iov_len) {
        parts[0].iov_len = size;
        copy.msg_iovlen = 1;
    } else if (copy.msg_iovlen == 2) {
        parts[1].iov_len = size - parts[0].iov_len;
    }
    return real_sendmsg()(fd, &copy, flags);
}

ssize_t recvfrom(int fd, void *data, size_t size, int flags,
                 struct sockaddr *name, socklen_t *name_size)
{
    return disturbed(fd, NULL) ? -1 : real_recvfrom()(fd, data, size, flags,
                                                      name, name_size);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags,
               const struct sockaddr *name, socklen_t name_size)
{
    return disturbed(fd, NULL) ? -1 : real_sendto()(fd, data, size, flags,
                                                    name, name_size);
}

int accept4(int fd, struct sockaddr *name, socklen_t *size, int flags)
{
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, ECONNABORTED};
    if (strikes(INTERRUPT))
        return fails(EINTR);
    if (strikes(ACCEPT))
        return fails(errors[draw(4)]);
    if (strikes(AGAIN)) {
        remind(fd);
        return fails(EAGAIN);
    }
    return real_accept4()(fd, name, size, flags);
}

/* A connect that is interrupted continues in the background. */
int connect(int fd, const struct sockaddr *name, socklen_t size)
{
    if (strikes(RESET))
        return fails(ECONNRESET);
    int result = real_connect()(fd, name, size);
    if ((result == 0 || errno == EINPROGRESS) && strikes(INTERRUPT))
        return fails(EINTR);
    return result;
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int limit)
{
    if (strikes(INTERRUPT))
        return fails(EINTR);
    return real_epoll_wait()(epoll, events, max, limit);
}

int poll(struct pollfd *set, nfds_t count, int limit)
{
    if (strikes(INTERRUPT))
        return fails(EINTR);
    return real_poll()(set, count, limit);
}

int select(int end, fd_set *readers, fd_set *writers, fd_set *others,
           struct timeval *limit)
{
    if (strikes(INTERRUPT))
        return fails(EINTR);
    return real_select()(end, readers, writers, others, limit);
}

ssize_t read(int fd, void *data, size_t size)
{
    if (fcntl(fd, F_GETFL) & O_NONBLOCK && strikes(INTERRUPT))
        return fails(EINTR);
    return real_read()(fd, data, size);
}

/* --- beginning and end ------------------------------------------------- */

static long setting(const char *name)
{
    const char *all = getenv("FAULTS");
    size_t size = strlen(name);
    for (; all != NULL && *all != '\0'; all += strcspn(all, " ")) {
        all += strspn(all, " ");
        if (strncmp(all, name, size) == 0 && all[size] == '=')
            return strtol(all + size + 1, NULL, 10);
    }
    return 0;
}

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

static void set_alarm(long microseconds)
{
    struct sigaction action = {.sa_handler = count_alarm};
    struct itimerval every = {{0, microseconds}, {0, microseconds}};
    /* A shell or launcher that executes another program would pass on the
     * timer, but not the signal's handler. */
    if (microseconds == 0 ||
        strstr(program_invocation_short_name, "lua") == NULL)
        return;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static int keeps_pipe;

/* LuaSocket calls this function to ignore SIGPIPE. */
void (*signal(int number, void (*handler)(int)))(int)
{
    struct sigaction action = {.sa_handler = handler}, old;
    if (number == SIGPIPE && keeps_pipe)
        return SIG_DFL;
    return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

static void reset_pipe(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(SIGPIPE, &action, NULL);
}

__attribute__((constructor)) static void begin(void)
{
    state = (uint64_t)setting("seed") * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < KINDS; i++)
        rates[i] = setting(names[i]);
    keeps_pipe = setting("pipe") > 0;
    if (keeps_pipe)
        reset_pipe();
    set_alarm(setting("alarm"));
}

__attribute__((destructor)) static void end(void)
{
    if (getenv("FAULTS") == NULL)
        return;
    fprintf(stderr, "faults:");
    for (int i = 0; i < KINDS; i++)
        fprintf(stderr, " %s %ld", names[i], counts[i]);
    fprintf(stderr, " alarm %ld\n", (long)alarms);
}
