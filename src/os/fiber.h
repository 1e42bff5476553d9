/*
 * fiber.h - C stacks on demand, and the switch between them.
 *
 * A fiber is a C stack that runs one function at a time: sl_fiber_run calls the
 * function. The function may stop with sl_fiber_freeze, which returns to the
 * caller of sl_fiber_run; the next sl_fiber_run continues the function. A fiber
 * whose function has returned is empty, and can run another function.
 *
 * Stacks are mapped, never allocated: only the pages that were touched cost
 * memory. Errors must not be thrown across a switch.
 *
 * All stacks of a pool have one size. Inline functions take it as an argument,
 * so that it is a constant at the callers.
 */

#ifndef SL_FIBER_H
#define SL_FIBER_H

#include "os/context.h"

#include <stddef.h>
#include <stdint.h>

/* Lives at the upper end of its stack: see sl_fiber_at. */
typedef struct sl_fiber {
    struct sl_fiber *next;      /* in the pool's idle list */
    void (*function)(void *);   /* runs on it; NULL: empty */
    void *arg;
    sl_context here;            /* where the fiber was left */
    sl_context *back;           /* where its runner was left; lies on the
                                   runner's stack */
    int deep;                   /* was frozen deeper than SL_FIBER_SHALLOW */
    unsigned valgrind_id;
} sl_fiber;

/* After a function that was frozen at a greater depth, the lower pages of the
 * stack are returned to the system. */
enum { SL_FIBER_SHALLOW = 64 * 1024 };

/* A pool of fibers, used by one OS thread. */
typedef struct sl_fibers {
    sl_fiber *idle;       /* list of empty fibers */
    size_t idle_count;
    size_t count;         /* number of all fibers, idle or not */
    size_t stack_size;
    char *fresh;          /* mapped stacks that are not fibers yet */
    size_t fresh_count;
} sl_fibers;

/* Cache colouring: the upper end of a stack is shifted by one of four
 * distances. Otherwise the upper ends of all stacks, which begin at multiples
 * of their size, would compete for the same lines of the processor's caches. */
enum { SL_STACK_COLOR = 12 * 64, SL_STACK_COLORS = 4 };

/* The fiber whose stack contains the address. Meaningless if the address is on
 * another stack. */
static inline sl_fiber *sl_fiber_at(const void *address, size_t stack_size)
{
    uintptr_t end = ((uintptr_t)address | (stack_size - 1)) + 1;
    end -= end / stack_size % SL_STACK_COLORS * SL_STACK_COLOR;
    return (sl_fiber *)end - 1;
}

/* Whether the processor checks returns against a shadow stack. Then no fiber
 * can run, as shadow stacks are not switched. */
int sl_fibers_shadowed(void);

/* stack_size is a power of two, and at least 256 KiB. */
void sl_fibers_init(sl_fibers *pool, size_t stack_size);

/* Unmaps all fibers. Precondition: all of them are idle. */
void sl_fibers_free(sl_fibers *pool);

/* Makes sure that the pool has an idle fiber, which the next sl_fiber_take
 * returns. 0 or ENOMEM. */
int sl_fibers_reserve(sl_fibers *pool);

/* Takes an empty fiber out of the pool, or makes one. NULL: no memory. */
sl_fiber *sl_fiber_take(sl_fibers *pool);

/* Gives a fiber back. Drops its frozen function, if any. */
void sl_fiber_give(sl_fibers *pool, sl_fiber *fiber);

/* Whether a function is frozen on the fiber; false: the fiber is empty. */
static inline int sl_fiber_isfrozen(const sl_fiber *fiber)
{
    return fiber->function != NULL;
}

/* Calls function(arg) on an empty fiber, or continues the frozen function.
 * Returns when the function freezes or returns. */
static inline void sl_fiber_run(sl_fiber *fiber, void (*function)(void *arg),
                                void *arg)
{
    sl_context runner;
#if defined(SL_ASAN)
    runner.bottom = NULL;
#endif
    if (fiber->function == NULL) {
        fiber->function = function;
        fiber->arg = arg;
    }
    fiber->back = &runner;
    sl_context_switch(&runner, &fiber->here);
    sl_context_arrive(&runner, &runner);
}

/* Called on the fiber: switches to another stack. */
static inline void sl_fiber_leave(sl_fiber *fiber, sl_context *to)
{
    char here;
    if ((char *)fiber - &here > SL_FIBER_SHALLOW)
        fiber->deep = 1;
    sl_context_switch(&fiber->here, to);
    sl_context_arrive(&fiber->here, fiber->back);
}

/* Called on the fiber: returns to the caller of sl_fiber_run, until the next
 * sl_fiber_run of this fiber.
 *
 * An optimization: `fiber` comes from four dependent loads, but sl_fiber_at
 * computes it from the stack pointer. Branching on the comparison lets the
 * processor continue with the computed address while the loads are in flight.
 */
static inline void sl_fiber_freeze(sl_fiber *fiber, size_t stack_size)
{
    char here;
    sl_fiber *guess = sl_fiber_at(&here, stack_size);
    if (fiber == sl_context_opaque(guess))
        sl_fiber_leave(guess, guess->back);
    else
        sl_fiber_leave(fiber, fiber->back);
}

/* Called on the fiber: freezes it, and continues `other`, which is frozen. When
 * `other` freezes or ends, control returns to the caller of this fiber's
 * sl_fiber_run. */
static inline void sl_fiber_pass(sl_fiber *fiber, sl_fiber *other)
{
    other->back = fiber->back;
    sl_fiber_leave(fiber, &other->here);
}

#endif
