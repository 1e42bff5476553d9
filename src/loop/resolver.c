/*
 * resolver.c - look-ups by workers, for the waits of a loop. See resolver.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "loop/resolver.h"

#include "loop/source.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LISTS = 64 };         /* hash buckets of inquiries */

/* A question to the workers, shared by all look-ups that are alike; later the
 * answer, which these look-ups share. */
struct sl_inquiry {
    sl_job *job;             /* owned; NULL: the inquiry is over */
    sl_inquiry *prev, *next; /* in the bucket, while there is a job */
    unsigned hash;           /* of the host */
    sl_lookup *first, *last; /* the look-ups that wait for the answer */
    int users;               /* number of look-ups that wait or have the
                                answer */
    struct addrinfo *list;   /* the answer; owned */
    char *names;
};

struct sl_resolver {
    sl_callback callback;    /* the first member; owns the pipe's reading end */
    int announcements;       /* the pipe's writing end; open while the reading
                                end is */
    sl_workers *workers;     /* owned */
    sl_inquiry *lists[LISTS];
    int count;               /* number of inquiries with a job */
    unsigned forks;          /* sl_process_forks when the workers were made */
};

/* A child after a fork has no workers, and their lock may be held for ever. */
static int is_child(const sl_resolver *r)
{
    return r->forks != sl_process_forks;
}

static int lookups_max(const sl_loop *loop)
{
    return loop->max_lookups > 0 ? loop->max_lookups : SL_MAX_LOOKUPS;
}

/* --- the pipe ---------------------------------------------------------- */

/* In a child the after-fork hook has closed the pipe (sl_process_hide). */
static void close_pipe(sl_resolver *r)
{
    int fd = r->callback.source.fd;
    if (fd < 0)
        return;
    sl_source_detach(&r->callback.source, 1);
    if (is_child(r))
        return;
    sl_workers_notify(r->workers, -1);
    sl_fd_close(fd);
    sl_process_forget(r->announcements);
    sl_fd_close(r->announcements);
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
        sl_process_hide(ends[0]);
        sl_process_hide(ends[1]);
        err = sl_source_update(&r->callback.source);
        sl_workers_notify(r->workers, ends[1]);
        if (err != 0)
            close_pipe(r);
    } else {
        sl_fd_close(ends[0]);
        sl_fd_close(ends[1]);
    }
    return err;
}

/* --- inquiries --------------------------------------------------------- */

static unsigned hash_of(const char *host)
{
    unsigned hash = 0;
    while (*host != '\0')
        hash = hash * 31 + (unsigned char)*host++;
    return hash;
}

static int is_alike(const sl_query *p, const sl_query *q)
{
    int has_port = p->port != NULL;
    return p->family == q->family && p->socktype == q->socktype &&
           p->purpose == q->purpose && has_port == (q->port != NULL) &&
           (!has_port || strcmp(p->port, q->port) == 0) &&
           strcmp(p->host, q->host) == 0;
}

static sl_inquiry *find_inquiry(sl_resolver *r, const sl_query *query,
                                unsigned hash)
{
    sl_inquiry *q = r->lists[hash % LISTS];
    while (q != NULL && (q->hash != hash || !is_alike(&q->job->query, query)))
        q = q->next;
    return q;
}

static void free_inquiry(sl_inquiry *q)
{
    sl_lookup_free(q->list);
    free(q->names);
    free(q);
}

/* Gives the inquiry a job. 0 or how it failed. */
static int submit(sl_resolver *r, sl_inquiry *q, const sl_query *query)
{
    int err = open_pipe(r);
    if (err == 0)
        err = sl_workers_submit(r->workers, query, q, &q->job);
    if (err == 0)
        return 0;
    q->job = NULL;
    if (r->count == 0)
        close_pipe(r);
    return err;
}

static void enlist(sl_resolver *r, sl_inquiry *q)
{
    sl_inquiry **list = &r->lists[q->hash % LISTS];
    q->prev = NULL;
    q->next = *list;
    if (q->next != NULL)
        q->next->prev = q;
    *list = q;
    r->count++;
}

