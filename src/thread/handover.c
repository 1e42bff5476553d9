/*
 * handover.c - see handover.h.
 */

#include "thread/handover.h"

#include "thread/failure.h"
#include "thread/hook.h"
#include "thread/record.h"

static const sl_handover nothing = {SL_NOTHING, 0};

/* [-0, +(n + 1), e] Moves the handover of a frozen thread to this stack. */
static sl_handover handover_fetch(lua_State *L, const sl_thread *t)
{
    int n = t->given.nvalues + 1;    /* with the target */
    if (t->given.kind == SL_FAILURE)
        sl_thread_sync_vm(L, t->all);
    if (n > SL_FAST_VALUES_MAX &&
        !sl_thread_makeroom(L, t->all, L, n + LUA_MINSTACK)) {
        lua_settop(t->stack, -n - 1);
        luaL_error(L, "too many values");
    }
    lua_xmove(t->stack, L, n);
    return t->given;
}

/* [-0, +(n + 1), e] Moves the results of a thread that yielded or ended from
 * its own stack to L, and pushes its target. */
static sl_handover handover_results(lua_State *L, sl_thread *t)
{
    int n = t->given.nvalues;
    if (n > SL_FAST_VALUES_MAX &&
        !sl_thread_makeroom(L, t->all, L, n + LUA_MINSTACK)) {
        lua_settop(t->co, 0);
        sl_record_release(L, t);
        luaL_error(L, "too many values");
    }
    lua_xmove(t->co, L, n);
    sl_target_pushlast(L, t);
    return (sl_handover){SL_CONTROL, n};
}

void sl_handover_endfailed(lua_State *L, sl_thread *t)
{
    sl_record_release(L, t);
    lua_pushvalue(L, -4);    /* target, thread, error, traceback, target */
    lua_remove(L, -5);       /* thread, error, traceback, target */
}

/* [-0, +4, -] Ends the record of a thread that has failed; pushes the failure
 * and the target. */
static sl_handover handover_failure(lua_State *L, sl_thread *t)
{
    sl_target_pushlast(L, t);
    sl_failure_push(L, t);    /* target, thread, error, traceback */
    sl_handover_endfailed(L, t);
    return (sl_handover){SL_FAILURE, 3};
}

/* [-0, +n, e] Ends the record of a thread whose function has returned; pushes
 * the handover. */
static sl_handover handover_end(lua_State *L, sl_thread *t)
{
    sl_handover h = nothing;
    if (t->return_to == SL_RETURN_TO_NONE) {
        lua_settop(t->co, 0);
        sl_anchor_push(t->co, t->all->values, SL_VALUE_LOST);
        return handover_failure(L, t);
    }
    if (t->return_to != SL_RETURN_TO_RUNNER)
        h = handover_results(L, t);
    lua_settop(t->co, 0);
    sl_record_release(L, t);
    return h;
}

/* [-0, +n, e] Pushes the handover of a thread that has yielded: nothing if it
 * waits. After a coroutine.yield the values go to the target, and the record
 * ends. */
static sl_handover handover_yield(lua_State *L, sl_thread *t)
{
    sl_handover h = nothing;
    if (t->state == SL_WAITING)
        return h;
    if (t->return_to == SL_RETURN_TO_CALLER ||
        t->return_to == SL_RETURN_TO_VALUE)
        h = handover_results(L, t);
    lua_settop(t->co, 0);
    sl_record_release(L, t);
    return h;
}

/* [-0, +n, e] Pushes the handover of a thread that has stopped. */
static sl_handover handover_push(lua_State *L, sl_thread *t)
{
    if (sl_handover_isnothing(t))
        return nothing;
    if (sl_fiber_isfrozen(t->fiber))
        return handover_fetch(L, t);
    sl_state_givefiber(t);
    if (SL_LUAJIT && t->hook == SL_HOOK_OWN)
        sl_hook_end(L, t);
    switch (t->status) {
    case LUA_OK:
        return handover_end(L, t);
    case LUA_YIELD:
        return handover_yield(L, t);
    default:
        return handover_failure(L, t);
    }
}

sl_handover sl_handover_take(lua_State *L, sl_thread *t, void **loop)
{
    while (sl_failure_mustclose(t)) {
        sl_failure_keep(L, t);
        t = sl_handover_run(L, t, SL_CONTROL, sl_failure_close);
    }
    *loop = t->loop;    /* the record may end now */
    return handover_push(L, t);
}
