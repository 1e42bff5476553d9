/*
 * load.c - the load generator: starts a server, keeps its connections busy,
 * checks every byte that comes back, and reports the cost for the server.
 *
 *     load [options] -- server command
 *
 *     -m echo|churn|count|all|idle     kind of load, see below; echo
 *     -c connections    open connections; 1
 *     -a active         active ones among them; all
 *     -d depth          lines sent at once; 1
 *     -s size           of a line or of bulk data, in bytes; 64
 *     -n operations     to measure, or
 *     -t seconds        to measure; 0.3
 *     -w seconds        of warm-up; 0.2, 0 with -n
 *     -g                requests are sent together, when all answers have
 *                       arrived, and reach the server together: one CPU for
 *                       load and server
 *     -l seconds        until the run counts as failed; 60
 *
 *     echo    a line is sent and comes back
 *     churn   a new connection for each line
 *     count   bulk data, received by its size, repeatedly
 *     all     bulk data, received until the stream ends
 *     idle    connections are opened, used once, and then left alone
 *
 * First all connections are opened and used once. Prints one result a line:
 * operations, cpu (the server's, in seconds), seconds, memory (used by the
 * server for the connections, in bytes).
 */

#define _GNU_SOURCE    /* IP_BIND_ADDRESS_NO_PORT */

#include "process.h"
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 512,
    OPENING_MAX = 100,         /* connections that are opened at a time */
    READ_SIZE = 256 * 1024
};

enum mode { ECHO_LINES, CHURN, COUNT, ALL, IDLE };

/* The options. */
static struct {
    enum mode mode;
    unsigned connections, active;
    unsigned long operations;    /* 0: limited by time */
    double seconds, warm_up, limit;
    int together;
    traffic_kind traffic;
    char **command;
} wanted = {ECHO_LINES, 1, 0, 0, 0.3, -1, 60, 0, {LINES, 64, 1}, NULL};

/* A connection, and its progress in a request and the answer. */
typedef struct connection {
    int fd;                    /* -1: not open */
    unsigned number, request;
    size_t sent, received;
    unsigned char verify;      /* the server returns bulk data */
    unsigned char connecting;
    unsigned char answered;    /* only the end of stream is missing */
    unsigned char shut;        /* end of stream was sent */
} connection;

static struct {
    int epoll, port;
    double end;                /* when it counts as failed */
    connection *connections;
    connection **idle;         /* connections without a request */
    unsigned idle_count;
    unsigned opened;           /* connections, in the phase of opening */
    unsigned busy;             /* requests without an answer yet */
    unsigned long started, done;
    int opening;               /* each connection is used once */
    unsigned long sources;     /* addresses given to connections */
} run;

/* --- a connection ------------------------------------------------------ */

/* Gives each connection a source address of its own. Otherwise the search for a
 * free port among connections in TIME_WAIT would dominate the measurement. */
static void bind_source(int fd)
{
    int on = 1;
    unsigned long n = run.sources++;
    struct sockaddr_in address = {.sin_family = AF_INET};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    address.sin_addr.s_addr = htonl((uint32_t)(
        INADDR_LOOPBACK + (1 + n / 250 % 250) * 256 + n % 250));
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind: %s", strerror(errno));
}

static void open_connection(connection *c)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c
    };
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bind_source(c->fd);
    address.sin_port = htons((uint16_t)run.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->connecting = 0;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        if (errno != EINPROGRESS)
            fail("connect: %s", strerror(errno));
        c->connecting = 1;
    }
    if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static void finish_connecting(connection *c)
{
    int err = 0;
    socklen_t size = sizeof err;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &size);
    if (err != 0)
        fail("connect: %s", strerror(err));
    c->connecting = 0;
}

/* Ends a request whose answer is complete. */
static void finish(connection *c)
{
    run.idle[run.idle_count++] = c;
    run.busy--;
    run.done++;
}

static void shut(connection *c)
{
    if (!c->shut && shutdown(c->fd, SHUT_WR) < 0)
        fail("shutdown: %s", strerror(errno));
    c->shut = 1;
}

