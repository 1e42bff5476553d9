/*
 * cork.c - gathering small sends, and sending in the background the bytes that
 * do not fit into the peer's window. See cork.h. Knows neither asockets nor
 * threads; nothing here raises.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "loop/cork.h"

#include "loop/source.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/perthread.h"
#include "os/process.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROOM = 8 * 1024,      /* bytes in a block */
    SMALL = 2 * 1024      /* longer sends cost more to copy than to send at
                             once */
};

enum cork_state {
    GATHERING,            /* a turn adds bytes; a loop has at most one such
                             block */
    UNSENT,               /* the peer's window was full: the loop sends */
    ORPHAN                /* the socket is closed: the block owns the
                             descriptor */
};

struct sl_cork {
    sl_source *source;    /* the owner of the bytes, whose `unsent` this is */
    size_t first, last;   /* the bytes are data[first .. last - 1] */
    unsigned forks;       /* sl_process_forks of the process that sends */
    enum cork_state state;
    int ends;             /* the stream ends after the bytes */
    sl_cork *prev, *next;    /* in the loop's list of the unsent */
    sl_watch watch;       /* for room; unused by an orphan */
    double taken;         /* once parked: when the peer last accepted bytes */
    double linger;        /* seconds without accepted bytes until an orphan is
                             given up; infinite: no such limit */
    sl_callback orphan;     /* owns the descriptor of a closed socket */
    sl_timer timer;       /* the end of lingering */
    sl_orphans *orphans;      /* the list that the orphan is in, or NULL */
    sl_cork *former, *later;    /* in that list, by `taken` */
    char data[ROOM];
};

static int is_orphan(const sl_cork *g)
{
    return g->state == ORPHAN;
}

/* False in a child of fork(2): its block is a copy, and the parent sends the
 * bytes. */
static int is_block_ours(const sl_cork *g)
{
    return g->forks == sl_process_forks;
}

/* --- the end of a block ------------------------------------------------ */

/* Keeps one block for the loop's next sends, and frees any other. */
static void give_back_block(sl_loop *loop, sl_cork *g)
{
    if (loop->spare == NULL && !is_orphan(g))
        loop->spare = g;
    else
        free(g);
}

/* Makes g, or no block for NULL, the one that gathers. The OS thread knows it,
 * too: only one loop of an OS thread runs a turn at a time, and send_at_exit
 * needs the block. */
static void gather_in(sl_loop *loop, sl_cork *g)
{
    loop->gathering = g;
    sl_perthread_set(g);
}

static void unpark_block(sl_loop *loop, sl_cork *g)
{
    if (g->prev != NULL)
        g->prev->next = g->next;
    else
        loop->unsent = g->next;
    if (g->next != NULL)
        g->next->prev = g->prev;
    loop->waiting--;
    sl_source_unwatch(&g->watch);
    sl_timer_cancel(&loop->timers, &g->timer);
}

static void join_orphans(sl_cork *g)
{
    sl_orphans *orphans = g->orphans;
    g->former = orphans->last;
    while (g->former != NULL && g->former->taken > g->taken)
        g->former = g->former->former;
    g->later = g->former != NULL ? g->former->later : orphans->first;
    if (g->former != NULL)
        g->former->later = g;
    else
        orphans->first = g;
    if (g->later != NULL)
        g->later->former = g;
    else
        orphans->last = g;
    orphans->count++;
}

static void leave_orphans(sl_cork *g)
{
    sl_orphans *orphans = g->orphans;
    if (g->former != NULL)
        g->former->later = g->later;
    else
        orphans->first = g->later;
    if (g->later != NULL)
        g->later->former = g->former;
    else
        orphans->last = g->former;
    orphans->count--;
}

/* Ends a block whose bytes were sent or dropped. Frees g, closes an orphan's
 * descriptor, and may free a source that was made for watches. */
static void finish_block(sl_cork *g)
{
    sl_source *source = g->source;
    sl_loop *loop = source->loop;
    sl_orphans *orphans = g->orphans;
    int fd = sl_source_owned(source);
    if (g->state != GATHERING)
        unpark_block(loop, g);
    else
        gather_in(loop, NULL);
    source->unsent = NULL;
    if (g->ends && is_block_ours(g))
        sl_fd_shutdown(fd, SHUT_WR);
    if (is_orphan(g)) {
        sl_source_release(source, 1);
        if (fd >= 0)
            sl_fd_close(fd);
    }
    if (orphans != NULL)
        leave_orphans(g);
    give_back_block(loop, g);
    if (orphans != NULL)
        orphans->gone(orphans);
}

