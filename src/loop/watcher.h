/*
 * watch.h - waiting for any of many descriptors, whoever owns them.
 *
 * A watcher is a wait without a descriptor of its own, and its watches on
 * those of others, which may be waited on at the same time. What it learns is
 * that something may have happened: look, and watch again.
 */

#ifndef SL_WATCH_H
#define SL_WATCH_H

#include "loop/loop.h"

typedef struct sl_watcher sl_watcher;

/* [-0, +1, m] For the loop on the top pushes a function that makes watchers:
 * objects with the methods wait, waits and wake. */
void sl_watcher_pushmaker(lua_State *L);

/* [-0, +1, m] Pushes a watcher of the loop on the top, for straight-line C. */
sl_watcher *sl_watcher_push(lua_State *L);

/* [-0, +0, e] Waits in a thread of our own until what interests of the
 * descriptor may have come about, at most so many seconds (negative: no
 * limit). 0, SL_TIMEOUT, SL_CLOSED, or how it failed. */
int sl_watcher_block(lua_State *L, sl_watcher *w, int fd, unsigned interest,
                     double seconds);

/* ready(reads, writes): see watch.c. */
int sl_watch_ready(lua_State *L);

#endif
