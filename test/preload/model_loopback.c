/*
 * model_loopback.c - connects over IPv4's loopback that complete at once,
 * preloaded together with model_clock.c, whose time must not pass meanwhile:
 *
 *     LD_PRELOAD=.../model.so lua ...
 *
 * A connect in progress still reports that, but returns only when it has
 * completed and the listening socket, which is one of this process, has the
 * connection. Closed connections do not occupy their ports.
 */

#define _GNU_SOURCE    /* RTLD_NEXT, struct tcp_info */

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { ESTABLISHED = 1, SYN_SENT = 2, LISTEN = 10 };    /* tcpi_state */

enum { NAP = 100000, NAPS_MAX = 100000 };    /* nanoseconds */

static int listeners[65536];    /* port -> descriptor + 1 */

static void *find(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

/* Returns the state of a TCP socket; tcpi_state is 0 on failure. */
static struct tcp_info get_info(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        info.tcpi_state = 0;
    return info;
}

/* Returns the number of connections to be accepted at that port; -1 without a
 * listener. */
static long count_waiting(in_port_t port)
{
    int fd = listeners[port] - 1;
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&name, &size) != 0 ||
        name.sin_family != AF_INET || name.sin_port != port)
        return -1;
    struct tcp_info info = get_info(fd);
    return info.tcpi_state == LISTEN ? (long)info.tcpi_unacked : -1;
}

static void await_end(int fd, in_port_t port, long before)
{
    struct timespec nap = {0, NAP};
    for (int i = 0; i < NAPS_MAX; i++) {
        int state = get_info(fd).tcpi_state;
        if (state != SYN_SENT &&
            (state != ESTABLISHED || before < 0 ||
             count_waiting(port) > before))
            return;
        nanosleep(&nap, NULL);
    }
    fputs("a connection is not made\n", stderr);
    abort();
}

int listen(int fd, int backlog)
{
    static int (*real)(int fd, int backlog);
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    if (real == NULL)
        *(void **)&real = find("listen");
    if (getsockname(fd, (struct sockaddr *)&name, &size) == 0 &&
        name.sin_family == AF_INET)
        listeners[name.sin_port] = fd + 1;
    return real(fd, backlog);
}

int connect(int fd, const struct sockaddr *name, socklen_t size)
{
    static int (*real)(int fd, const struct sockaddr *name, socklen_t size);
    struct linger none = {1, 0};
    if (real == NULL)
        *(void **)&real = find("connect");
    if (name->sa_family != AF_INET || get_info(fd).tcpi_state == 0)
        return real(fd, name, size);
    in_port_t port = ((const struct sockaddr_in *)name)->sin_port;
    long before = count_waiting(port);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    int result = real(fd, name, size);
    if (result == 0 || errno != EINPROGRESS)
        return result;
    await_end(fd, port, before);
    errno = EINPROGRESS;
    return result;
}
