/*
 * stop.c - see stop.h; run.h for how threads run.
 *
 * In the comments about stacks, v... are the values of a handover. The stack of
 * a held thread's C function has, from the bottom: the mark if the thread is
 * suspended (hold.h), any values, the value of the return target if there is
 * one, and the handover, v... and the target. The runner takes the handover.
 */

#include "thread/stop.h"

#include "thread/guest.h"
#include "thread/hold.h"
#include "thread/hook.h"
#include "thread/record.h"

/* Freezes the running thread. Meanwhile other threads may take the n values on
 * the top of L. */
static inline void stop_freeze(lua_State *L, sl_thread *t, int n)
{
    if (SL_LUAJIT && t->hook == SL_HOOK_OWN)
        sl_hook_freeze(L, t, n);
    else
        sl_fiber_freeze(t->fiber, SL_STACK_SIZE);
}

/* stop_freeze for a thread that waits. */
static void wait_freeze(lua_State *L, sl_thread *t, int n)
{
    int is_started = sl_hook_startgc(L, t->all);
    stop_freeze(L, t, n);
    sl_hook_stopgc(L, is_started);
    sl_thread_sync_vm(L, t->all);
}

/* --- waiting ----------------------------------------------------------- */

void sl_stop_check(lua_State *L, sl_threads *all, const char *what)
{
    if (all->running == NULL && sl_cannotyield(L))
        luaL_error(L, "%s must be called from a loop thread (see newthread)",
                   what);
}

sl_thread *sl_stop_makecurrent(lua_State *L, sl_threads *all)
{
    if (all->running == NULL)
        return sl_guest_new(L, all);
    sl_record_anchor(L, all->running);
    return all->running;
}

void sl_stop_disown(lua_State *L, sl_thread *t)
{
    if (sl_state_isguest(t))
        sl_record_release(L, t);
}

/* Whether L, which runs in t, can stop by a yield. */
static int wait_canyield(lua_State *L, const sl_thread *t)
{
    return L == t->co && sl_isyieldable(L) && t->hook == SL_HOOK_OFF;
}

/* Finds the record of a coroutine that has yielded to wait, by its address on
 * the coroutine's stack. Precondition: there is one. */
static sl_thread *wait_find(const sl_threads *all, lua_State *co)
{
    sl_thread *t = all->records;
    while (t->co != co || lua_touserdata(co, t->index) != t)
        t = t->next_record;
    return t;
}

/* The continuation of a wait, with SL_CONTINUES. The loop has resumed the
 * coroutine, with the results of the wait on the top, or the program has. */
static int wait_continue(lua_State *L, int status, sl_kcontext context)
{
    sl_threads *all = (sl_threads *)context;
    sl_thread *t = all->running;
    (void)status;
    if (t != NULL && t->co == L)    /* by the loop */
        return t->got.nvalues;
    if (all->closed)
        return luaL_error(L, SL_STATE_CLOSED);
    /* By the program: drops the passed values, and waits on. */
    lua_settop(L, wait_find(all, L)->index);
    return sl_yieldk(L, 0, context, wait_continue);
}

/* The arguments of the C function have to stay alive. They stay on the stack,
 * below the record; without SL_CONTINUES only if they are yielded. A guest
 * yields nothing, since its resumer would get the values: see hold.h. */
int sl_stop_wait(lua_State *L, sl_thread *t, sl_thread_results results)
{
    void *wait = t->wait;
    sl_target_pin(L, t);
    t->results = results;
    sl_state_wait(t);
    if (sl_state_isguest(t) || wait_canyield(L, t)) {
        lua_pushlightuserdata(L, t);    /* arguments, record */
        t->index = lua_gettop(L);
        return sl_yieldk(L, sl_state_isguest(t) ? 0 : t->index,
                         (sl_kcontext)t->all, wait_continue);
    }
    sl_stop_freeze(L, t);
    return results(L, wait);
}

void sl_stop_freeze(lua_State *L, sl_thread *t)
{
    sl_target_pin(L, t);
    sl_state_wait(t);
    wait_freeze(L, t, 0);
}

/* --- taking what control brings ---------------------------------------- */

/* [-0, +n, e] Slow path of control_take: many values, or a failure. */
static int control_takemany(lua_State *L, sl_thread *t)
{
    int n = t->got.nvalues;
    if (!sl_thread_makeroom(L, t->all, L, n + LUA_MINSTACK)) {
        lua_settop(t->stack, -n - 1);    /* the runner does not remove them */
        luaL_error(L, "too many values");
    }
    lua_xmove(t->stack, L, n);
    return n;
}

/* [-0, +n, e] For t, which was held and runs again: takes the values that
 * control brings from the stack of its runner. */
