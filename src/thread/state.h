/*
 * state.h - the states of threads: the transitions, and questions about them.
 * For the files of thread/ only.
 */

#ifndef SL_STATE_H
#define SL_STATE_H

#include "thread/thread.h"

/* Whether a thread is held: frozen until control comes to it. Its coroutine is
 * not anchored, and its record is found in the stopped table (hold.h). */
static inline int sl_state_isheld(const sl_thread *t)
{
    return t->state == SL_SUSPENDED || t->state == SL_CALLING;
}

/* Whether a thread that stopped takes values from its runner's stack as it
 * continues. */
static inline int sl_state_takes(const sl_thread *t)
{
    return t->state != SL_WAITING && sl_fiber_isfrozen(t->fiber);
}

/* Whether the thread is a guest: the program, not a runner, resumed its
 * coroutine (guest.h). */
static inline int sl_state_isguest(const sl_thread *t)
{
    return t->guest_in != NULL;
}

/* The thread begins to run on top of resumer (NULL: on the main frame). L is
 * the runner's stack, with the values that control brings to the thread. */
static inline void sl_state_enter(lua_State *L, sl_thread *t,
                                  sl_thread *resumer,
                                  enum sl_handover_kind kind)
{
    sl_threads *all = t->all;
    t->resumer = resumer;
    t->depth = resumer != NULL ? resumer->depth + 1 : 1;
    t->state = SL_RUNNING;
    t->stack = L;
    t->got.kind = kind;
    all->running = t;
}

/* The running thread, whose C function runs on L, is about to be held. Its
 * handover lies on the top of L. */
static inline void sl_state_hold(lua_State *L, sl_thread *t,
                                 enum sl_thread_state state,
                                 sl_handover given)
{
    t->stack = L;
    t->state = (unsigned char)state;
    t->given = given;
}

/* The running thread is about to wait. */
static inline void sl_state_wait(sl_thread *t)
{
    t->state = SL_WAITING;
    t->given.kind = SL_NOTHING;
}

/* Adds the record to the list of unused ones. */
static inline void sl_state_free(sl_thread *t)
{
    t->co = NULL;
    t->state = SL_UNUSED;
    t->next_free = t->all->free;
    t->all->free = t;
}

/* Returns the thread's C stack, if it has one, to the pool. A function that is
 * frozen there is dropped. */
static inline void sl_state_givefiber(sl_thread *t)
{
    if (t->fiber != NULL)
        sl_fiber_give(&t->all->fibers, t->fiber);
    t->fiber = NULL;
}

#endif
