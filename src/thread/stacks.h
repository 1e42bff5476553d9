/*
 * stacks.h - C stacks for threads. Lua's collector does not know how much
 * memory they take, so it is run when they are many.
 */

#ifndef SL_STACKS_H
#define SL_STACKS_H

#include "thread/thread.h"

typedef char sl_stack_size_is_a_power_of_two
    [SL_STACK_SIZE >= 256 * 1024 &&
     (SL_STACK_SIZE & (SL_STACK_SIZE - 1)) == 0 ? 1 : -1];

void sl_stacks_init(sl_threads *all);

/* Whether an idle C stack exists. */
static inline int sl_stacks_isreserved(const sl_threads *all)
{
    return all->fibers.idle != NULL;
}

/* [-0, +0, e] Makes sure that an idle C stack exists. Collects garbage if many
 * stacks are in use, or if there is no memory. */
void sl_stacks_reserve(lua_State *L, sl_threads *all);

#endif
