/*
 * raw.c - the lower limit: a server that consists of system calls only.
 *
 *     raw line|count|all       prints its port
 *
 * Behaves like the Lua servers: line returns each line (together with others
 * that arrived at once); count and all read a line that contains what to do
 * with the bulk data that follows, collect the data in memory, and return the
 * data or their size.
 */

#define _GNU_SOURCE    /* accept4, memrchr */

#include "listen.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, READ_SIZE = 64 * 1024 };

/* A connection. in: incomplete input; out: output that did not fit into the
 * peer's window. */
typedef struct connection {
    int fd, closing;
    char *in, *out;
    size_t in_used, in_size, out_used;
    size_t wanted;     /* bytes of bulk data; 0: its line comes first */
    int gives_back;
} connection;

static int epoll;
static enum { LINE, COUNT, ALL } mode;
static char scratch[READ_SIZE];

static void watch(connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->fd, &event) != 0)
        abort();
}

static void close_connection(connection *c)
{
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

/* --- writing ----------------------------------------------------------- */

/* Sends bytes. The part that does not fit into the window is sent later;
 * nothing is read until then. */
static void put(connection *c, const char *bytes, size_t size)
{
    ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL);
    if (n < 0)
        n = 0;
    if ((size_t)n == size)
        return;
    c->out_used = size - (size_t)n;
    c->out = malloc(c->out_used);
    memcpy(c->out, bytes + n, c->out_used);
    watch(c, EPOLL_CTL_MOD, EPOLLOUT);
}

/* Sends the remaining output. Returns true if the connection is closed. */
static int put_rest(connection *c)
{
    ssize_t n = send(c->fd, c->out, c->out_used, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        close_connection(c);
        return 1;
    }
    c->out_used -= n > 0 ? (size_t)n : 0;
    if (n > 0)
        memmove(c->out, c->out + n, c->out_used);
    if (c->out_used > 0)
        return 0;
    free(c->out);
    c->out = NULL;
    if (c->closing) {
        close_connection(c);
        return 1;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    return 0;
}

/* --- what came --------------------------------------------------------- */

static void keep(connection *c, const char *bytes, size_t size)
{
    if (c->in_used + size > c->in_size) {
        c->in_size = 2 * c->in_size > c->in_used + size
                         ? 2 * c->in_size : c->in_used + size;
        c->in = realloc(c->in, c->in_size);
        if (c->in == NULL)
            abort();
    }
    memcpy(c->in + c->in_used, bytes, size);
    c->in_used += size;
}

static void forget_input(connection *c)
{
    free(c->in);
    c->in = NULL;
    c->in_used = c->in_size = 0;
}

static void lines_came(connection *c, const char *bytes, size_t size)
{
    const char *last = memrchr(bytes, '\n', size);
    size_t complete = last != NULL ? (size_t)(last - bytes) + 1 : 0;
    if (complete > 0 && c->in_used > 0) {
        keep(c, bytes, complete);
        put(c, c->in, c->in_used);
        forget_input(c);
    } else if (complete > 0) {
        put(c, bytes, complete);
    }
    if (complete < size)
        keep(c, bytes + complete, size - complete);
}

/* Answers bulk data that is complete. */
static void answer(connection *c)
{
    char text[32];
    if (c->gives_back)
        put(c, c->in, c->in_used);
    else
        put(c, text, (size_t)snprintf(text, sizeof text, "%zu\n",
                                      c->in_used));
    forget_input(c);
    c->wanted = 0;
}

/* Parses the line before bulk data, if it is complete. */
static void bulk_began(connection *c)
{
    char *end = memchr(c->in, '\n', c->in_used);
    if (end == NULL)
        return;
    c->gives_back = memcmp(c->in, "echo", 4) == 0;
    c->wanted = strtoul(c->in + 5, NULL, 10);
    char *old = c->in;
    size_t used = c->in_used - (size_t)(end + 1 - old);
    size_t size = mode == COUNT ? c->wanted : READ_SIZE;
    c->in = NULL;
    c->in_used = 0;
    c->in_size = used > size ? used : size;
    c->in = malloc(c->in_size);
    keep(c, end + 1, used);
    free(old);
}

/* Reads bulk data: the head is kept as it is, the data that follows is read to
 * its place. */
static ssize_t read_bulk(connection *c)
{
    if (c->wanted == 0) {
        ssize_t n = recv(c->fd, scratch, sizeof scratch, 0);
        if (n > 0) {
            keep(c, scratch, (size_t)n);
            bulk_began(c);
        }
        return n;
    }
    if (c->in_used == c->in_size) {
        c->in_size *= 2;
        c->in = realloc(c->in, c->in_size);
        if (c->in == NULL)
            abort();
    }
    ssize_t n = recv(c->fd, c->in + c->in_used, c->in_size - c->in_used, 0);
    if (n > 0)
        c->in_used += (size_t)n;
    return n;
}

static void end_came(connection *c)
{
    if (mode == ALL && c->wanted > 0) {
        c->closing = 1;
        answer(c);
    }
    if (c->out == NULL)
        close_connection(c);
}

static void input_came(connection *c)
{
    ssize_t n = mode == LINE ? recv(c->fd, scratch, sizeof scratch, 0)
                             : read_bulk(c);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        end_came(c);
    else if (mode == LINE)
        lines_came(c, scratch, (size_t)n);
    else if (mode == COUNT && c->wanted > 0 && c->in_used >= c->wanted)
        answer(c);
}

/* --- the server -------------------------------------------------------- */

static void accept_all(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        connection *c = calloc(1, sizeof *c);
        if (c == NULL)
            abort();
        c->fd = fd;
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX];
    const char *name = argc > 1 ? argv[1] : "line";
    mode = strcmp(name, "all") == 0 ? ALL : strcmp(name, "count") == 0 ? COUNT
                                                                    : LINE;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    connection listener = {.fd = listen_anywhere()};
    watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (c == &listener)
                accept_all(listener.fd);
            else if (c->out == NULL || !put_rest(c))
                input_came(c);
        }
    }
}