/* Drops the bytes of an orphan. The connection is reset, so that the peer does
 * not mistake the end for a regular one. */
static void give_up_orphan(sl_cork *g)
{
    int fd = sl_source_owned(g->source);
    if (fd >= 0 && is_block_ours(g))
        sl_fd_resetting(fd);
    finish_block(g);
}

static sl_thread *stop_lingering(sl_timer *timer, double now)
{
    (void)now;
    give_up_orphan((sl_cork *)((char *)timer - offsetof(sl_cork, timer)));
    return NULL;
}

static void lose_bytes(sl_cork *g, int err)
{
    g->source->lost = (short)err;
    finish_block(g);
}

/* --- sending ----------------------------------------------------------- */

static void block_ready(sl_watch *watch);

/* The peer's window is full: the loop sends the bytes later. Frees g if it
 * cannot be watched. */
static void park_block(sl_cork *g)
{
    sl_loop *loop = g->source->loop;
    if (g->state == GATHERING) {
        g->state = UNSENT;
        gather_in(loop, NULL);
        loop->waiting++;
        g->prev = NULL;
        g->next = loop->unsent;
        if (g->next != NULL)
            g->next->prev = g;
        loop->unsent = g;
    }
    if (g->watch.source != NULL || is_orphan(g))
        return;
    int err = sl_source_watch(loop, g->source->fd, &g->watch);
    if (err != 0)
        lose_bytes(g, err);
}

/* Sets the timer of an orphan, and adds it to the list of orphans. */
static void start_lingering(sl_cork *g)
{
    if (isfinite(g->linger))
        sl_timer_set(&g->source->loop->timers, &g->timer,
                     g->taken + g->linger);
    if (g->orphans != NULL)
        join_orphans(g);
}

/* Notes that the peer has accepted `sent` bytes, and that some are left. */
static void note_taken(sl_cork *g, size_t sent)
{
    if (g->state != GATHERING && sent == 0)
        return;
    g->taken = sl_clock_now();
    if (!is_orphan(g))
        return;
    if (g->orphans != NULL)
        leave_orphans(g);
    start_lingering(g);
}

/* Sends the block's bytes and then data; see sl_cork_send. May free g. */
static int transmit_block(sl_cork *g, const char *data, size_t size, size_t *n)
{
    sl_source *source = g->source;
    if (!is_block_ours(g))
        g->first = g->last;
    size_t count = g->last - g->first;
    int err = 0;
    *n = 0;
    if (count + size > 0)
        err = sl_fd_sendtwo(source->fd, g->data + g->first, count, data,
                            size, n);
    size_t sent = *n < count ? *n : count;
    g->first += sent;
    *n -= sent;
    source->writer.progress |= sent > 0;
    if (err != 0 && err != EAGAIN) {
        lose_bytes(g, err);
    } else if (g->first == g->last) {
        finish_block(g);
    } else {
        source->writable = 0;
        note_taken(g, sent);
        park_block(g);
    }
    return err;
}

int sl_cork_send(sl_source *source, const char *data, size_t size,
                 size_t *n)
{
    *n = 0;
    if (source->unsent->ends && size > 0)
        return EPIPE;
    return transmit_block(source->unsent, data, size, n);
}

static void transmit_bytes(sl_cork *g)
{
    size_t n;
    transmit_block(g, NULL, 0, &n);
}

/* Called when there may be room, or the descriptor was closed without
 * notice. */
static void block_ready(sl_watch *watch)
{
    transmit_bytes(watch->owner);
}

void sl_cork_flushall(sl_loop *loop)
{
    transmit_bytes(loop->gathering);
}

/* --- gathering --------------------------------------------------------- */

static int drop_inherited(sl_loop *loop);
static void free_corks(sl_loop *loop);

static const sl_part corks_part = {drop_inherited, NULL, sl_cork_drop,
                                   free_corks};

static sl_cork *get_block(sl_loop *loop)
{
    sl_cork *g = loop->spare;
    loop->spare = NULL;
    if (g != NULL)
        return g;
    sl_loop_addpart(loop, &corks_part);
    return malloc(sizeof *g);
}

