/*
 * handover.h - what a thread that stopped, or whose record ends, hands over
 * (sl_handover). On a runner's stack L lie v... (the values) and the target
 * above them; with SL_NOTHING nothing lies there.
 */

#ifndef SL_HANDOVER_H
#define SL_HANDOVER_H

#include "thread/target.h"

/* Whether a thread that stopped froze, and hands nothing over. */
static inline int sl_handover_isnothing(const sl_thread *t)
{
    return sl_fiber_isfrozen(t->fiber) && t->given.kind == SL_NOTHING;
}

/* [-0, +(n + 1), e] The thread t has stopped: pushes its handover. If t has
 * failed it closes its variables first, and may stop again in that. *loop: the
 * loop of the thread that stopped. */
sl_handover sl_handover_take(lua_State *L, sl_thread *t, void **loop);

/* [-4, +4, -] Ends the record of a thread that failed, or will not go on: moves
 * the target to the top, from below thread, error and traceback. */
void sl_handover_endfailed(lua_State *L, sl_thread *t);

#endif