static void send_request(connection *c)
{
    const char *bytes;
    size_t size;
    while ((size = traffic_request(&wanted.traffic, c->number, c->request,
                                   c->verify, c->sent, &bytes)) > 0) {
        ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            fail("send: %s", strerror(errno));
        c->sent += (size_t)n;
    }
    if (wanted.mode == ALL)
        shut(c);
}

static void begin(connection *c)
{
    run.busy++;
    run.started++;
    c->request++;
    c->sent = c->received = 0;
    c->verify = run.opening && wanted.traffic.kind != LINES;
    c->answered = c->shut = 0;
    if (c->fd < 0)
        open_connection(c);
    if (!c->connecting)
        send_request(c);
}

static size_t answer_left(connection *c, const char **bytes)
{
    return traffic_answer(&wanted.traffic, c->number, c->request, c->verify,
                          c->received, bytes);
}

/* Checks n bytes of the answer. */
static void check_answer(connection *c, const char *bytes, size_t n)
{
    const char *expected;
    while (n > 0) {
        size_t size = answer_left(c, &expected);
        if (size == 0 || c->answered)
            fail("more came than was due");
        if (size > n)
            size = n;
        if (memcmp(bytes, expected, size) != 0)
            fail("what came is not what was due");
        c->received += size;
        bytes += size;
        n -= size;
    }
    if (answer_left(c, &expected) > 0)
        return;
    c->answered = 1;
    if (wanted.mode == CHURN || wanted.mode == ALL)
        shut(c);
    else
        finish(c);
}

static void end_of_stream(connection *c)
{
    if (!c->answered || !c->shut)
        fail("the server has closed a connection");
    close(c->fd);
    c->fd = -1;
    finish(c);
}

