/*
 * target.h - return targets: where the values or the error of a thread go
 * when it ends (enum sl_return_to).
 *
 * The value of SL_RETURN_TO_VALUE lies in a slot of the record while the thread
 * runs or waits. A held thread has the value on its own stack, below its
 * handover. In a slot the value would keep abandoned threads alive, which may
 * refer to one another: 5.1 and LuaJIT have no ephemerons.
 */

#ifndef SL_TARGET_H
#define SL_TARGET_H

#include "thread/state.h"

/* [-1, +0, -] Sets the target to the value on the top. */
static inline void sl_target_setvalue(lua_State *L, sl_thread *t)
{
    t->return_to = SL_RETURN_TO_VALUE;
    sl_anchor_set(L, t->anchors, t->slot + 1);
}

/* Clears the slot of the value, before the target changes or after the value is
 * saved. */
static inline void sl_target_clearvalue(sl_thread *t)
{
    if (t->return_to == SL_RETURN_TO_VALUE)
        sl_anchor_clear(t->anchors, t->slot + 1);
}

/* Sets the target of a running or waiting thread to its caller. */
static inline void sl_target_setcaller(sl_thread *t)
{
    sl_target_clearvalue(t);
    t->return_to = SL_RETURN_TO_CALLER;
}

/* Sets the target of a running or waiting thread to none. */
static inline void sl_target_setnone(sl_thread *t)
{
    sl_target_clearvalue(t);
    t->return_to = SL_RETURN_TO_NONE;
}

/* [-0, +1, -] Pushes the value of the target of a running or waiting thread;
 * nil if the target is not SL_RETURN_TO_VALUE. */
static inline void sl_target_pushvalue(lua_State *L, const sl_thread *t)
{
    if (t->return_to == SL_RETURN_TO_VALUE)
        sl_anchor_push(L, t->anchors, t->slot + 1);
    else
        lua_pushnil(L);
}

/* [-0, +1, -] sl_target_pushvalue for a held thread whose handover was taken:
 * the value is on the top of its stack, and stays there. */
static inline void sl_target_copyheld(lua_State *L, const sl_thread *t)
{
    lua_pushvalue(t->stack, -1);
    lua_xmove(t->stack, L, 1);
}

/* [-0, +1, -] Pushes the target of a thread that ends, in the form of a
 * handover: true for the runner, a thread, or another value for none. */
void sl_target_pushlast(lua_State *L, sl_thread *t);

/* [-0, +(0|1), -] Pushes the target of a coro.yield in the running thread: true
 * for the caller, or a thread. False if there is none. */
static inline int sl_target_pushyield(lua_State *L, const sl_thread *t)
{
    if (t->return_to == SL_RETURN_TO_CALLER) {
        lua_pushboolean(L, 1);
        return 1;
    }
    sl_target_pushvalue(L, t);
    if (lua_isthread(L, -1))
        return 1;
    lua_pop(L, 1);
    return 0;
}

/* [-0, +0, -] The running thread is about to stop, and another runner may run
 * it when it ends: replaces the target SL_RETURN_TO_CALLER by the caller's
 * thread. */
void sl_target_pin(lua_State *L, sl_thread *t);

/* [-0, +1, -] Slow path of sl_target_save. */
void sl_target_savevalue(lua_State *L, sl_thread *t, int n);

/* [-0, +(0|1), -] The running thread is about to be held: inserts the value of
 * its target below the n topmost values of L. Returns the number of these
 * values, with the inserted one. */
static inline int sl_target_save(lua_State *L, sl_thread *t, int n)
{
    if (t->return_to != SL_RETURN_TO_CALLER &&
        t->return_to != SL_RETURN_TO_VALUE)
        return n;
    sl_target_savevalue(L, t, n);
    return n + 1;
}

/* [-0, +0, -] A held thread is about to run: moves the value of its target from
 * its stack to the slot. */
static inline void sl_target_restore(lua_State *L, sl_thread *t)
{
    if (t->return_to != SL_RETURN_TO_VALUE)
        return;
    lua_xmove(t->stack, L, 1);
    sl_target_setvalue(L, t);
}

#endif