/* Begins to gather for the source. False: no memory. */
static int begin_block(sl_source *source)
{
    sl_loop *loop = source->loop;
    sl_cork *g = get_block(loop);
    if (g == NULL)
        return 0;
    memset(g, 0, offsetof(sl_cork, data));
    g->source = source;
    g->forks = sl_process_forks;
    g->watch.interest = SL_WRITABLE;
    g->watch.on_ready = block_ready;
    g->watch.owner = g;
    sl_timer_init(&g->timer, stop_lingering);
    source->unsent = g;
    gather_in(loop, g);
    return 1;
}

/* Sends the block of another source, if there is one. False if the source has
 * unsent bytes, to which nothing may be added. */
static int make_way(sl_source *source)
{
    sl_cork *g = source->loop->gathering;
    if (g != NULL && (g->source != source || !is_block_ours(g)))
        transmit_bytes(g);
    return source->unsent == NULL || source->unsent->state == GATHERING;
}

int sl_cork_add(sl_source *source, const char *data, size_t size)
{
    if (size > SMALL || !make_way(source) ||
        (source->unsent == NULL && !begin_block(source)))
        return 0;
    sl_cork *g = source->unsent;
    if (size > ROOM - g->last)
        return 0;
    memcpy(g->data + g->last, data, size);
    g->last += size;
    return 1;
}

/* --- the end of a source ----------------------------------------------- */

/* Tries to send the source's bytes; true if some are left. */
static int is_left_with(sl_source *source)
{
    if (source->unsent != NULL)
        transmit_bytes(source->unsent);
    return source->unsent != NULL;
}

int sl_cork_end(sl_source *source)
{
    if (!is_left_with(source))
        return 0;
    source->unsent->ends = 1;
    return 1;
}

/* Called when the orphan's descriptor is ready, or lost in a child process. */
static void orphan_ready(sl_source *source)
{
    transmit_bytes(source->unsent);
}

int sl_cork_linger(sl_source *source, double seconds, int in_all,
                   sl_orphans *orphans)
{
    if (!is_left_with(source))
        return 0;
    sl_cork *g = source->unsent;
    sl_source_unwatch(&g->watch);
    sl_source *orphan = &g->orphan.source;
    sl_source_initcallback(&g->orphan, source->loop, orphan_ready);
    orphan->interest = SL_WRITABLE;
    sl_source_move(source, orphan);
    source->unsent = NULL;
    orphan->unsent = g;
    g->source = orphan;
    g->state = ORPHAN;
    g->linger = in_all ? INFINITY : seconds;
    g->orphans = orphans;
    if (in_all && isfinite(seconds))
        sl_timer_set(&source->loop->timers, &g->timer,
                     sl_clock_now() + seconds);
    start_lingering(g);
    return 1;
}

double sl_cork_idle(const sl_orphans *orphans)
{
    return orphans->first->taken;
}

void sl_cork_reset(sl_orphans *orphans)
{
    give_up_orphan(orphans->first);
}

void sl_cork_drop(sl_source *source)
{
    if (source->unsent != NULL)
        finish_block(source->unsent);
}

/* --- all of them ------------------------------------------------------- */

/* In the child after a fork: unsent bytes are the parent's. */
static int drop_inherited(sl_loop *loop)
{
    while (loop->unsent != NULL)
        finish_block(loop->unsent);
    return 0;
}

/* The loop is about to be freed: tries to send once more, and drops the
 * rest. */
static void free_corks(sl_loop *loop)
{
    sl_cork *g;
    while ((g = loop->gathering != NULL ? loop->gathering
                                        : loop->unsent) != NULL) {
        size_t n;
        if (is_block_ours(g))
            sl_fd_sendtwo(g->source->fd, g->data + g->first,
                          g->last - g->first, NULL, 0, &n);
        finish_block(g);
    }
    free(loop->spare);
    loop->spare = NULL;
}

/* --- the end of the process -------------------------------------------- */

/* Called by exit: os.exit in the middle of a turn leaves the loop open and a
 * block gathered. */
__attribute__((destructor)) static void send_at_exit(void)
{
    sl_cork *g = sl_perthread_get();
    if (g != NULL)
        transmit_bytes(g);
    sl_perthread_end();
}
