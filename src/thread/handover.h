/*
 * handover.h - the handover (sl_handover) of a thread that stopped or whose
 * record ends. On a runner's stack L lie the values v... and the target above
 * them; with SL_NOTHING no values lie there.
 */

#ifndef SL_HANDOVER_H
#define SL_HANDOVER_H

#include "thread/hook.h"
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

/* Runs a thread until it stops: continues it if it is frozen, or else calls the
 * function on its empty C stack. Returns the thread that stopped. This may be
 * another one, to which t has handed control directly (sl_stop_switch). */
static inline sl_thread *sl_handover_run(lua_State *L, sl_thread *t,
                                         enum sl_handover_kind got,
                                         void (*function)(void *thread))
{
    sl_threads *all = t->all;
    sl_thread *self = all->running;
    if (SL_LUAJIT && sl_hook_mayrestore(t)) {
        sl_hook_run(L, t, got, function);
    } else {
        sl_state_enter(L, t, self, got);
        sl_fiber_run(t->fiber, function, t);
    }
    t = all->running;
    all->running = self;
    return t;
}

#endif
