/*
 * cork.h - bytes that send has accepted and that are still on our side.
 *
 * While the next line is already in a socket's buffer, small sends of that
 * socket are gathered: they are copied into the loop's one block and go out in
 * one system call, at the latest when the thread's turn, or the process, ends.
 *
 * What the peer's window has no room for then is unsent: the block becomes
 * the source's own, the loop goes on sending, and a later send waits for it.
 * That goes on when the socket is closed: the block is an orphan then, and owns
 * the descriptor, for as long as the peer takes something now and then; after
 * that the connection is reset, so that the peer does not take the end for the
 * true one. Unsent bytes keep the loop running, as a waiting thread does.
 *
 * If sending fails the bytes are lost, and so is the stream: the next send
 * tells why.
 */

#ifndef SL_CORK_H
#define SL_CORK_H

#include "loop/loop.h"

/* Heirs that are counted together, those first whose peers have taken nothing
 * for the longest time. */
typedef struct sl_orphans {
    sl_cork *first, *last;
    size_t count;
    void (*gone)(struct sl_orphans *orphans);    /* one is; must not raise */
} sl_orphans;

/* Gathers the bytes, if there is room and memory for that; else false, and
 * nothing has changed. */
int sl_cork_add(sl_source *source, const char *data, size_t size);

/* Sends the source's bytes and then data, in one system call: 0 or an errno;
 * *n: how many bytes of data. Only where the source has some. */
int sl_cork_send(sl_source *source, const char *data, size_t size,
                 size_t *n);

/* The rest of sl_cork_flush. */
void sl_cork_flushall(sl_loop *loop);

/* What has been gathered goes out now. */
static inline void sl_cork_flush(sl_loop *loop)
{
    if (loop->gathering != NULL)
        sl_cork_flushall(loop);
}

/* The source's bytes are the last ones it sends: if some are left, it ends
 * the stream after them and returns true. */
int sl_cork_end(sl_source *source);

/* The descriptor is about to be closed: if bytes are left, it is taken over,
 * and the source has none any more; true. It is given up when the peer has
 * taken nothing for so many seconds; in_all: so many seconds from now on.
 * orphans: the list it joins, or NULL. */
int sl_cork_linger(sl_source *source, double seconds, int in_all,
                   sl_orphans *orphans);

/* When the peer of the first of the orphans has taken something, or would have
 * been able to for the first time. There is one. */
double sl_cork_idle(const sl_orphans *orphans);

/* Resets the connection of the first of the orphans. There is one. */
void sl_cork_reset(sl_orphans *orphans);

/* The source's bytes are lost, if there are any. */
void sl_cork_drop(sl_source *source);

#endif