/* Takes an inquiry, whose job is over, out of its bucket. */
static void delist(sl_resolver *r, sl_inquiry *q)
{
    q->job = NULL;
    if (q->prev != NULL)
        q->prev->next = q->next;
    else
        r->lists[q->hash % LISTS] = q->next;
    if (q->next != NULL)
        q->next->prev = q->prev;
    r->count--;
}

/* Makes an inquiry with a job. 0 or how it failed. */
static int begin_inquiry(sl_resolver *r, const sl_query *query, unsigned hash,
                         sl_inquiry **inquiry)
{
    sl_inquiry *q = calloc(1, sizeof *q);
    if (q == NULL)
        return ENOMEM;
    q->hash = hash;
    int err = submit(r, q, query);
    if (err != 0) {
        free(q);
        return err;
    }
    enlist(r, q);
    *inquiry = q;
    return 0;
}

/* Gives the answer, or the failure, to the look-ups that wait, and queues their
 * waits. */
static void answer(sl_inquiry *q, int status)
{
    for (sl_lookup *each = q->first; each != NULL; each = each->next) {
        each->status = status;
        each->list = q->list;
        each->names = q->names;
        sl_wait_retry(each->wait);
    }
    q->first = q->last = NULL;
}

/* Called by the loop when workers have finished jobs. */
static void take_finished(sl_source *source)
{
    sl_resolver *r = (sl_resolver *)source;
    sl_job *job;
    if (is_child(r))
        return;    /* the jobs are the parent's */
    sl_fd_drain(source->fd);
    while ((job = sl_workers_take(r->workers)) != NULL) {
        sl_inquiry *q = job->submitter;
        q->list = job->list;
        q->names = job->names;
        job->list = NULL;
        job->names = NULL;
        delist(r, q);
        answer(q, job->err);
        sl_job_free(job);
    }
    if (r->count == 0)
        close_pipe(r);
}

/* Cancels the job of an inquiry that no look-up waits for. */
static void cancel(sl_resolver *r, sl_inquiry *q)
{
    if (is_child(r))
        free(q->job);
    else
        sl_workers_cancel(r->workers, q->job);
    delist(r, q);
}

/* --- look-ups ---------------------------------------------------------- */

/* Adds the look-up to the inquiry that is alike, or to a new one. 0 or how it
 * failed. */
static int join_inquiry(sl_resolver *r, sl_lookup *lookup,
                        const sl_query *query)
{
    unsigned hash = hash_of(query->host);
    sl_inquiry *q = find_inquiry(r, query, hash);
    int err = q != NULL ? 0 : begin_inquiry(r, query, hash, &q);
    if (err != 0)
        return err;
    q->users++;
    lookup->inquiry = q;
    lookup->prev = q->last;
    if (q->last != NULL)
        q->last->next = lookup;
    else
        q->first = lookup;
    q->last = lookup;
    return 0;
}

/* Takes the look-up out of its inquiry, which ends with its last user. */
static void leave_inquiry(sl_resolver *r, sl_lookup *lookup)
{
    sl_inquiry *q = lookup->inquiry;
    lookup->inquiry = NULL;
    lookup->list = NULL;
    lookup->names = NULL;
    if (q->job != NULL) {
        if (lookup->prev != NULL)
            lookup->prev->next = lookup->next;
        else
            q->first = lookup->next;
        if (lookup->next != NULL)
            lookup->next->prev = lookup->prev;
        else
            q->last = lookup->prev;
    }
    if (--q->users > 0)
        return;
    if (q->job != NULL)
        cancel(r, q);
    free_inquiry(q);
}

/* --- parts of the loop ------------------------------------------------- */

/* In a child: replaces the parent's job by one of the child's workers. */
static void ask_again(sl_resolver *r, sl_inquiry *q)
{
    sl_job *old = q->job;
    delist(r, q);
    int err = submit(r, q, &old->query);
    free(old);
    if (err == 0)
        enlist(r, q);
    else
        answer(q, err);
}

