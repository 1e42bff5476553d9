/*
 * reclaim.h - descriptors that garbage holds. Of a socket, Lua's collector sees
 * a few hundred bytes, but neither the descriptor nor the system's memory. So
 * garbage could use up all of both.
 *
 * The loop counts its descriptors. A function that makes a socket runs the
 * collector if the count has doubled since the last collection, unless Lua's
 * own objects are so many that a collection would cost more than it is worth.
 *
 * The collector also runs when the system refuses a descriptor or memory, and
 * the refused call is repeated: at once if many descriptors were opened since
 * the last collection, else when enough time has passed. So a program that
 * really needs all its descriptors spends at most a tenth of its time on
 * collections.
 */

#ifndef SL_RECLAIM_H
#define SL_RECLAIM_H

#include "thread/compat.h"

/* A loop's account of its descriptors. */
typedef struct sl_reclaim {
    int open;              /* number of descriptors */
    int kept;              /* number after the last collection */
    int limit;             /* so many cause another collection */
    double next;           /* the earliest time of another one */
    int wanted;            /* the step collects before it ends */
} sl_reclaim;

void sl_reclaim_init(sl_reclaim *r);

/* [-0, +0, e] Runs the collector, and sets the limits for the next
 * collection. */
void sl_reclaim_collect(lua_State *L, sl_reclaim *r);

/* [-0, +0, e] Before a socket is made: collects if that is due. */
static inline void sl_reclaim_check(lua_State *L, sl_reclaim *r)
{
    if (r->open >= r->limit)
        sl_reclaim_collect(L, r);
}

/* Slow path of sl_reclaim_retry. */
int sl_reclaim_tryafter(lua_State *L, sl_reclaim *r, int err);

/* [-0, +0, e] After a call that returned err (0: success): whether to repeat
 * the call. If so, the collector has run. */
static inline int sl_reclaim_retry(lua_State *L, sl_reclaim *r, int err)
{
    return err != 0 && sl_reclaim_tryafter(L, r, err);
}

/* sl_reclaim_retry for an attempt, in which no finalizer may run: returns err
 * or SL_BUSY as the attempt's status. After SL_BUSY the step collects before
 * the next attempt. *again is the caller's note that the attempt is the second
 * one, which is the last. */
int sl_reclaim_later(sl_reclaim *r, unsigned char *again, int err);

/* [-0, +0, e] For the step: collects if sl_reclaim_later has asked for that. */
static inline void sl_reclaim_step(lua_State *L, sl_reclaim *r)
{
    if (r->wanted) {
        r->wanted = 0;
        sl_reclaim_collect(L, r);
    }
}

#endif
