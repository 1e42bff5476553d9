/*
 * fd.c - see fd.h. The differences between systems are in this file.
 */

#define _GNU_SOURCE    /* accept4, pipe2 */

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined(MSG_NOSIGNAL)
enum { SEND_FLAGS = MSG_NOSIGNAL };
#else
enum { SEND_FLAGS = 0 };
#endif

/* Sets *n from the result of a call that transfers bytes. 0 or an errno. */
static int transferred(ssize_t result, size_t *n)
{
    *n = result < 0 ? 0 : (size_t)result;
    return result >= 0 ? 0 : errno == EWOULDBLOCK ? EAGAIN : errno;
}

void sl_fd_close(int fd)
{
    close(fd);
}

int sl_fd_inode(int fd, uint32_t *inode)
{
    struct stat file;
    if (fstat(fd, &file) < 0)
        return errno;
    *inode = (uint32_t)file.st_ino;
    return 0;
}

int sl_fd_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return errno;
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return errno;
    return 0;
}

#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)

static int make_socket(int family, int type, int *fd)
{
    *fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return *fd < 0 ? errno : 0;
}

int sl_fd_accept(int listener, int *fd)
{
    do
        *fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (*fd < 0 && errno == EINTR);
    return *fd >= 0 ? 0 : errno == EWOULDBLOCK ? EAGAIN : errno;
}

int sl_fd_pipe(int ends[2])
{
    return pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0 ? errno : 0;
}

#else

static int prepare(int *fd)
{
    if (*fd < 0)
        return errno == EWOULDBLOCK ? EAGAIN : errno;
    int err = sl_fd_nonblock(*fd);
#if defined(SO_NOSIGPIPE)
    int on = 1;
    setsockopt(*fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    fcntl(*fd, F_SETFD, FD_CLOEXEC);
    if (err != 0)
        close(*fd);
    return err;
}

static int make_socket(int family, int type, int *fd)
{
    *fd = socket(family, type, 0);
    return prepare(fd);
}

int sl_fd_accept(int listener, int *fd)
{
    do
        *fd = accept(listener, NULL, NULL);
    while (*fd < 0 && errno == EINTR);
    return prepare(fd);
}

int sl_fd_pipe(int ends[2])
{
    if (pipe(ends) < 0)
        return errno;
    for (int i = 0; i < 2; i++) {
        sl_fd_nonblock(ends[i]);
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    }
    return 0;
}

#endif

void sl_fd_drain(int fd)
{
    char bytes[64];
    ssize_t n;
    do
        n = read(fd, bytes, sizeof bytes);
    while (n > 0 || (n < 0 && errno == EINTR));
}

int sl_fd_socket(int family, int type, int *fd)
{
    int on = 1;
    int err = make_socket(family, type, fd);
    if (err == 0 && family == AF_INET6)
        setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return err;
}

int sl_fd_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    if (connect(fd, address, size) == 0)
        return 0;
    return errno == EINTR ? EINPROGRESS : errno;
}

void sl_fd_disconnect(int fd)
{
    struct sockaddr_in6 none;
    memset(&none, 0, sizeof none);
    none.sin6_family = AF_UNSPEC;
    connect(fd, (struct sockaddr *)&none, sizeof none);
}

int sl_fd_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    return bind(fd, address, size) < 0 ? errno : 0;
}

int sl_fd_listen(int fd, int backlog)
{
    return listen(fd, backlog) < 0 ? errno : 0;
}

void sl_fd_shutdown(int fd, int how)
{
    shutdown(fd, how);
}

int sl_fd_recv(int fd, char *data, size_t size, size_t *n)
{
    ssize_t got;
    do
        got = recv(fd, data, size, 0);
    while (got < 0 && errno == EINTR);
    return transferred(got, n);
}

