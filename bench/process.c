/* process.c - the server as a separate process. */

#define _GNU_SOURCE    /* sched_setaffinity */

#include "process.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t server = -1;

static const double patience = 20;    /* seconds for the server to end */

double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    if (server > 0)
        kill(server, SIGKILL);
    exit(1);
}

/* --- starting ---------------------------------------------------------- */

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* Returns the first and the last CPU that this process may use. */
static void find_cpus(int *first, int *last)
{
    cpu_set_t set;
    *first = *last = -1;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        fail("sched_getaffinity: %s", strerror(errno));
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &set))
            continue;
        if (*first < 0)
            *first = i;
        *last = i;
    }
}

static void run_server(char **command, int out, int cpu, int one_cpu)
{
    struct sched_param none = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);    /* ends with its parent */
    pin(cpu);
    if (one_cpu)
        sched_setscheduler(0, SCHED_IDLE, &none);
    dup2(out, STDOUT_FILENO);
    execvp(command[0], command);
    fprintf(stderr, "load: %s: %s\n", command[0], strerror(errno));
    _exit(127);
}

/* Returns the number on the first line read from fd. */
static int read_port(int fd, double seconds)
{
    char line[64];
    size_t n = 0;
    double end = now() + seconds;
    while (n < sizeof line - 1) {
        struct pollfd ready = {fd, POLLIN, 0};
        double left = end - now();
        if (left <= 0 || poll(&ready, 1, (int)(left * 1000) + 1) <= 0)
            fail("the server prints no port");
        if (read(fd, line + n, 1) != 1)
            fail("the server ended without printing its port");
        if (line[n] == '\n')
            break;
        n++;
    }
    line[n] = '\0';
    int port = atoi(line);
    if (port <= 0)
        fail("not a port: %s", line);
    return port;
}

int start_server(char **command, int one_cpu, double seconds)
{
    int ends[2], first, last;
    find_cpus(&first, &last);
    if (one_cpu)
        last = first;
    if (pipe(ends) < 0)
        fail("pipe: %s", strerror(errno));
    fflush(stdout);
    server = fork();
    if (server < 0)
        fail("fork: %s", strerror(errno));
    if (server == 0) {
        close(ends[0]);
        run_server(command, ends[1], last, one_cpu);
    }
    close(ends[1]);
    pin(first);
    return read_port(ends[0], seconds);    /* ends[0] stays open for it */
}

/* --- what it costs ----------------------------------------------------- */

double server_cpu(void)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(server, &clock) != 0 ||
        clock_gettime(clock, &t) != 0)
        fail("the server has ended");
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double server_memory(void)
{
    char name[64], line[256];
    long kib;
    snprintf(name, sizeof name, "/proc/%d/smaps_rollup", (int)server);
    FILE *file = fopen(name, "r");
    if (file == NULL)
        fail("%s: %s", name, strerror(errno));
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Pss: %ld kB", &kib) == 1) {
            fclose(file);
            return (double)kib * 1024;
        }
    }
    fail("%s has no Pss", name);
    return 0;
}

/* --- ending ------------------------------------------------------------ */

/* Returns the server's first child, or the server. */
static pid_t find_child(void)
{
    char name[64];
    int child;
    snprintf(name, sizeof name, "/proc/%d/task/%d/children", (int)server,
             (int)server);
    FILE *file = fopen(name, "r");
    if (file == NULL)
        return server;
    if (fscanf(file, "%d", &child) != 1)
        child = server;
    fclose(file);
    return child;
}

void end_server(void)
{
    struct timespec pause = {0, 5000000};
    double end = now() + patience;
    kill(find_child(), SIGTERM);
    while (waitpid(server, NULL, WNOHANG) == 0) {
        if (now() > end)
            fail("the server does not end");
        nanosleep(&pause, NULL);
    }
    server = -1;
}
