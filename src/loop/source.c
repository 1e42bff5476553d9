/*
 * source.c - descriptors in the loop: their owners, watches and interest in the
 * poller. See source.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "loop/source.h"

#include "os/error.h"
#include "os/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sl_source_init(sl_source *source, sl_loop *loop,
                    enum sl_source_kind kind)
{
    memset(source, 0, sizeof *source);
    source->loop = loop;
    source->fd = -1;
    source->kind = (unsigned char)kind;
    source->reader.interest = SL_READABLE;
    source->writer.interest = SL_WRITABLE;
    source->writer.kind = SL_WAIT_WRITER;
}

void sl_source_initcallback(sl_callback *callback, sl_loop *loop,
                            void (*on_ready)(sl_source *source))
{
    sl_source_init(&callback->source, loop, SL_SOURCE_CALLBACK);
    callback->on_ready = on_ready;
}

/* Called when a parked wait is over. A level-triggered poller would go on
 * reporting its readiness. */
static void unparked(sl_wait *wait)
{
    sl_source_update(sl_source_of(wait));
}

/* In the child after a fork: registers all interests with the new poller. */
static void update_all(sl_loop *loop)
{
    for (int fd = 0; fd < loop->sources_size; fd++) {
        sl_source *source = loop->sources[fd];
        if (source == NULL)
            continue;
        source->watched = 0;
        if (source->kind != SL_SOURCE_WATCHED && sl_source_owned(source) < 0) {
            sl_source_dispossess(source);
            continue;
        }
        int err = sl_source_update(source);
        if (err != 0) {
            sl_wait_finish(&source->reader, err);
            sl_wait_finish(&source->writer, err);
            sl_source_notify(source, SL_READABLE | SL_WRITABLE);
        }
    }
}

static const sl_part sources_part = {NULL, update_all, NULL, NULL};

static int reserve_source(sl_loop *loop, int fd)
{
    if (fd < loop->sources_size)
        return 0;
    int size = loop->sources_size > 0 ? loop->sources_size : 64;
    while (size <= fd)
        size *= 2;
    sl_source **sources = realloc(loop->sources,
                                  (size_t)size * sizeof *sources);
    if (sources == NULL)
        return ENOMEM;
    for (int i = loop->sources_size; i < size; i++)
        sources[i] = NULL;
    loop->sources = sources;
    loop->sources_size = size;
    if (!loop->type->edge_triggered)
        loop->unparked = unparked;
    sl_loop_addpart(loop, &sources_part);
    return 0;
}

void sl_source_detach(sl_source *source, int closing)
{
    sl_loop *loop = source->loop;
    int fd = source->fd;
    if (fd < 0 || loop->closed)
        return;
    /* epoll and kqueue forget a descriptor themselves when it is closed. */
    if (source->watched && !sl_loop_isforked(loop) &&
        !(closing && loop->type->edge_triggered))
        loop->type->forget(loop->poller, fd);
    loop->sources[fd] = NULL;
    loop->reclaim.open--;
    source->fd = -1;
    source->watched = 0;
    if (sl_process_isours(fd, source->forks))
        sl_process_forget(fd);
}

int sl_source_owned(const sl_source *source)
{
    int fd = source->fd;
    return fd >= 0 && sl_process_isours(fd, source->forks) ? fd : -1;
}

/* Watches are notified, but not as lost: the descriptor may still be open. */
void sl_source_dispossess(sl_source *source)
{
    switch (source->kind) {
    case SL_SOURCE_CALLBACK:
        sl_source_detach(source, 0);
        ((sl_callback *)source)->on_ready(source);
        break;
    case SL_SOURCE_WATCHED:
        sl_source_detach(source, 0);
        sl_source_notify(source, SL_READABLE | SL_WRITABLE);
        break;
    default:
        sl_source_release(source, 0);
    }
}

int sl_source_claim(sl_source *source, int fd)
{
    sl_loop *loop = source->loop;
    if (!loop->type->holds(fd))
        return SL_TOO_BIG;
    if (reserve_source(loop, fd) != 0)
        return ENOMEM;
    sl_source *old = loop->sources[fd];
    if (old != NULL && old != source)
        sl_source_dispossess(old);
    if (old != source)
        sl_source_detach(source, 0);
    sl_process_share(fd);
    source->forks = (unsigned short)sl_process_forks;
    if (old == source)
        return 0;
    loop->sources[fd] = source;
    loop->reclaim.open++;
    source->fd = fd;
    source->generation = ++loop->generation;
    source->readable = source->writable = 1;
    source->hangup = source->watched = 0;
    source->has_inode = 0;
    source->lost = 0;
    return 0;
}

void sl_source_noteinode(sl_source *source)
{
    if (source->fd >= 0 && sl_fd_inode(source->fd, &source->inode) == 0)
        source->has_inode = 1;
}

int sl_source_checkreused(const sl_source *source)
{
    uint32_t inode;
    return source->fd >= 0 && sl_fd_inode(source->fd, &inode) == 0 &&
           inode != source->inode;
}

void sl_source_move(sl_source *from, sl_source *to)
{
    sl_loop *loop = from->loop;
    sl_source_detach(to, 0);
    loop->sources[from->fd] = to;
    to->fd = from->fd;
    to->forks = from->forks;
    to->generation = from->generation;
    to->readable = to->writable = 1;
    to->hangup = from->hangup;
    to->watched = from->watched;
    to->has_inode = 0;
    from->fd = -1;
    from->watched = 0;
    if (!loop->type->edge_triggered)
        sl_source_update(to);
}

