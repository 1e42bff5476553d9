/*
 * fiber.h - C stacks on demand, and the switch between them.
 *
 * A fiber is a C stack that runs one function over and over: each sl_fiber_run
 * calls it once. The function may stop half-way with sl_fiber_freeze, which
 * returns to whoever ran the fiber; the next sl_fiber_run goes on from there.
 * A fiber whose function has returned is empty and can serve anybody.
 *
 * Stacks are mapped, never allocated: only the pages that were touched cost
 * memory. Nothing here knows Lua. Errors must not be thrown across a switch.
 */

#ifndef SL_FIBER_H
#define SL_FIBER_H

#include <stddef.h>

typedef struct sl_fiber sl_fiber;

/* A pool of empty fibers. Owned by whoever calls init; not shared. */
typedef struct sl_fibers {
    sl_fiber *idle;    /* linked by their next */
    size_t idle_count;
    size_t count;      /* all of the pool, idle or not */
} sl_fibers;

void sl_fibers_init(sl_fibers *pool);

/* Unmaps the idle fibers. The others must have been taken back before. */
void sl_fibers_free(sl_fibers *pool);

/* Makes sure that the next sl_fiber_take succeeds; 0 or ENOMEM. */
int sl_fibers_reserve(sl_fibers *pool);

/* An empty fiber, from the pool or new; NULL when there is no memory. */
sl_fiber *sl_fiber_take(sl_fibers *pool);

/* Gives a fiber back, empty or not: what was frozen on it is forgotten. */
void sl_fiber_give(sl_fibers *pool, sl_fiber *fiber);

/* Calls function(arg) on the fiber, or, where it was frozen, goes on with
 * that. Returns true when the function froze, false when it returned. */
int sl_fiber_run(sl_fiber *fiber, void (*function)(void *arg), void *arg);

/* Whether it is frozen; false: empty. */
int sl_fiber_isfrozen(const sl_fiber *fiber);

/* Called on the fiber: back to the caller of sl_fiber_run, until the next
 * sl_fiber_run of this fiber. */
void sl_fiber_freeze(sl_fiber *fiber);

/* The same, but the other, frozen fiber goes on; when that one freezes or
 * ends, it returns to the caller of this fiber's sl_fiber_run. */
void sl_fiber_pass(sl_fiber *fiber, sl_fiber *other);

#endif
