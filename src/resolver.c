/*
 * resolver.c - the loop's side of looking names up.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "resolver.h"

#include "descriptor.h"
#include "result.h"
#include "source.h"
#include "wait.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct sl_resolver {
    sl_callback callback;    /* the first member; of the end that we read */
    int announcements;       /* the end that workers write to, or -1 */
    sl_workers *workers;     /* owned */
    sl_lookup *first;        /* those that are being looked up */
    unsigned forks;          /* where the workers are: fork.h */
};

/* In the child after a fork there are no workers, and their lock may be held
 * for ever. */
static int is_child(const sl_resolver *r)
{
    return r->forks != sl_fork_count;
}

/* --- the pipe ---------------------------------------------------------- */

/* A child has closed it before anything else. */
static void close_pipe(sl_resolver *r)
{
    int fd = r->callback.source.fd;
    if (fd < 0)
        return;
    sl_source_detach(&r->callback.source, 1);
    if (is_child(r))
        return;
    sl_workers_notify(r->workers, -1);
    close(fd);
    sl_fork_forget(r->announcements);
    close(r->announcements);
}

/* 0 or how it failed. */
static int open_pipe(sl_resolver *r)
{
    int ends[2];
    int err = r->callback.source.fd >= 0 ? 0 : sl_fd_pipe(ends);
    if (err != 0 || r->callback.source.fd >= 0)
        return err;
    r->announcements = ends[1];
    err = sl_source_claim(&r->callback.source, ends[0]);
    if (err == 0) {
        sl_fork_hide(ends[0]);
        sl_fork_hide(ends[1]);
        err = sl_source_tell(&r->callback.source);
        sl_workers_notify(r->workers, ends[1]);
        if (err != 0)
            close_pipe(r);
    } else {
        close(ends[0]);
        close(ends[1]);
    }
    return err;
}

/* --- look-ups ---------------------------------------------------------- */

/* 0 or how it failed. */
static int submit(sl_resolver *r, sl_lookup *lookup, const sl_query *query)
{
    int err = open_pipe(r);
    if (err == 0)
        err = sl_workers_submit(r->workers, query, lookup, &lookup->job);
    if (err != 0) {
        lookup->job = NULL;
        if (r->first == NULL)
            close_pipe(r);
        return err;
    }
    lookup->prev = NULL;
    lookup->next = r->first;
    if (r->first != NULL)
        r->first->prev = lookup;
    r->first = lookup;
    return 0;
}

/* The look-up has no job any more, and a result. */
static void settle(sl_resolver *r, sl_lookup *lookup, int status)
{
    lookup->job = NULL;
    lookup->status = status;
    if (lookup->prev != NULL)
        lookup->prev->next = lookup->next;
    else
        r->first = lookup->next;
    if (lookup->next != NULL)
        lookup->next->prev = lookup->prev;
}

static void cancel(sl_resolver *r, sl_lookup *lookup, int status)
{
    if (is_child(r))
        free(lookup->job);
    else
        sl_workers_cancel(r->workers, lookup->job);
    settle(r, lookup, status);
}

/* Called by the loop when workers have finished something. */
static void take_finished(sl_source *source)
{
    sl_resolver *r = (sl_resolver *)source;
    sl_job *job;
    if (is_child(r))
        return;    /* that was for the parent */
    sl_fd_drain(source->fd);
    while ((job = sl_workers_take(r->workers)) != NULL) {
        sl_lookup *lookup = job->submitter;
        lookup->list = job->list;
        lookup->names = job->names;
        job->list = NULL;
        job->names = NULL;
        settle(r, lookup, job->err);
        sl_job_free(job);
        sl_wait_finish(lookup->wait, SL_BUSY);    /* it will be tried again */
    }
    if (r->first == NULL)
        close_pipe(r);
}

/* The resolver of the loop, or NULL: no memory. */
static sl_resolver *get_resolver(sl_loop *loop)
{
    if (loop->resolver != NULL)
        return loop->resolver;
    sl_resolver *r = malloc(sizeof *r);
    sl_workers *workers = sl_workers_new();
    if (r == NULL || workers == NULL) {
        free(r);
        if (workers != NULL)
            sl_workers_close(workers);
        return NULL;
    }
    sl_source_initcallback(&r->callback, loop, take_finished);
    r->callback.source.interest = SL_READABLE;
    r->workers = workers;
    r->first = NULL;
    r->forks = sl_fork_count;
    loop->resolver = r;
    return r;
}

static int look_up(sl_lookup *lookup, const sl_query *query, int may_block)
{
    sl_loop *loop = sl_wait_source(lookup->wait)->loop;
    int err = may_block ? sl_address_resolve(query, &lookup->list)
                        : sl_address_known(query, &lookup->list);
    lookup->status = err;
    if (err != SL_AGAIN)
        return err;
    err = sl_loop_isforked(loop) ? sl_loop_settle(loop) : 0;
    if (err != 0)
        return err;
    sl_resolver *r = get_resolver(loop);
    return r != NULL ? submit(r, lookup, query) : ENOMEM;
}

int sl_resolver_begin(sl_wait *wait, const sl_query *query, int may_block,
                      sl_lookup **lookup)
{
    *lookup = calloc(1, sizeof **lookup);
    if (*lookup == NULL)
        return ENOMEM;
    (*lookup)->wait = wait;
    int err = look_up(*lookup, query, may_block);
    if (err != 0) {
        free(*lookup);
        *lookup = NULL;
    }
    return err;
}

void sl_resolver_end(sl_lookup *lookup)
{
    if (lookup->job != NULL) {
        sl_resolver *r = sl_wait_source(lookup->wait)->loop->resolver;
        cancel(r, lookup, SL_CLOSED);
        if (r->first == NULL)
            close_pipe(r);
    }
    if (lookup->list != NULL)
        freeaddrinfo(lookup->list);
    free(lookup->names);
    free(lookup);
}

int sl_resolver_restart(sl_resolver *r)
{
    sl_workers *workers = sl_workers_new();
    if (workers == NULL)
        return ENOMEM;
    close_pipe(r);
    sl_workers_desert(r->workers);
    r->workers = workers;
    r->forks = sl_fork_count;
    sl_lookup *next, *lookup = r->first;
    for (r->first = NULL; lookup != NULL; lookup = next) {
        sl_job *old = lookup->job;
        next = lookup->next;
        int err = submit(r, lookup, &old->query);
        free(old);
        if (err != 0) {
            lookup->status = err;
            sl_wait_finish(lookup->wait, SL_BUSY);
        }
    }
    return 0;
}

void sl_resolver_free(sl_loop *loop)
{
    sl_resolver *r = loop->resolver;
    if (r == NULL)
        return;
    while (r->first != NULL)
        cancel(r, r->first, SL_CLOSED);
    close_pipe(r);
    if (is_child(r))
        sl_workers_desert(r->workers);
    else
        sl_workers_close(r->workers);
    free(r);
    loop->resolver = NULL;
}
