/*
 * worker.h - a pool of OS threads that call getaddrinfo. They know neither Lua
 * nor the loop.
 *
 * A job belongs to its submitter until it is cancelled. If a worker is running
 * a cancelled job, the worker frees it. All other state is guarded by one lock,
 * which is not held during a look-up.
 *
 * A worker is started if there are more jobs than idle workers, and ends after
 * some idle time. No function joins workers: a worker that is busy when the
 * pool is closed ends later by itself.
 */

#ifndef SL_WORKER_H
#define SL_WORKER_H

#include "os/lookup.h"

typedef struct sl_workers sl_workers;

typedef struct sl_job {
    struct sl_job *next;       /* in the list of waiting or of finished jobs */
    int state;                 /* of the enum in worker.c */
    void *submitter;           /* borrowed; the pool does not use it */
    sl_query query;            /* its strings are in this block of memory */
    int err;                   /* once finished: 0, or how it failed */
    struct addrinfo *list;     /* once finished: the addresses; owned */
    char *names;               /* once finished: the addresses' names, if asked
                                  for; owned */
} sl_job;

/* Makes a pool of at most max workers. Workers with a cancelled job do not
 * count, up to three times max of them. NULL: no memory. */
sl_workers *sl_workers_new(int max);
void sl_workers_setmax(sl_workers *workers, int max);

/* Precondition: there are no jobs. Idle workers end now, busy ones later. */
void sl_workers_close(sl_workers *workers);

/* In a child of fork(2), where the workers do not exist: frees the pool's
 * memory. */
void sl_workers_atfork(sl_workers *workers);

/* From now on a worker that finishes a job while the list of finished jobs is
 * empty writes one byte to fd. -1: to no descriptor. */
void sl_workers_notify(sl_workers *workers, int fd);

/* Submits a job for the query. 0 or how it failed. */
int sl_workers_submit(sl_workers *workers, const sl_query *query,
                      void *submitter, sl_job **job);

/* Returns a finished job, to be freed with sl_job_free; NULL: none. */
sl_job *sl_workers_take(sl_workers *workers);

/* Cancels a job that was not returned by sl_workers_take. */
void sl_workers_cancel(sl_workers *workers, sl_job *job);

void sl_job_free(sl_job *job);

#endif
