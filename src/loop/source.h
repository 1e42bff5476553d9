/*
 * source.h - descriptors in the loop (their types are in loop.h).
 */

#ifndef SL_SOURCE_H
#define SL_SOURCE_H

#include "loop/loop.h"

void sl_source_init(sl_source *source, sl_loop *loop);
void sl_source_initcallback(sl_callback *callback, sl_loop *loop,
                            void (*told)(sl_source *source));

/* The source becomes the owner of fd; who owned it before becomes closed and
 * its waiters are woken. 0, ENOMEM or SL_TOO_BIG, and then nothing changed. */
int sl_source_claim(sl_source *source, int fd);

/* The source's descriptor, for whoever is to close it once the source has let
 * go; -1 if there is none, or the number is not the source's any more: this is
 * a child of fork(2), and somebody has closed it there. */
int sl_source_owned(const sl_source *source);

/* The source's descriptor's number is somebody else's. */
void sl_source_dispossess(sl_source *source);

/* Others may close the descriptor from now on: notes whose it is. */
void sl_source_lend(sl_source *source);

/* Whether the descriptor is another one by now: it was closed behind our
 * back, and its number taken by somebody whom the loop does not know. */
int sl_source_checkstranger(const sl_source *source);

static inline int sl_source_isstranger(const sl_source *source)
{
    return source->lent && sl_source_checkstranger(source);
}

/* The descriptor of one source goes over to another; the poller does not
 * have to be told. */
void sl_source_move(sl_source *from, sl_source *to);

/* The source lets go of its descriptor; closing: which will be closed at
 * once. release also wakes those who wait and watch, and a bare source is gone
 * after it; detach leaves them waiting. */
void sl_source_release(sl_source *source, int closing);
void sl_source_detach(sl_source *source, int closing);

/* fd is about to be closed, whoever's it is: those who wait are woken. */
void sl_source_closing(sl_loop *loop, int fd);

/* The source's memory is about to go. */
void sl_source_free(sl_source *source);

/* Tells the poller what the source, its waits and its watches want now; 0 or
 * an errno. */
int sl_source_tellpoller(sl_source *source);

/* The same where an edge-triggered poller may know all it has to. */
static inline int sl_source_tell(sl_source *source)
{
    return source->watched && source->loop->type->edge_triggered
               ? 0 : sl_source_tellpoller(source);
}

/* Begins to watch fd, whoever's it is; 0 or how it failed. */
int sl_source_watch(sl_loop *loop, int fd, sl_watch *watch);

/* Ends it. Nothing to do where it was told. */
void sl_source_unwatch(sl_watch *watch);

/* Tells the watches that are interested, each once. May end a bare source. */
void sl_source_notify(sl_source *source, unsigned ready);

#endif
