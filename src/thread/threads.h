/*
 * threads.h - the sl_threads of a Lua state: how it is made and ends.
 */

#ifndef SL_THREADS_H
#define SL_THREADS_H

#include "thread/thread.h"

/* [-0, +0, m] Returns the sl_threads of this Lua state, made at the first
 * call. */
sl_threads *sl_threads_get(lua_State *L);

/* The loop is collected: its threads have no loop from now on. */
void sl_threads_forgetloop(sl_threads *all, const void *loop);

/* The number of records in all->records. */
static inline int sl_threads_count(const sl_threads *all)
{
    return (all->slots - all->slots_left) / 2;
}

#endif
