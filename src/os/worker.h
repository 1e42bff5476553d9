/*
 * worker.h - getaddrinfo in a few threads of the system, which know neither
 * Lua nor the loop.
 *
 * A job is its submitter's until it is cancelled; one that a worker is at
 * then is freed by the worker. Everything else is behind a lock, which is
 * never held while an address is looked up.
 *
 * Workers are made when there is more to do than there are idle ones, and end
 * when there was nothing to do for a while. Nobody waits for them: one that
 * is still busy when its submitter has gone ends by itself.
 */

#ifndef SL_WORKER_H
#define SL_WORKER_H

#include "os/lookup.h"

typedef struct sl_workers sl_workers;

typedef struct sl_job {
    struct sl_job *next;       /* in the queue, or among the finished */
    int state;                 /* of worker.c */
    void *submitter;           /* untouched here */
    sl_query query;            /* its strings are in this block of memory */
    int err;                   /* once finished: 0, or how it failed */
    struct addrinfo *list;     /* once finished: the addresses; owned */
    char *names;               /* and their names if asked for; owned */
} sl_job;

/* At most so many workers, without those whose job was cancelled; of these
 * three times as many. NULL: no memory. */
sl_workers *sl_workers_new(int max);
void sl_workers_setmax(sl_workers *workers, int max);

/* No job may be left. Idle workers end now. */
void sl_workers_close(sl_workers *workers);

/* In the child after a fork, where there are no workers: frees the memory. */
void sl_workers_desert(sl_workers *workers);

/* From now on workers write a byte to fd when the first job is finished that
 * the submitter has not taken; to nothing if it is -1. */
void sl_workers_notify(sl_workers *workers, int fd);

/* Submits a job for the query. 0 or how it failed. */
int sl_workers_submit(sl_workers *workers, const sl_query *query,
                      void *submitter, sl_job **job);

/* Takes a finished job, or gives NULL. sl_job_free it. */
sl_job *sl_workers_take(sl_workers *workers);

/* The submitter has no use for a job that he has not taken. */
void sl_workers_cancel(sl_workers *workers, sl_job *job);

void sl_job_free(sl_job *job);

#endif
