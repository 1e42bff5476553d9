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

#include "thread/compat.h"

/* A loop's account of its descriptors. */
typedef struct sl_reclaim {
    int open;              /* descriptors now */
    int kept;              /* after the last collection */
    int limit;             /* so many are a reason for another one */
    double next;           /* when time allows another one */
    int wanted;            /* one is due before the step ends */
} sl_reclaim;

void sl_reclaim_init(sl_reclaim *r);

/* [-0, +0, e] Runs the collector, and takes note of that. */
void sl_reclaim_collect(lua_State *L, sl_reclaim *r);

/* [-0, +0, e] A socket is going to be made. */
static inline void sl_reclaim_check(lua_State *L, sl_reclaim *r)
{
    if (r->open >= r->limit)
        sl_reclaim_collect(L, r);
}

/* The rest of sl_reclaim_retry. */
int sl_reclaim_tryafter(lua_State *L, sl_reclaim *r, int err);

/* [-0, +0, e] After a call that failed with err, or did not fail (0): whether
 * to try again. If so the collector has run, and finalizers with it. */
static inline int sl_reclaim_retry(lua_State *L, sl_reclaim *r, int err)
{
    return err != 0 && sl_reclaim_tryafter(L, r, err);
}

/* sl_reclaim_retry for an operation's attempt, which must run no finalizers:
 * returns the attempt's status, err or SL_BUSY. After SL_BUSY the step collects
 * before the operation is tried again. *again is set meanwhile: an operation is
 * tried again once. */
int sl_reclaim_later(sl_reclaim *r, unsigned char *again, int err);

/* [-0, +0, e] In a step: runs the collector if that is wanted. */
static inline void sl_reclaim_step(lua_State *L, sl_reclaim *r)
{
    if (r->wanted) {
        r->wanted = 0;
        sl_reclaim_collect(L, r);
    }
}

#endif
