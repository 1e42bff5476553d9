/*
 * target.h - return targets: where the values or the error of a thread go
 * when it ends (enum sl_return_to).
 *
 * The value of SL_RETURN_TO_VALUE lies in a slot of the record's while the
 * thread runs or waits. A held thread has it on its own stack, below what it
 * hands over: in a slot it would keep abandoned threads alive, which may refer
 * to one another, since 5.1 and LuaJIT have no ephemerons.
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

/* Clears the slot of the value: the target changes, or the value is saved. */
static inline void sl_target_clearvalue(sl_thread *t)
{
    if (t->return_to == SL_RETURN_TO_VALUE)
        sl_anchor_clear(t->anchors, t->slot + 1);
}

/* The target of a running or waiting thread is the one that called it. */
static inline void sl_target_setcaller(sl_thread *t)
{
    sl_target_clearvalue(t);
    t->return_to = SL_RETURN_TO_CALLER;
}

/* It has none. */
static inline void sl_target_setnobody(sl_thread *t)
{
    sl_target_clearvalue(t);
    t->return_to = SL_RETURN_TO_NOBODY;
}

/* [-0, +1, -] Pushes the value of the target of a running or waiting thread,
 * or nil if that is no value. */
static inline void sl_target_pushvalue(lua_State *L, const sl_thread *t)
{
    if (t->return_to == SL_RETURN_TO_VALUE)
        sl_anchor_push(L, t->anchors, t->slot + 1);
    else
        lua_pushnil(L);
}

/* [-0, +1, -] The same for a held thread, which has the value on the top of
 * its stack, as it hands nothing over any more. */
static inline void sl_target_copyheld(lua_State *L, const sl_thread *t)
{
    lua_pushvalue(t->stack, -1);
    lua_xmove(t->stack, L, 1);
}

/* [-0, +1, -] Pushes the target as a handover needs it: true for the runner,
 * a thread, or another value for nobody. The thread ends. */
void sl_target_pushlast(lua_State *L, sl_thread *t);

/* [-0, +(0|1), -] Pushes where coro.yield goes in the running thread: true for
 * the caller, or a thread; false if there is nobody. */
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

/* [-0, +0, -] The running thread stops, so another runner may run it when it
 * ends: a target that is the caller becomes a value. */
void sl_target_pin(lua_State *L, sl_thread *t);

/* [-0, +1, -] The slow part of sl_target_save. */
void sl_target_savevalue(lua_State *L, sl_thread *t, int n);

/* [-0, +(0|1), -] The running thread will be held: puts the value of its
 * target below the n topmost values of L. Returns how many values there are
 * then, with that one. */
static inline int sl_target_save(lua_State *L, sl_thread *t, int n)
{
    if (t->return_to != SL_RETURN_TO_CALLER &&
        t->return_to != SL_RETURN_TO_VALUE)
        return n;
    sl_target_savevalue(L, t, n);
    return n + 1;
}

/* [-0, +0, -] A held thread will run: takes the value back from its stack. */
static inline void sl_target_restore(lua_State *L, sl_thread *t)
{
    if (t->return_to != SL_RETURN_TO_VALUE)
        return;
    lua_xmove(t->stack, L, 1);
    sl_target_setvalue(L, t);
}

#endif
