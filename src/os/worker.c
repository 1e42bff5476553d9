/*
 * worker.c - see worker.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "os/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOST_MAX = 3,        /* so many times max workers with a cancelled job do
                            not count */
    IDLE_SECONDS = 2     /* until a worker without a job ends */
};

enum { QUEUED, TAKEN, CANCELLED, FINISHED };    /* states of jobs */

typedef struct queue {
    sl_job *first, *last;
} queue;

struct sl_workers {
    pthread_mutex_t lock;      /* guards all fields below */
    pthread_cond_t wanted;     /* there is a job, or the pool is closed */
    queue waiting, finished;
    int jobs;                  /* number of waiting jobs */
    int count, idle;           /* number of workers; of those without a job */
    int lost;                  /* number of workers with a cancelled job */
    int max;                   /* limit of workers that count (count_needed) */
    int fd;                    /* where finished jobs are announced, or -1;
                                  borrowed */
    int closed;                /* the last worker frees this struct */
};

/* --- jobs -------------------------------------------------------------- */

static sl_job *make_job(const sl_query *query, void *submitter)
{
    size_t host = strlen(query->host) + 1;
    size_t port = query->port != NULL ? strlen(query->port) + 1 : 0;
    sl_job *job = malloc(sizeof *job + host + port);
    if (job == NULL)
        return NULL;
    char *strings = (char *)(job + 1);
    memcpy(strings, query->host, host);
    *job = (sl_job){.state = QUEUED, .submitter = submitter, .query = *query};
    job->query.host = strings;
    if (port > 0)
        job->query.port = memcpy(strings + host, query->port, port);
    return job;
}

void sl_job_free(sl_job *job)
{
    sl_lookup_free(job->list);
    free(job->names);
    free(job);
}

static void queue_append(queue *q, sl_job *job)
{
    job->next = NULL;
    if (q->last != NULL)
        q->last->next = job;
    else
        q->first = job;
    q->last = job;
}

static sl_job *queue_pop(queue *q)
{
    sl_job *job = q->first;
    if (job != NULL)
        q->first = job->next;
    if (q->first == NULL)
        q->last = NULL;
    return job;
}

static void queue_remove(queue *q, sl_job *job)
{
    sl_job *previous = NULL;
    for (sl_job *each = q->first; each != job; each = each->next)
        previous = each;
    if (previous != NULL)
        previous->next = job->next;
    else
        q->first = job->next;
    if (q->last == job)
        q->last = previous;
}

/* --- a worker's life --------------------------------------------------- */

/* The number of workers that count against max. */
static int count_needed(const sl_workers *w)
{
    int lost_max = LOST_MAX * w->max;
    return w->count - (w->lost < lost_max ? w->lost : lost_max);
}

/* Called with the lock by an idle worker: waits for a job. False: the worker
 * ends, after IDLE_SECONDS without a job or because there are too many workers.
 * Setting the system's clock makes that time shorter or longer: harmless. */
static int wait_for_job(sl_workers *w)
{
    struct timespec end;
    int err = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += IDLE_SECONDS;
    while (w->jobs == 0 && !w->closed && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&w->wanted, &w->lock, &end);
    w->idle--;
    return w->jobs > 0 && !w->closed && count_needed(w) <= w->max;
}

/* Announces a job that is done, or frees it if it was cancelled. */
static void finish_job(sl_workers *w, sl_job *job)
{
    if (job->state == CANCELLED) {
        w->lost--;
        sl_job_free(job);
        return;
    }
    int is_news = w->finished.first == NULL;
    job->state = FINISHED;
    queue_append(&w->finished, job);
    while (is_news && w->fd >= 0 && write(w->fd, "", 1) < 0 &&
           errno == EINTR)
        ;    /* a full pipe is readable already */
}

