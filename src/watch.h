/*
 * watch.h - waiting for any of many descriptors, whoever owns them.
 *
 * A watcher is a wait without a descriptor of its own, and its watches on
 * those of others, which may be waited on at the same time. What it learns is
 * that something may have happened: look, and watch again.
 */

#ifndef SL_WATCH_H
#define SL_WATCH_H

#include "loop.h"

/* [-0, +1, m] For the loop on the top pushes a function that makes watchers:
 * objects with the methods wait, waits and wake. */
void sl_watch_pushmaker(lua_State *L);

/* ready(reads, writes): see watch.c. */
int sl_watch_ready(lua_State *L);

#endif
