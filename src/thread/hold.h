/*
 * hold.h - holding threads. A held thread is suspended, or its runner unwound
 * (state.h). Its record does not anchor the coroutine: if nothing else refers
 * to that, it is collected, and the record and the C stack are used again.
 *
 * So a held thread is known by its coroutine, in the stopped table: coroutine
 * -> holder, with weak keys. A thread gets a holder when it is held first. The
 * finalizer of the holder gives the C stack back. The thread and its holder
 * refer to each other as long as the holder is in the table: the next thread
 * of the same coroutine may put its own there.
 *
 * A guest without a continuation has a holder, too: it keeps the arguments of
 * the C function that yielded, as they don't stay on the coroutine's stack.
 */

#ifndef SL_HOLD_H
#define SL_HOLD_H

#include "thread/target.h"

struct sl_holder {
    sl_threads *all;      /* borrowed */
    sl_thread *thread;    /* owned while that is held; or NULL */
};

/* () The finalizer of holders. */
int sl_hold_gc(lua_State *L);

/* [-0, +0, m] The running thread, which has no holder, gets one. */
void sl_hold_makeholder(lua_State *L, sl_thread *t);

/* [-1, +0, m] The coroutine on the top, in which a guest will be, gets a
 * holder that keeps the n values at the bottom of L. Returns it. */
sl_holder *sl_hold_keepvalues(lua_State *L, sl_threads *all, int n);

/* From now on the thread and the holder refer to each other. */
void sl_hold_link(sl_holder *holder, sl_thread *t);

/* [-0, +0, -] Takes the thread's holder out of the stopped table. */
void sl_hold_forget(lua_State *L, sl_thread *t);

/* --- anchors ------------------------------------------------------------ */

/* The record does not anchor the coroutine any more. */
static inline void sl_hold_clearslot(sl_thread *t)
{
    sl_anchor_clear(t->anchors, t->slot);
    t->anchored = 0;
}

/* [-0, +0, m] The running thread is about to be held: neither it nor the value
 * of its target, which is saved on its stack, is anchored any more. */
static inline void sl_hold_suspend_anchor(lua_State *L, sl_thread *t)
{
    if (t->holder == NULL)
        sl_hold_makeholder(L, t);
    sl_target_clearvalue(t);
    if (t->anchored)
        sl_hold_clearslot(t);
}

/* [-1, +0, -] Anchors a held thread, whose coroutine is on the top: it is about
 * to run. */
static inline void sl_hold_resume_anchor(lua_State *L, sl_thread *t)
{
    t->state = SL_RUNNING;
    t->anchored = 1;
    sl_anchor_set(L, t->anchors, t->slot);
}

/* [-1, +0, m] suspend_anchor for one thread and resume_anchor for another, on
 * the top, in one step. They swap their slots, so that nothing is cleared: the
 * slot of the one is overwritten with the other. */
static inline void sl_hold_swap_slots(lua_State *L, sl_thread *held,
                                      sl_thread *other)
{
    if (held->holder == NULL)
        sl_hold_makeholder(L, held);
    sl_target_clearvalue(held);
    if (held->anchored) {
        lua_State *anchors = held->anchors;
        int slot = held->slot;
        held->anchors = other->anchors;
        held->slot = other->slot;
        other->anchors = anchors;
        other->slot = slot;
        held->anchored = 0;
    }
    sl_hold_resume_anchor(L, other);
}

/* --- finding ------------------------------------------------------------ */

/* A number that is at the first index of the C function in which a thread is
 * suspended, and only there. It tells the thread from another coroutine at
 * the same address. It is made of the record's address, and never whole.
 * (LuaJIT takes three times as long for a light userdata.) */
static inline double sl_hold_mark(const sl_thread *t)
{
    return (double)(uintptr_t)t + 0.5;
}

/* The record that has that mark. */
static inline sl_thread *sl_hold_ofmark(double mark)
{
    return (sl_thread *)(uintptr_t)mark;
}

/* [-0, +1, -] Pushes the mark of a thread. */
static inline void sl_hold_pushmark(lua_State *L, const sl_thread *t)
{
    lua_pushnumber(L, sl_hold_mark(t));
}

/* Where the last look-up of that coroutine is remembered. */
static inline sl_thread **sl_hold_remembered(sl_threads *all, lua_State *co)
{
    return &all->recent[(uintptr_t)co / 64 % SL_RECENT];
}

/* [-0, +0, -] The record of a suspended thread that was looked up lately, or
 * NULL. The one that is remembered may be of a coroutine that was collected,
 * and co may be a new one at its address: but then co has no such mark. */
static inline sl_thread *sl_hold_recent(sl_threads *all, lua_State *co)
{
    sl_thread *t = *sl_hold_remembered(all, co);
    return t != NULL && t->co == co && sl_state_isheld(t) &&
           lua_tonumber(co, 1) == sl_hold_mark(t) ? t : NULL;
}

/* [-0, +0, -] The record of the held thread at index, or NULL. */
sl_thread *sl_hold_find(lua_State *L, sl_threads *all, int index);

/* [-0, +0, -] The record that has a holder in the stopped table for the
 * coroutine at index, held or not; or NULL. */
sl_thread *sl_hold_stopped(lua_State *L, sl_threads *all, int index);

#endif