static void receive_answer(connection *c)
{
    static char data[READ_SIZE];
    for (;;) {
        ssize_t n = recv(c->fd, data, sizeof data, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            fail("recv: %s", strerror(errno));
        if (n == 0) {
            end_of_stream(c);
            return;
        }
        check_answer(c, data, (size_t)n);
        if ((size_t)n < sizeof data && !c->shut)
            return;
    }
}

static void handle(connection *c, uint32_t events)
{
    if (c->connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        finish_connecting(c);
    if (c->connecting)
        return;
    if (events & EPOLLOUT && !c->answered)
        send_request(c);
    if (events & ~(uint32_t)EPOLLOUT)
        receive_answer(c);
}

/* --- the phases -------------------------------------------------------- */

static void wait_for_events(double until)
{
    struct epoll_event events[EVENTS_MAX];
    double left = (until < run.end ? until : run.end) - now();
    int ms = left > 0 ? (int)(left * 1000) + 1 : 0;
    int n = epoll_wait(run.epoll, events, EVENTS_MAX, ms);
    if (n < 0 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    if (now() > run.end)
        fail("not done after %g seconds: %lu operations, %u unanswered",
             wanted.limit, run.done, run.busy);
    for (int i = 0; i < n; i++)
        handle(events[i].data.ptr, events[i].events);
}

/* Opens all connections, and uses each once. */
static void open_all(void)
{
    run.opening = 1;
    while (run.done < wanted.connections) {
        while (run.opened < wanted.connections && run.busy < OPENING_MAX)
            begin(&run.connections[run.opened++]);
        wait_for_events(run.end);
    }
    run.opening = 0;
}

/* Chooses the active connections, spread over all of them. */
static void choose_active(void)
{
    run.idle_count = 0;
    for (unsigned i = 0; i < wanted.active; i++)
        run.idle[run.idle_count++] = &run.connections[
            (size_t)i * wanted.connections / wanted.active];
}

/* Keeps the active connections busy until then, or (if not 0) until this many
 * further requests have been sent and answered. */
static void keep_busy(double until, unsigned long operations)
{
    unsigned long last = run.started + operations;
    while (operations > 0 ? run.done < last : now() < until) {
        while (run.idle_count > 0 && !(wanted.together && run.busy > 0)) {
            unsigned n = run.idle_count;
            for (run.idle_count = 0; n > 0; n--)
                if (operations == 0 || run.started < last)
                    begin(run.idle[n - 1]);
        }
        wait_for_events(until);
    }
}

static void report(double cpu, unsigned long operations, double seconds,
                   double memory)
{
    printf("operations %lu\ncpu %.9f\nseconds %.9f\nmemory %.0f\n",
           operations, cpu, seconds, memory);
}

static void measure(void)
{
    choose_active();
    if (wanted.warm_up > 0)
        keep_busy(now() + wanted.warm_up, 0);
    unsigned long done = run.done;
    double start = now(), cpu = server_cpu();
    keep_busy(wanted.operations > 0 ? run.end : start + wanted.seconds,
              wanted.operations);
    report(server_cpu() - cpu, run.done - done, now() - start, 0);
}

/* Measures the memory of the connections beyond that of a first one. */
static void measure_memory(void)
{
    unsigned connections = wanted.connections;
    wanted.connections = 1;
    open_all();
    double before = server_memory();
    wanted.connections = connections + 1;
    open_all();
    report(0, connections, 0, server_memory() - before);
}

/* --- the command line -------------------------------------------------- */

static enum mode find_mode(const char *name)
{
    static const char *const names[] = {
        "echo", "churn", "count", "all", "idle"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum mode)i;
    fail("unknown mode: %s", name);
    return ECHO_LINES;
}

static void read_option(int option)
{
    switch (option) {
    case 'm': wanted.mode = find_mode(optarg); break;
    case 'c': wanted.connections = (unsigned)atoi(optarg); break;
    case 'a': wanted.active = (unsigned)atoi(optarg); break;
    case 'd': wanted.traffic.depth = (size_t)atol(optarg); break;
    case 's': wanted.traffic.size = (size_t)atol(optarg); break;
    case 'n': wanted.operations = (unsigned long)atol(optarg); break;
    case 't': wanted.seconds = atof(optarg); break;
    case 'w': wanted.warm_up = atof(optarg); break;
    case 'g': wanted.together = 1; break;
    case 'l': wanted.limit = atof(optarg); break;
    default: exit(2);
    }
}

static void read_command_line(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "+m:c:a:d:s:n:t:w:gl:")) != -1)
        read_option(option);
    wanted.command = argv + optind;
    if (wanted.command[0] == NULL || wanted.connections < 1 ||
        wanted.traffic.size < 1 || wanted.traffic.depth < 1)
        fail("usage: load [options] -- server command");
    if (wanted.active < 1 || wanted.active > wanted.connections)
        wanted.active = wanted.connections;
    if (wanted.warm_up < 0)
        wanted.warm_up = wanted.operations > 0 ? 0 : 0.2;
    if (wanted.mode == COUNT)
        wanted.traffic.kind = BY_COUNT;
    if (wanted.mode == ALL)
        wanted.traffic.kind = TO_THE_END;
}

static void allow_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < wanted.connections + 50)
        fail("%u connections need a higher limit of descriptors",
             wanted.connections);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void make_connections(void)
{
    size_t n = wanted.connections + 1;    /* one more for idle */
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.connections = calloc(n, sizeof *run.connections);
    run.idle = calloc(n, sizeof *run.idle);
    if (run.connections == NULL || run.idle == NULL)
        fail("not enough memory");
    for (size_t i = 0; i < n; i++) {
        run.connections[i].fd = -1;
        run.connections[i].number = (unsigned)i;
    }
}

int main(int argc, char **argv)
{
    read_command_line(argc, argv);
    allow_descriptors();
    make_connections();
    traffic_init(&wanted.traffic);
    run.end = now() + wanted.limit;
    run.port = start_server(wanted.command, wanted.together, wanted.limit);
    if (wanted.mode == IDLE) {
        measure_memory();
    } else {
        open_all();
        measure();
    }
    end_server();
    return 0;
}
