/*
 * watcher.h - waiting for any of many descriptors, which may have other owners.
 *
 * A watcher is a wait without a descriptor of its own, with watches on many
 * descriptors. Other threads may wait for these descriptors at the same time.
 * The wait ends when one of them may be ready: the thread then looks, and may
 * wait again.
 */

#ifndef SL_WATCHER_H
#define SL_WATCHER_H

#include "loop/loop.h"

typedef struct sl_watcher sl_watcher;

/* [-0, +1, m] Pushes a function that makes watchers for the loop on the top:
 * objects with the methods wait, waits, left and wake. */
void sl_watcher_pushmaker(lua_State *L);

/* [-0, +1, m] Pushes a watcher of the loop on the top. */
sl_watcher *sl_watcher_push(lua_State *L);

/* [-0, +0, e] Waits until fd may be ready for `interest`, at most so many
 * seconds (negative: no limit), while the calling C function stays on its
 * fiber. 0, SL_TIMEOUT, SL_CLOSED, or how it failed. */
int sl_watcher_block(lua_State *L, sl_watcher *w, int fd, unsigned interest,
                     double seconds);

#endif
