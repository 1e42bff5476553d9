/*
 * hold.h - held threads. A held thread is suspended, or its runner unwound
 * (state.h). Its record does not anchor the coroutine: if nothing else refers
 * to the coroutine, it is collected, and the record and the C stack are reused.
 *
 * The stopped table, with weak keys, has the holder of each coroutine; the
 * record of a held thread is found there. A thread gets a holder when it is
 * first held. The finalizer of the holder gives the C stack back. Thread and
 * holder refer to each other as long as the holder is in the table: a later
 * thread of the same coroutine may replace it there.
 *
 * A guest without a continuation (SL_CONTINUES) has a holder, too. This holder
 * keeps the arguments of the C function that yielded, which do not stay on the
 * coroutine's stack.
 */

#ifndef SL_HOLD_H
#define SL_HOLD_H

#include "thread/target.h"

struct sl_holder {
    sl_threads *all;      /* borrowed */
    sl_thread *thread;    /* owned while the thread is held; or NULL */
};

/* () -> nothing. The finalizer of holders. */
int sl_hold_gc(lua_State *L);

/* [-0, +0, m] Makes a holder for the running thread, which has none. */
void sl_hold_makeholder(lua_State *L, sl_thread *t);

/* [-1, +0, m] For a guest: makes a holder for the coroutine on the top, which
 * keeps the n values at the bottom of L. Returns the holder. */
sl_holder *sl_hold_keepvalues(lua_State *L, sl_threads *all, int n);

/* Makes the thread and the holder refer to each other. */
void sl_hold_link(sl_holder *holder, sl_thread *t);

/* [-0, +0, -] Takes the thread's holder out of the stopped table. */
void sl_hold_forget(lua_State *L, sl_thread *t);

/* --- anchors ------------------------------------------------------------ */

/* Ends the anchoring of the coroutine. */
static inline void sl_hold_clearslot(sl_thread *t)
{
    sl_anchor_clear(t->anchors, t->slot);
    t->anchored = 0;
}

/* [-0, +0, m] For the running thread, which is about to be held: ends the
 * anchoring of the coroutine and of its target's value, which was saved on the
 * stack. */
static inline void sl_hold_suspend_anchor(lua_State *L, sl_thread *t)
{
    if (t->holder == NULL)
        sl_hold_makeholder(L, t);
    sl_target_clearvalue(t);
    if (t->anchored)
        sl_hold_clearslot(t);
}

/* [-1, +0, -] For a held thread, which is about to run: anchors its coroutine,
 * which is on the top. */
static inline void sl_hold_resume_anchor(lua_State *L, sl_thread *t)
{
    t->state = SL_RUNNING;
    t->anchored = 1;
    sl_anchor_set(L, t->anchors, t->slot);
}

/* [-1, +0, m] sl_hold_suspend_anchor for `held` and sl_hold_resume_anchor for
 * `other`, whose coroutine is on the top, in one step. The two swap slots, so
 * no slot is cleared. */
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

/* The mark of a thread: a number at index 1 of the C function in which the
 * thread is suspended. It proves that a coroutine is that thread, and not
 * another one at the same address. It is the record's address and a half. (A
 * light userdata takes LuaJIT three times as long.) */
static inline double sl_hold_mark(const sl_thread *t)
{
    return (double)(uintptr_t)t + 0.5;
}

/* The record with that mark. */
static inline sl_thread *sl_hold_ofmark(double mark)
{
    return (sl_thread *)(uintptr_t)mark;
}

/* [-0, +1, -] Pushes the mark of a thread. */
static inline void sl_hold_pushmark(lua_State *L, const sl_thread *t)
{
    lua_pushnumber(L, sl_hold_mark(t));
}

/* The entry of `recent` for that coroutine. */
static inline sl_thread **sl_hold_remembered(sl_threads *all, lua_State *co)
{
    return &all->recent[(uintptr_t)co / 64 % SL_RECENT];
}

/* [-0, +0, -] The record of a suspended thread that was looked up recently, or
 * NULL. The coroutine of the entry may have been collected, and co may be a new
 * one at its address. But then co does not have the mark. */
static inline sl_thread *sl_hold_recent(sl_threads *all, lua_State *co)
{
    sl_thread *t = *sl_hold_remembered(all, co);
    return t != NULL && t->co == co && sl_state_isheld(t) &&
           lua_tonumber(co, 1) == sl_hold_mark(t) ? t : NULL;
}

/* [-0, +0, -] The record of the held thread at index, or NULL. */
sl_thread *sl_hold_find(lua_State *L, sl_threads *all, int index);

/* [-0, +0, -] The record whose holder is in the stopped table for the coroutine
 * at index, whether it is held or not; or NULL. */
sl_thread *sl_hold_stopped(lua_State *L, sl_threads *all, int index);

#endif
