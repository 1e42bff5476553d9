/*
 * watcher.h - waiting for any of many descriptors, whoever owns them.
 *
 * A watcher is a wait without a descriptor of its own. It has watches on the
 * descriptors of others, which other threads may wait for at the same time. Its
 * wait ends when something may have happened: the thread looks, and watches
 * again.
 */

#ifndef SL_WATCHER_H
#define SL_WATCHER_H

#include "loop/loop.h"

typedef struct sl_watcher sl_watcher;

/* [-0, +1, m] For the loop on the top pushes a function that makes watchers:
 * objects with the methods wait, waits and wake. */
void sl_watcher_pushmaker(lua_State *L);

/* [-0, +1, m] Pushes a watcher of the loop on the top. */
sl_watcher *sl_watcher_push(lua_State *L);

/* [-0, +0, e] Waits until the descriptor may be ready for what interests, at
 * most so many seconds (negative: no limit), while the calling C function stays
 * on its fiber. 0, SL_TIMEOUT, SL_CLOSED, or how it failed. */
int sl_watcher_block(lua_State *L, sl_watcher *w, int fd, unsigned interest,
                     double seconds);

#endif
