/*
 * reclaim.h - descriptors that garbage holds. Lua's collector sees a few
 * hundred bytes of a socket, and neither its descriptor nor the system's
 * memory; so sockets that nobody refers to could use up both.
 *
 * The loop counts its descriptors. It runs the collector when a socket is made
 * and they have doubled since the last time, unless Lua's own objects are so
 * many that a collection would cost more than it is worth.
 *
 * It also does when the system refuses a descriptor or memory, and whoever has
 * asked tries again: at once if many were opened since the last collection,
 * else when enough time has passed. So a program that really needs them all
 * spends a tenth of its time on that at most.
 */

#ifndef SL_RECLAIM_H
#define SL_RECLAIM_H

#include "loop/loop.h"

void sl_reclaim_init(sl_loop *loop);

/* [-0, +0, e] Runs the collector, and takes note of that. */
void sl_reclaim_collect(lua_State *L, sl_loop *loop);

/* [-0, +0, e] A socket is going to be made. */
static inline void sl_reclaim_check(lua_State *L, sl_loop *loop)
{
    if (loop->open >= loop->open_limit)
        sl_reclaim_collect(L, loop);
}

/* The rest of sl_reclaim_retry. */
int sl_reclaim_tryafter(lua_State *L, sl_loop *loop, int err);

/* [-0, +0, e] Something failed with err, or did not (0): whether to try again.
 * Then the collector has run, and finalizers with it. */
static inline int sl_reclaim_retry(lua_State *L, sl_loop *loop, int err)
{
    return err != 0 && sl_reclaim_tryafter(L, loop, err);
}

/* The same for an operation's attempt, which may run no finalizers: what it
 * should return, err or SL_BUSY. In that case the step collects before the
 * operation is tried again; that was done once if *again. */
int sl_reclaim_later(sl_loop *loop, unsigned char *again, int err);

#endif