static void destroy_workers(sl_workers *w)
{
    pthread_cond_destroy(&w->wanted);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void run_job(sl_job *job)
{
    job->err = sl_lookup_resolve(&job->query, &job->list);
    if (job->err != 0 || job->query.purpose != SL_TO_REVERSE)
        return;
    job->names = sl_lookup_names(job->list);
    if (job->names == NULL)
        job->err = ENOMEM;
}

static void *run_worker(void *arg)
{
    sl_workers *w = arg;
    pthread_mutex_lock(&w->lock);
    while (wait_for_job(w)) {
        sl_job *job = queue_pop(&w->waiting);
        w->jobs--;
        job->state = TAKEN;
        pthread_mutex_unlock(&w->lock);
        run_job(job);
        pthread_mutex_lock(&w->lock);
        finish_job(w, job);
        w->idle++;
    }
    w->count--;
    if (w->jobs > 0)    /* passes the signal on to another worker */
        pthread_cond_signal(&w->wanted);
    int is_last = w->closed && w->count == 0;
    pthread_mutex_unlock(&w->lock);
    if (is_last)
        destroy_workers(w);
    return NULL;
}

/* Starts a worker and counts it as idle. It blocks all signals: the program's
 * handlers run on the program's own threads. 0 or an errno. */
static int start_worker(sl_workers *w)
{
    sigset_t all, old;
    pthread_attr_t detached;
    pthread_t thread;
    int err = pthread_attr_init(&detached);
    if (err != 0)
        return err;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(&thread, &detached, run_worker, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&detached);
    if (err == 0) {
        w->count++;
        w->idle++;
    }
    return err;
}

static int has_too_few(const sl_workers *w)
{
    return w->jobs > w->idle && count_needed(w) < w->max;
}

/* Starts a worker if there are too few. 0 or an errno. */
static int need_worker(sl_workers *w)
{
    return has_too_few(w) ? start_worker(w) : 0;
}

/* --- for the submitter ------------------------------------------------- */

sl_workers *sl_workers_new(int max)
{
    sl_workers *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    w->fd = -1;
    w->max = max;
    if (pthread_mutex_init(&w->lock, NULL) != 0) {
        free(w);
        return NULL;
    }
    if (pthread_cond_init(&w->wanted, NULL) != 0) {
        pthread_mutex_destroy(&w->lock);
        free(w);
        return NULL;
    }
    return w;
}

void sl_workers_close(sl_workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->closed = 1;
    int is_last = w->count == 0;
    pthread_cond_broadcast(&w->wanted);
    pthread_mutex_unlock(&w->lock);
    if (is_last)
        destroy_workers(w);
}

void sl_workers_atfork(sl_workers *w)
{
    free(w);    /* the lock may be held by a worker of the parent */
}

void sl_workers_setmax(sl_workers *w, int max)
{
    pthread_mutex_lock(&w->lock);
    w->max = max;
    while (has_too_few(w) && start_worker(w) == 0)
        ;
    pthread_mutex_unlock(&w->lock);
}

void sl_workers_notify(sl_workers *w, int fd)
{
    pthread_mutex_lock(&w->lock);
    w->fd = fd;
    pthread_mutex_unlock(&w->lock);
}

int sl_workers_submit(sl_workers *w, const sl_query *query, void *submitter,
                      sl_job **job)
{
    *job = make_job(query, submitter);
    if (*job == NULL)
        return ENOMEM;
    pthread_mutex_lock(&w->lock);
    queue_append(&w->waiting, *job);
    w->jobs++;
    int err = need_worker(w);
    if (w->count > 0) {    /* fewer workers than wanted suffice */
        pthread_cond_signal(&w->wanted);
        err = 0;
    } else {
        queue_remove(&w->waiting, *job);
        w->jobs--;
    }
    pthread_mutex_unlock(&w->lock);
    if (err != 0)
        sl_job_free(*job);
    return err;
}

sl_job *sl_workers_take(sl_workers *w)
{
    pthread_mutex_lock(&w->lock);
    sl_job *job = queue_pop(&w->finished);
    pthread_mutex_unlock(&w->lock);
    return job;
}

void sl_workers_cancel(sl_workers *w, sl_job *job)
{
    pthread_mutex_lock(&w->lock);
    if (job->state == TAKEN) {
        job->state = CANCELLED;
        job = NULL;
        w->lost++;
        need_worker(w);    /* if that fails, jobs wait for a busy worker */
    } else if (job->state == QUEUED) {
        queue_remove(&w->waiting, job);
        w->jobs--;
    } else {
        queue_remove(&w->finished, job);
    }
    pthread_mutex_unlock(&w->lock);
    if (job != NULL)
        sl_job_free(job);
}
