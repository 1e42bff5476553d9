/*
 * cork.h - bytes that send has accepted and the system has not: gathering, and
 * sending in the background.
 *
 * Gathering: while the next line is already in a socket's receive buffer, small
 * sends of that socket are copied into the loop's one block. The block goes out
 * in one system call, at the latest when the thread's turn ends or the process
 * exits.
 *
 * Sending in the background: bytes that do not fit into the peer's window are
 * unsent. The block then belongs to the source, the loop goes on sending it,
 * and a later send waits until it is empty.
 *
 * After a close the block is an orphan: it owns the descriptor and lingers, as
 * long as the peer accepts bytes now and then. Then the connection is reset, so
 * that the peer does not mistake the end for a regular one. Unsent bytes keep
 * the loop running, as a waiting thread does.
 */

#ifndef SL_CORK_H
#define SL_CORK_H

#include "loop/loop.h"

/* Orphans that are counted together, in the order in which their peers have
 * last accepted bytes. */
typedef struct sl_orphans {
    sl_cork *first, *last;
    size_t count;
    void (*gone)(struct sl_orphans *orphans);    /* called when one has ended;
                                                    must not raise */
} sl_orphans;

/* Gathers the bytes. False, and nothing has changed, if the block has no room
 * or there is no memory. */
int sl_cork_add(sl_source *source, const char *data, size_t size);

/* For a source with gathered or unsent bytes: sends these and then data, in one
 * system call. 0 or an errno; *n is the number of bytes of data that were
 * sent. */
int sl_cork_send(sl_source *source, const char *data, size_t size,
                 size_t *n);

/* Slow path of sl_cork_flush. */
void sl_cork_flushall(sl_loop *loop);

/* Sends the gathered bytes now. */
static inline void sl_cork_flush(sl_loop *loop)
{
    if (loop->gathering != NULL)
        sl_cork_flushall(loop);
}

/* For a shutdown: tries to send the source's bytes. If some are left, returns
 * true, and the stream ends after them. */
int sl_cork_end(sl_source *source);

/* For a close: tries to send the source's bytes. If some are left, returns
 * true: an orphan owns them and the descriptor from now on, and the source has
 * neither. The orphan is reset when its peer has accepted nothing for so many
 * seconds; with in_all, when so many seconds have passed. orphans is the list
 * that the orphan joins, or NULL. */
int sl_cork_linger(sl_source *source, double seconds, int in_all,
                   sl_orphans *orphans);

/* For a list that is not empty: the time at which the first orphan's peer last
 * accepted bytes, or the orphan began to linger. */
double sl_cork_idle(const sl_orphans *orphans);

/* Resets the connection of the first orphan of a list that is not empty. */
void sl_cork_reset(sl_orphans *orphans);

/* Drops the source's bytes, if there are any. */
void sl_cork_drop(sl_source *source);

#endif
