/*
 * threads.h - the threads of a Lua state (sl_threads): how they begin and end.
 */

#ifndef SL_THREADS_H
#define SL_THREADS_H

#include "thread/thread.h"

/* [-0, +0, m] The threads of this Lua state, made at the first call. */
sl_threads *sl_threads_get(lua_State *L);

/* The loop is collected: its threads belong to no loop any more. */
void sl_threads_forgetloop(sl_threads *all, const void *loop);

/* The number of records in all->records. */
static inline int sl_threads_count(const sl_threads *all)
{
    return (all->slots - all->slots_left) / 2;
}

#endif