int sl_fd_peek(int fd, char *data, size_t size, size_t *n)
{
    ssize_t got;
    do
        got = recv(fd, data, size, MSG_PEEK | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    return transferred(got, n);
}

size_t sl_fd_pending(int fd)
{
    int n = 0;
    return ioctl(fd, FIONREAD, &n) == 0 && n > 1 ? (size_t)n : 1;
}

int sl_fd_send(int fd, const char *data, size_t size, size_t *n)
{
    ssize_t put;
    do
        put = send(fd, data, size, SEND_FLAGS);
    while (put < 0 && errno == EINTR);
    return transferred(put, n);
}

int sl_fd_sendtwo(int fd, const char *first, size_t first_size,
                  const char *second, size_t second_size, size_t *n)
{
    struct iovec parts[] = {
        {(char *)first, first_size}, {(char *)second, second_size}
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (second_size == 0)
        return sl_fd_send(fd, first, first_size, n);
    ssize_t put;
    do
        put = sendmsg(fd, &message, SEND_FLAGS);
    while (put < 0 && errno == EINTR);
    return transferred(put, n);
}

int sl_fd_recvfrom(int fd, char *data, size_t size, size_t *n,
                   sl_sockaddr *from)
{
    ssize_t got;
    do {
        from->size = sizeof from->address;
        got = recvfrom(fd, data, size, 0, &from->address.any, &from->size);
    } while (got < 0 && errno == EINTR);
    return transferred(got, n);
}

int sl_fd_sendto(int fd, const char *data, size_t size, const sl_sockaddr *to)
{
    const struct sockaddr *name = to->size > 0 ? &to->address.any : NULL;
    size_t n;
    ssize_t put;
    do
        put = sendto(fd, data, size, SEND_FLAGS, name, to->size);
    while (put < 0 && errno == EINTR);
    return transferred(put, &n);
}

int sl_fd_poll(struct pollfd *set, size_t count)
{
    int n;
    do
        n = poll(set, (nfds_t)count, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Whether one of the events, an error or a hang-up has occurred. */
static int has_happened(int fd, short events)
{
    struct pollfd p = {fd, events, 0};
    return sl_fd_poll(&p, 1) > 0;
}

int sl_fd_ready(int fd, int writing)
{
    return has_happened(fd, writing ? POLLOUT : POLLIN);
}

static int int_option(int fd, int option, int *value)
{
    socklen_t size = sizeof *value;
    return getsockopt(fd, SOL_SOCKET, option, value, &size) < 0 ? errno : 0;
}

int sl_fd_error(int fd)
{
    int err = 0;
    return int_option(fd, SO_ERROR, &err) == 0 ? err : 0;
}

void sl_fd_reusing(int fd)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

void sl_fd_resetting(int fd)
{
    struct linger at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void sl_fd_boundsend(int fd)
{
    struct timeval least = {0, 1};
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &least, sizeof least);
}

int sl_fd_sockname(int fd, sl_sockaddr *name)
{
    name->size = sizeof name->address;
    return getsockname(fd, &name->address.any, &name->size) < 0 ? errno : 0;
}

int sl_fd_peername(int fd, sl_sockaddr *name)
{
    name->size = sizeof name->address;
    return getpeername(fd, &name->address.any, &name->size) < 0 ? errno : 0;
}

int sl_fd_connected(int fd)
{
    sl_sockaddr peer;
    int pending = 0;
    int err = int_option(fd, SO_ERROR, &pending);
    if (err != 0 || pending != 0)
        return err != 0 ? err : pending;
    err = sl_fd_peername(fd, &peer);
    return err == ENOTCONN ? EINPROGRESS : err;
}

/* The system reports an error once, so it may have been read before. A failed
 * attempt is hung up in any case. */
int sl_fd_attempted(int fd)
{
    int err = sl_fd_connected(fd);
    return err == EINPROGRESS && has_happened(fd, 0) ? ECONNABORTED : err;
}

int sl_fd_haspeer(int fd)
{
    sl_sockaddr peer;
    return sl_fd_peername(fd, &peer) == 0;
}

int sl_fd_listens(int fd)
{
    int listens = 0;
    return int_option(fd, SO_ACCEPTCONN, &listens) == 0 && listens;
}

int sl_fd_family(int fd)
{
    sl_sockaddr name;
    return sl_fd_sockname(fd, &name) == 0 ? name.address.any.sa_family : -1;
}

int sl_fd_type(int fd)
{
    int type = -1;
    return int_option(fd, SO_TYPE, &type) == 0 ? type : -1;
}
