/*
 * workers.c - a test of the threads that look names up, without Lua, for
 * sanitizers that do not support an interpreter (make tsan).
 *
 * Submits many jobs, cancels some at every stage, and closes while workers are
 * busy, several times in several threads. getaddrinfo is replaced, and takes up
 * to two milliseconds.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008 and common extensions */

#include "os/worker.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, ROUNDS = 20, JOBS = 200 };

static void nap(long nanoseconds)
{
    struct timespec time = {0, nanoseconds};
    nanosleep(&time, NULL);
}

/* The host is a number: the duration in microseconds. */
int getaddrinfo(const char *host, const char *port,
                const struct addrinfo *hints, struct addrinfo **list)
{
    (void)port, (void)hints;
    long time = strtol(host, NULL, 10);
    nap(time * 1000);
    if (time % 3 == 0)
        return EAI_NONAME;
    *list = calloc(1, sizeof **list);
    return *list != NULL ? 0 : EAI_MEMORY;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list);
}

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* The submitter's record of a job. */
typedef struct task {
    sl_job *job;    /* NULL when it has ended */
} task;

/* Takes the finished jobs. Returns their number. */
static int take_all(sl_workers *workers)
{
    int n = 0;
    for (sl_job *job; (job = sl_workers_take(workers)) != NULL; n++) {
        task *t = job->submitter;
        if (t->job != job)
            fail("a cancelled job was finished");
        if ((job->err == 0) != (job->list != NULL))
            fail("a wrong result");
        t->job = NULL;
        sl_job_free(job);
    }
    return n;
}

static void submit(sl_workers *workers, task *t, unsigned *seed)
{
    char host[16];
    snprintf(host, sizeof host, "%d", rand_r(seed) % 2000);
    sl_query query = {host, "80", AF_UNSPEC, SOCK_STREAM, 0};
    if (sl_workers_submit(workers, &query, t, &t->job) != 0)
        fail("cannot submit");
}

/* Waits until a job is finished. */
static void await(int fd)
{
    char byte;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 10000) != 1 || read(fd, &byte, 1) != 1)
        fail("nothing was announced");
}

static void one_round(unsigned *seed)
{
    task tasks[JOBS] = {{NULL}};
    int ends[2], finished = 0, cancelled = 0;
    sl_workers *workers = sl_workers_new(8);
    if (workers == NULL || pipe(ends) != 0)
        fail("cannot begin");
    sl_workers_notify(workers, ends[1]);
    for (int i = 0; i < JOBS; i++) {
        submit(workers, &tasks[i], seed);
        int other = rand_r(seed) % (i + 1);
        if (rand_r(seed) % 3 == 0 && tasks[other].job != NULL) {
            sl_workers_cancel(workers, tasks[other].job);
            tasks[other].job = NULL;
            cancelled++;
        }
        if (rand_r(seed) % 20 == 0)
            nap(500000);
    }
    while (finished + cancelled < JOBS - 20) {
        await(ends[0]);
        finished += take_all(workers);
    }
    for (int i = 0; i < JOBS; i++)
        if (tasks[i].job != NULL)
            sl_workers_cancel(workers, tasks[i].job);
    sl_workers_notify(workers, -1);
    close(ends[0]);
    close(ends[1]);
    sl_workers_close(workers);
}

static void *run(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    for (int i = 0; i < ROUNDS; i++)
        one_round(&seed);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];
    for (int i = 0; i < THREADS; i++) {
        seeds[i] = (unsigned)i + 1;
        if (pthread_create(&threads[i], NULL, run, &seeds[i]) != 0)
            fail("cannot begin");
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    nap(100000000);    /* busy ones end */
    puts("workers: passed");
    return 0;
}