/* In the child after a fork: look-ups begin anew. 0; or ENOMEM, and nothing has
 * changed. */
static int restart_resolver(sl_loop *loop)
{
    sl_resolver *r = loop->resolver;
    if (!is_child(r))
        return 0;
    sl_workers *workers = sl_workers_new(lookups_max(loop));
    if (workers == NULL)
        return ENOMEM;
    close_pipe(r);
    sl_workers_atfork(r->workers);
    r->workers = workers;
    r->forks = sl_process_forks;
    for (int i = 0; i < LISTS; i++) {
        sl_inquiry *next, *q = r->lists[i];
        for (; q != NULL; q = next) {
            next = q->next;
            ask_again(r, q);
        }
    }
    return 0;
}

/* The loop is about to be freed: look-ups fail. */
static void free_resolver(sl_loop *loop)
{
    sl_resolver *r = loop->resolver;
    for (int i = 0; i < LISTS; i++)
        while (r->lists[i] != NULL) {
            sl_lookup *lookup = r->lists[i]->first;
            lookup->status = SL_CLOSED;
            leave_inquiry(r, lookup);
        }
    close_pipe(r);
    if (is_child(r))
        sl_workers_atfork(r->workers);
    else
        sl_workers_close(r->workers);
    free(r);
    loop->resolver = NULL;
}

static const sl_part resolver_part = {restart_resolver, NULL, NULL,
                                      free_resolver};

/* --- the interface ----------------------------------------------------- */

/* The loop's resolver, made at the first call. NULL: no memory. */
static sl_resolver *get_resolver(sl_loop *loop)
{
    if (loop->resolver != NULL)
        return loop->resolver;
    sl_resolver *r = calloc(1, sizeof *r);
    sl_workers *workers = sl_workers_new(lookups_max(loop));
    if (r == NULL || workers == NULL) {
        free(r);
        if (workers != NULL)
            sl_workers_close(workers);
        return NULL;
    }
    sl_source_initcallback(&r->callback, loop, take_finished);
    r->callback.source.interest = SL_READABLE;
    r->workers = workers;
    r->forks = sl_process_forks;
    loop->resolver = r;
    sl_loop_addpart(loop, &resolver_part);
    return r;
}

/* Answers the look-up at once if possible, else asks the workers. 0 or how it
 * failed. */
static int look_up(sl_lookup *lookup, const sl_query *query, int may_block)
{
    sl_loop *loop = sl_source_of(lookup->wait)->loop;
    int err = may_block ? sl_lookup_resolve(query, &lookup->list)
                        : sl_lookup_known(query, &lookup->list);
    lookup->status = err;
    if (err != SL_AGAIN)
        return err;
    err = sl_loop_isforked(loop) ? sl_loop_afterfork(loop) : 0;
    if (err != 0)
        return err;
    sl_resolver *r = get_resolver(loop);
    return r != NULL ? join_inquiry(r, lookup, query) : ENOMEM;
}

int sl_resolver_begin(sl_wait *wait, const sl_query *query, int may_block,
                      sl_lookup **lookup)
{
    *lookup = calloc(1, sizeof **lookup);
    if (*lookup == NULL)
        return ENOMEM;
    (*lookup)->wait = wait;
    (*lookup)->to_name = query->purpose == SL_TO_NAME;
    int err = look_up(*lookup, query, may_block);
    if (err != 0) {
        free(*lookup);
        *lookup = NULL;
    }
    return err;
}

void sl_resolver_end(sl_lookup *lookup)
{
    if (lookup->inquiry != NULL) {
        sl_resolver *r = sl_source_of(lookup->wait)->loop->resolver;
        leave_inquiry(r, lookup);
        if (r != NULL && r->count == 0)
            close_pipe(r);
    } else {
        sl_lookup_free(lookup->list);
    }
    free(lookup);
}

void sl_resolver_setmax(sl_loop *loop, int max)
{
    loop->max_lookups = max;
    if (loop->resolver != NULL && !is_child(loop->resolver))
        sl_workers_setmax(loop->resolver->workers, max);
}
