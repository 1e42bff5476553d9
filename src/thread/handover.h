/*
 * handover.h - the handover (sl_handover) of a thread that stopped or whose
 * record ends. On a runner's stack L lie the values v... and the target above
 * them; with SL_NOTHING no values lie there.
 */

#ifndef SL_HANDOVER_H
#define SL_HANDOVER_H

#include "thread/target.h"

/* Whether a thread that stopped is frozen and hands nothing over. */
static inline int sl_handover_isnothing(const sl_thread *t)
{
    return sl_fiber_isfrozen(t->fiber) && t->given.kind == SL_NOTHING;
}

/* [-0, +(n + 1), e] Pushes the handover of t, which has stopped. If t has
 * failed it closes its variables first, in which it may stop again. *loop is
 * the loop of the thread that stopped last. */
sl_handover sl_handover_take(lua_State *L, sl_thread *t, void **loop);

/* [-4, +4, -] Ends the record of a thread that failed or will not continue.
 * Moves the target from below thread, error and traceback to the top. */
void sl_handover_endfailed(lua_State *L, sl_thread *t);

#endif