static inline int control_take(lua_State *L, sl_thread *t)
{
    int n = t->got.nvalues;
    if (n > SL_FAST_VALUES_MAX || t->got.kind == SL_FAILURE)
        return control_takemany(L, t);
    if (n > 0)
        lua_xmove(t->stack, L, n);
    return n;
}

/* [-0, +n, e] control_take for a transfer, which returns true before the values
 * if it is protected. Returns the number of all. */
static inline int control_taketransfer(lua_State *L, sl_thread *t,
                                       int is_protected)
{
    if (is_protected)
        lua_pushboolean(L, 1);
    return control_take(L, t) + is_protected;
}

/* --- handing over ------------------------------------------------------- */

/* The number of a handover's values on a stack, with its target. */
static inline int handover_size(sl_handover h)
{
    return h.kind != SL_NOTHING ? h.nvalues + 1 : 0;
}

/* [-m, +0, m] Holds the running thread, whose C function runs on L, in that
 * state. The m topmost values are what it hands over, if that is anything:
 * v..., target. Returns when control has come back. Inline, as the switch is
 * (context.h). */
static inline __attribute__((always_inline)) void
control_give(lua_State *L, sl_thread *t, enum sl_thread_state state,
             sl_handover given)
{
    int m = sl_target_save(L, t, handover_size(given));
    sl_hold_suspend_anchor(L, t);
    sl_state_hold(L, t, state, given);
    stop_freeze(L, t, m);
}

void sl_stop_unwind(lua_State *L, sl_thread *t, sl_handover given)
{
    sl_hook_checkhold(L, t);
    control_give(L, t, SL_CALLING, given);
    control_take(L, t);
}

void sl_stop_bypass(lua_State *L, sl_thread *t, sl_handover given)
{
    sl_target_pin(L, t);
    sl_state_wait(t);
    t->stack = L;
    t->given = given;
    wait_freeze(L, t, handover_size(given));
}

int sl_stop_suspend(lua_State *L, sl_threads *all)
{
    sl_thread *t = all->running;
    if (lua_gettop(L) > 0)
        lua_settop(L, 0);
    if (t == NULL) {    /* a coroutine that the program resumed */
        sl_hook_check(L, all);
        return lua_yield(L, 0);
    }
    sl_hook_checkhold(L, t);
    sl_hold_pushmark(L, t);
    control_give(L, t, SL_SUSPENDED, (sl_handover){SL_NOTHING, 0});
    return control_take(L, t);
}

int sl_stop_wake(sl_thread *t)
{
    if (t->state != SL_SUSPENDED)
        return 0;
    lua_State *L = t->stack;
    lua_pushthread(t->co);
    lua_xmove(t->co, L, 1);         /* [return target,] co */
    sl_hold_resume_anchor(L, t);    /* [return target] */
    sl_target_restore(L, t);
    t->got.nvalues = 0;
    sl_state_wait(t);
    return 1;
}

int sl_stop_transfer(lua_State *L, sl_threads *all, int n, int is_protected)
{
    sl_thread *t = all->running;
    luaL_checkstack(L, 5, "too many values");
    sl_hook_checkhold(L, t);
    sl_hold_pushmark(L, t);
    lua_insert(L, 1);    /* mark, ..., v..., target */
    control_give(L, t, SL_SUSPENDED, (sl_handover){SL_CONTROL, n});
    return control_taketransfer(L, t, is_protected);
}

/* The runner is not involved: it looks at all->running when a fiber returns to
 * it. */
int sl_stop_switch(lua_State *L, sl_thread *to, int n, int is_protected)
{
    sl_thread *t = to->all->running;
    lua_pushvalue(L, 1);    /* to, v..., to */
    if (!sl_hook_isoutside(L, t) || sl_hook_isstopped(to)) {
        lua_remove(L, 1);
        return sl_stop_transfer(L, to->all, n, is_protected);
    }
    sl_hold_pushmark(L, t);
    lua_replace(L, 1);    /* mark, v..., to */
    sl_target_save(L, t, n + 1);    /* mark, [return target,] v..., to */
    sl_hold_swap_slots(L, t, to);    /* pops `to`, anchors it instead of t */
    sl_target_restore(L, to);
    sl_state_hold(L, t, SL_SUSPENDED, (sl_handover){SL_NOTHING, 0});
    to->got.nvalues = n;
    if (to->loop == NULL)
        to->loop = t->loop;
    sl_state_enter(L, to, t->resumer, SL_CONTROL);    /* takes v... from L */
    sl_fiber_pass(t->fiber, to->fiber);
    return control_taketransfer(L, t, is_protected);
}