/* Drops the source's unsent bytes. May free the source. */
static void release_unsent(sl_loop *loop, sl_source *source)
{
    for (int i = 0; i < loop->part_count; i++)
        if (loop->parts[i]->release != NULL)
            loop->parts[i]->release(source);
}

void sl_source_release(sl_source *source, int closing)
{
    sl_loop *loop = source->loop;
    sl_source_detach(source, closing);
    if (loop->closed)
        return;
    sl_wait_finish(&source->reader, SL_CLOSED);
    sl_wait_finish(&source->writer, SL_CLOSED);
    int has_unsent = source->unsent != NULL;
    for (sl_watch *watch = source->watches; watch != NULL; watch = watch->next)
        watch->lost = 1;
    sl_source_notify(source, SL_READABLE | SL_WRITABLE);
    if (has_unsent)    /* if it has none, it may have been freed with its last
                          watch */
        release_unsent(loop, source);
}

void sl_source_closing(sl_loop *loop, int fd)
{
    if (fd >= 0 && fd < loop->sources_size && loop->sources[fd] != NULL)
        sl_source_release(loop->sources[fd], 1);
}

static unsigned parked_interest(const sl_wait *wait)
{
    return sl_wait_isparked(wait) ? wait->interest : 0;
}

int sl_source_updatepoller(sl_source *source)
{
    sl_loop *loop = source->loop;
    unsigned wanted = parked_interest(&source->reader) |
                      parked_interest(&source->writer) | source->interest;
    for (const sl_watch *w = source->watches; w != NULL; w = w->next)
        wanted |= w->interest;
    if (source->fd < 0 || sl_loop_isforked(loop) ||
        (loop->type->edge_triggered && (source->watched || wanted == 0)))
        return 0;
    int err = loop->type->watch(loop->poller, source->fd, source->generation,
                                wanted);
    if (err == 0)
        source->watched = 1;
    return err;
}

/* For a source that is freed. A waiting thread keeps its source alive, so a
 * thread in the wait has left (its coroutine was closed or resumed by other
 * means), and its record ends in its turn. Only while the Lua state is being
 * closed can it still be waiting: then it is taken out of the queue, as its
 * turn never comes. */
static void abandon_wait(sl_wait *wait, sl_loop *loop)
{
    sl_thread *t = wait->thread;
    if (t == NULL)
        return;
    sl_wait_leave(wait);
    t->wait = NULL;
    if (sl_thread_waits(t))
        sl_wait_dequeue(loop, t);
}

static void free_wait(sl_wait *wait)
{
    sl_loop *loop = sl_source_of(wait)->loop;
    sl_pending *pending = sl_source_pending(wait);
    if (!loop->closed && !loop->threads->closed)
        abandon_wait(wait, loop);
    wait->phase = SL_WAIT_IDLE;
    wait->thread = NULL;
    if (pending->timeout != NULL && !loop->closed)
        sl_timer_cancel(&loop->timers, &pending->timeout->timer);
    free(pending->timeout);
    pending->timeout = NULL;
    wait->has_timeout = 0;
}

void sl_source_free(sl_source *source)
{
    if (!source->loop->closed)
        sl_source_release(source, 0);
    free_wait(&source->reader);
    free_wait(&source->writer);
}

/* --- watches ----------------------------------------------------------- */

/* The source that owns fd, or a new one for watches. NULL: the failure is in
 * *err. */
static sl_source *find_or_make(sl_loop *loop, int fd, int *err)
{
    *err = 0;
    if (fd < loop->sources_size && loop->sources[fd] != NULL)
        return loop->sources[fd];
    sl_source *source = malloc(sizeof *source);
    if (source == NULL) {
        *err = ENOMEM;
        return NULL;
    }
    sl_source_init(source, loop, SL_SOURCE_WATCHED);
    *err = sl_source_claim(source, fd);
    if (*err == 0)
        return source;
    free(source);
    return NULL;
}

int sl_source_watch(sl_loop *loop, int fd, sl_watch *watch)
{
    int err;
    sl_source *source = find_or_make(loop, fd, &err);
    if (source == NULL)
        return err;
    watch->source = source;
    watch->prev = NULL;
    watch->next = source->watches;
    if (source->watches != NULL)
        source->watches->prev = watch;
    source->watches = watch;
    /* The poller may know another descriptor under this number, which was
     * closed without notice. */
    source->watched = 0;
    err = sl_source_update(source);
    if (err != 0)
        sl_source_unwatch(watch);
    return err;
}

void sl_source_unwatch(sl_watch *watch)
{
    sl_source *source = watch->source;
    if (source == NULL)
        return;
    watch->source = NULL;
    if (watch->prev != NULL)
        watch->prev->next = watch->next;
    else
        source->watches = watch->next;
    if (watch->next != NULL)
        watch->next->prev = watch->prev;
    if (source->kind == SL_SOURCE_WATCHED && source->watches == NULL) {
        sl_source_detach(source, 0);
        free(source);
    } else if (!source->loop->closed && !source->loop->type->edge_triggered) {
        sl_source_update(source);
    }
}

void sl_source_notify(sl_source *source, unsigned ready)
{
    sl_watch *next;
    for (sl_watch *watch = source->watches; watch != NULL; watch = next) {
        next = watch->next;
        if (!(watch->interest & ready))
            continue;
        sl_source_unwatch(watch);
        watch->on_ready(watch);
    }
}
