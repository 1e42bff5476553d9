/*
 * run.c - running threads: what a base does. See thread.h.
 */

#include "thread/run.h"

#include "thread/arg.h"
#include "thread/failure.h"
#include "thread/hook.h"
#include "thread/record.h"

/* --- running one thread ------------------------------------------------ */

/* [-0, +(n + 1), e] Brings it from another stack to this one. */
static void bring(lua_State *L, sl_threads *all, lua_State *from)
{
    int n = all->nvalues + 1;
    if (all->passing == SL_FAILURE)
        sl_thread_sync_vm(L, all);
    if (n > SL_FEW && !sl_thread_hasroom(L, all, L, n + LUA_MINSTACK)) {
        lua_settop(from, -n - 1);
        luaL_error(L, "too many values");
    }
    lua_xmove(from, L, n);
}

/* [-0, +1, -] Pushes for whom is what t gives when it ends or fails. */
static void push_destination(lua_State *L, sl_thread *t)
{
    if (t->home == SL_HOME_BASE || t->home == SL_HOME_CALLER) {
        lua_pushboolean(L, 1);
        return;
    }
    sl_record_pushhome(L, t);
    if (lua_istable(L, -1)) {
        lua_pushnil(L);
        lua_rawseti(L, -2, 2);
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
    }
}

/* [-0, +(n + 1), e] The thread yielded, or ended, with n values that are for
 * its home. */
static void pass_results(lua_State *L, sl_thread *t)
{
    int n = t->nresults;
    if (n > SL_FEW && !sl_thread_hasroom(L, t->all, L, n + LUA_MINSTACK)) {
        lua_settop(t->co, 0);
        sl_record_release(L, t);
        luaL_error(L, "too many values");
    }
    lua_xmove(t->co, L, n);
    push_destination(L, t);
    sl_thread_pass(t->all, SL_CONTROL, n);
}

/* [-3, +4, -] The record of a thread ends with the failure on the top: puts
 * whom that goes to, which lies below, above it. */
static void end_failed(lua_State *L, sl_thread *t)
{
    sl_record_release(L, t);
    lua_pushvalue(L, -4);
    lua_remove(L, -5);
}

/* [-0, +4, -] Buries a thread that failed: passes on the thread, the error and
 * a traceback. */
static void bury(lua_State *L, sl_thread *t)
{
    sl_threads *all = t->all;
    push_destination(L, t);
    sl_failure_push(L, t);
    end_failed(L, t);
    sl_thread_pass(all, SL_FAILURE, 3);
}

/* [-0, +n, e] The thread's function has returned. */
static void end(lua_State *L, sl_thread *t)
{
    if (t->home == SL_HOME_NOBODY) {
        lua_settop(t->co, 0);
        sl_anchor_push(t->co, t->all->values, SL_VALUE_LOST);
        bury(L, t);
        return;
    }
    if (t->home != SL_HOME_BASE)
        pass_results(L, t);
    lua_settop(t->co, 0);
    sl_record_release(L, t);
}

/* [-0, +n, e] The thread yielded: in a wait, or by coroutine.yield, which
 * gives the values to its home. */
static void yielded(lua_State *L, sl_thread *t)
{
    if (t->state == SL_WAITING)
        return;
    if (t->home == SL_HOME_CALLER || t->home == SL_HOME_VALUE)
        pass_results(L, t);
    lua_settop(t->co, 0);
    sl_record_release(L, t);
}

static void resume_on_fiber(void *arg)
{
    sl_thread *t = arg;
    t->status = sl_resume(t->co, t->stack, t->nargs, &t->nresults);
}

/* Runs a thread, or the function on its fiber if that is empty, until it stops,
 * or until one does to which it has handed control directly; returns the one
 * that stopped. */
static inline sl_thread *run(lua_State *L, sl_thread *t, int got,
                             void (*function)(void *thread))
{
    sl_threads *all = t->all;
    sl_thread *base = all->running;
    sl_thread_rise(L, t, base, got);
    sl_fiber_run(t->fiber, function, t);
    t = all->running;
    all->running = base;
    return t;
}

/* The thread has failed: it closes its variables, in which it may stop again.
 * Returns the one that stopped. */
static sl_thread *close_variables(lua_State *L, sl_thread *t)
{
    sl_failure_keep(L, t);
    return run(L, t, SL_CONTROL, sl_failure_close);
}

/* [-0, +n, e] The thread has stopped: pushes what it passes on. */
static void collect(lua_State *L, sl_thread *t)
{
    sl_threads *all = t->all;
    if (sl_fiber_isfrozen(t->fiber)) {
        if (all->passing != SL_NOTHING)
            bring(L, all, t->stack);
        return;
    }
    sl_fiber_give(&all->fibers, t->fiber);
    t->fiber = NULL;
    if (SL_LUAJIT && t->hook == SL_HOOK_OWN)
        sl_hook_end(L, t);
    if (t->status == LUA_YIELD)
        yielded(L, t);
    else if (t->status == LUA_OK)
        end(L, t);
    else
        bury(L, t);
}

/* [-0, +n, e] The thread has stopped: closes its variables if it failed, and
 * pushes what is passed on. Returns the loop of the thread that passes it. */
static void *settle(lua_State *L, sl_thread *t)
{
    while (sl_failure_mustclose(t))
        t = close_variables(L, t);
    void *loop = t->loop;
    collect(L, t);
    return loop;
}

/* --- the base ---------------------------------------------------------- */

/* Whether the coroutine on the top is fresh or has yielded, by Lua's means. */
static int is_revivable(lua_State *L, sl_threads *all)
{
    enum sl_where where = sl_where_get(L, all, lua_gettop(L));
    return where == SL_IS_FRESH ||
           (where == SL_IS_SUSPENDED && sl_record_held(L, all, -1) == NULL);
}

/* [-1, +0, e] Such a coroutine gets a record and a fiber. */
static sl_thread *revive_yielded(lua_State *L, sl_threads *all)
{
    lua_State *co = lua_tothread(L, -1);
    int n = all->nvalues;
    all->passing = SL_NOTHING;    /* if this fails */
    sl_thread_reserve(L, all, co, n + 1);
    if (!is_revivable(L, all))
        luaL_error(L, "a finalizer has resumed the coroutine before");
    sl_thread *t = sl_record_acquire(L, all, NULL);
    int is_fresh = lua_status(co) != LUA_YIELD;
    if (is_fresh)
        t->home = SL_HOME_NOBODY;
    else
        lua_settop(co, 0);
    lua_xmove(L, co, n);
    t->nargs = lua_gettop(co) - is_fresh;    /* its function lies below */
    t->fiber = sl_fiber_take(&all->fibers);
    return t;
}

/* [-1, +0, e] The thread on the top is to run next, and takes the values below
 * it unless it is frozen. NULL if it cannot, and then it's still there. */
static sl_thread *revive(lua_State *L, sl_threads *all)
{
    if (!lua_isthread(L, -1))
        return NULL;
    sl_thread *t = sl_record_held(L, all, -1);
    if (t != NULL && (all->passing != SL_FAILURE || t->state == SL_CALLING)) {
        sl_thread_revive(L, t, all->nvalues);
        return t;
    }
    if (all->passing == SL_FAILURE)
        return NULL;    /* an error cannot be raised in one that yielded */
    return is_revivable(L, all) ? revive_yielded(L, all) : NULL;
}

/* Whether the value on the top of a stopped stack is the base's thread. */
static int is_self(sl_threads *all, lua_State *L, lua_State *stopped)
{
    lua_State *home = lua_tothread(stopped, -1);
    return all->running != NULL ? home == all->running->co : home == L;
}

/* [-0, +0, -] The thread at index waits, or is a base itself: its home, if
 * that is the base's thread, is nobody. */
static void forget_unheld(lua_State *L, sl_threads *all, int index)
{
    sl_thread *t = sl_thread_find(all, lua_tothread(L, index));
    if (t == NULL || t->home != SL_HOME_VALUE)
        return;
    sl_record_pushhome(L, t);
    if (is_self(all, L, L)) {
        sl_record_clearhome(t);
        t->home = SL_HOME_NOBODY;
    }
    lua_pop(L, 1);
}

void sl_run_forget(lua_State *L, sl_threads *all, int index)
{
    sl_thread *t = sl_record_held(L, all, index);
    if (t != NULL && t->home == SL_HOME_VALUE && is_self(all, L, t->stack)) {
        lua_pop(t->stack, 1);
        t->home = SL_HOME_NOBODY;
    } else if (t == NULL) {
        enum sl_where where = sl_where_get(L, all, index);
        if (where == SL_IS_WAITING || where == SL_IS_BELOW)
            forget_unheld(L, all, index);
    }
}

/* Whether control can come back to that thread below the base's own. */
static int is_below(sl_threads *all, lua_State *co)
{
    if (all->running == NULL)
        return 0;
    for (sl_thread *t = all->running->resumer; t != NULL; t = t->resumer)
        if (t->co == co)
            return 1;
    return sl_thread_isbottom(all, co);
}

/* [-(n + 1), +0, e] The same where nobody knows the base's thread, so nobody
 * will hand it control. */
static enum sl_outcome leave(lua_State *L, sl_thread *base)
{
    sl_record_anchor(L, base);
    base->stack = L;
    base->left(base);
    sl_stop_freeze(L, base);
    return SL_STOPPED;
}

/* [-(n + 1), +n, e] The base's thread freezes, and passes on what lies on the
 * top of L. Returns how control came back, with what it brought. */
static enum sl_outcome descend(lua_State *L, sl_thread *base)
{
    sl_threads *all = base->all;
    int passing = all->passing;
    if (base->left != NULL)
        return leave(L, base);
    all->passing = SL_NOTHING;    /* if this fails, */
    if (!SL_LUAJIT && base->base_hook == SL_HOOK_FINALIZER)
        lua_gc(L, LUA_GCSTOP, 0);    /* as it does then: drive_in_finalizer */
    sl_thread_hold(L, base, SL_CALLING, passing, all->nvalues);
    sl_thread_take(L, base);
    return base->got == SL_FAILURE ? SL_FAILED : SL_RETURNED;
}

/* [-(n + 1), +n, e] What is passed on is for somebody who cannot be reached:
 * an error goes to the bottom, values are lost. */
static enum sl_outcome give_up(lua_State *L, sl_threads *all, int passes_on)
{
    if (all->passing == SL_CONTROL) {
        lua_pop(L, all->nvalues + 1);
        all->passing = SL_NOTHING;
    }
    if (passes_on)
        return descend(L, all->running);
    if (all->passing == SL_NOTHING)
        return SL_STOPPED;
    lua_pop(L, 1);
    return SL_FAILED;
}

/* [-(n + 1), +n, e] A thread of that loop has passed on what lies on the top:
 * runs whoever gets it, until control comes back to the base. */
static enum sl_outcome go_on(lua_State *L, sl_threads *all, void *loop,
                             int passes_on)
{
    sl_thread *base = all->running;
    lua_State *self = base != NULL ? base->co : L;
    for (;;) {
        if (all->passing == SL_NOTHING)
            return passes_on ? descend(L, base) : SL_STOPPED;
        lua_State *to = lua_tothread(L, -1);
        if (to == self || lua_isboolean(L, -1) ||
            (base == NULL && to != NULL && sl_ismain(to))) {
            lua_pop(L, 1);
            return all->passing == SL_FAILURE ? SL_FAILED : SL_RETURNED;
        }
        if (to != NULL && is_below(all, to))
            return descend(L, base);
        sl_thread *t = revive(L, all);
        if (t == NULL)
            return give_up(L, all, passes_on);
        if (t->loop == NULL)
            t->loop = loop;
        int got = all->passing;
        all->passing = SL_NOTHING;
        loop = settle(L, run(L, t, got, resume_on_fiber));
    }
}

/* [-0, +n, e] Makes the running function the base that runs t. hook: where it
 * is, of enum sl_hook. */
static inline enum sl_outcome drive_here(lua_State *L, sl_thread *t,
                                         int passes_on, int hook)
{
    sl_threads *all = t->all;
    if (all->running == NULL) {
        all->bottom = L;
        all->base_hook = hook;
        passes_on = 0;
    } else {
        sl_hook_checkclosing(L, all);
        all->running->base_hook = (unsigned char)hook;
    }
    t = run(L, t, SL_CONTROL, resume_on_fiber);
    if (all->passing == SL_NOTHING && !passes_on &&
        sl_fiber_isfrozen(t->fiber))
        return SL_STOPPED;
    void *loop = settle(L, t);
    if (all->passing == SL_NOTHING && !passes_on)
        return SL_STOPPED;
    enum sl_outcome outcome = go_on(L, all, loop, passes_on);
    all->passing = SL_NOTHING;
    return outcome;
}

/* The same in a finalizer. Where that turns the collector off for others, too,
 * it is on meanwhile. */
static enum sl_outcome drive_in_finalizer(lua_State *L, sl_thread *t,
                                          int passes_on)
{
    int is_off = !SL_LUAJIT && sl_canrestart(L);
    if (t->all->running != NULL)
        sl_hook_checkclosing(L, t->all);
    if (is_off)
        lua_gc(L, LUA_GCRESTART, 0);
    enum sl_outcome outcome = drive_here(L, t, passes_on, SL_HOOK_FINALIZER);
    sl_hook_stopgc(L, is_off);
    return outcome;
}

/* The same anywhere. */
static inline enum sl_outcome drive(lua_State *L, sl_thread *t, int passes_on,
                                    int hook)
{
    return hook == SL_HOOK_FINALIZER ? drive_in_finalizer(L, t, passes_on)
                                     : drive_here(L, t, passes_on, hook);
}

int sl_run_drive(lua_State *L, sl_thread *t, int passes_on, sl_run_after after)
{
    return after(L, drive(L, t, passes_on, sl_hook_ofbase(L, t->all)));
}

sl_thread *sl_run_ready(lua_State *L, sl_threads *all, int n)
{
    luaL_checkstack(L, LUA_MINSTACK, "too many values");
    sl_thread_pass(all, SL_CONTROL, n);
    sl_thread *t = revive(L, all);
    all->passing = SL_NOTHING;
    return t;
}

int sl_run_start(lua_State *L, sl_threads *all, int nargs, void *loop)
{
    luaL_checkstack(L, LUA_MINSTACK, "too many arguments");
    lua_State *co = lua_newthread(L);
    sl_thread_reserve(L, all, co, nargs + 1);
    sl_thread *t = sl_record_take(L, all, loop);
    int top = t->index = lua_gettop(L) - nargs - 1;
    lua_insert(L, -(nargs + 2));
    lua_xmove(L, co, nargs + 1);
    t->fiber = sl_fiber_take(&all->fibers);
    t->nargs = nargs;
    if (drive(L, t, 0, sl_hook_ofbase(L, all)) == SL_FAILED) {
        lua_remove(L, top);    /* the failure brings the thread, too */
        return 1;
    }
    lua_settop(L, top);
    return 0;
}

int sl_run_wake(lua_State *L, sl_thread *t, int hook)
{
    int top = lua_gettop(L);
    if (drive(L, t, 0, hook) == SL_FAILED)
        return 1;
    lua_settop(L, top);
    return 0;
}

/* [-0, +(0|4), -] Ends the record of a thread that will not go on. False if
 * nobody waits for it, else pushes a failure, and whom it goes to. */
static int end_early(lua_State *L, sl_thread *t)
{
    push_destination(L, t);
    sl_thread *to = lua_isthread(L, -1) ? sl_record_held(L, t->all, -1) : NULL;
    if (to == NULL || to->state != SL_CALLING) {
        lua_pop(L, 1);
        sl_record_release(L, t);
        return 0;
    }
    sl_failure_pushlost(L, t);
    end_failed(L, t);
    return 1;
}

/* [-4, +(0|3), e] That failure goes where it has to. True if one comes back. */
static int give_failure(lua_State *L, sl_threads *all, void *loop)
{
    int top = lua_gettop(L) - 4;
    sl_hook_checkclosing(L, all);
    if (all->running == NULL)
        all->bottom = L;
    sl_thread_pass(all, SL_FAILURE, 3);
    enum sl_outcome outcome = go_on(L, all, loop, 0);
    all->passing = SL_NOTHING;
    if (outcome == SL_FAILED)
        return 1;
    lua_settop(L, top);
    return 0;
}

int sl_run_lose(lua_State *L, sl_thread *t)
{
    void *loop = t->loop;
    return end_early(L, t) && give_failure(L, t->all, loop);
}

/* [-0, +(0|1), -] Closes the coroutine at index 1. False if it has failed, of
 * its own or in closing, and then pushes the last error. */
static int close_coroutine(lua_State *L, sl_threads *all)
{
    lua_State *co = lua_tothread(L, 1);
    int status = sl_close(co, L);
    lua_pushvalue(L, 1);
    int has_failed = sl_failure_take(L, all);
    if (status == LUA_OK && has_failed)
        return 0;
    lua_pop(L, 1);
    if (status == LUA_OK)
        return 1;
    lua_xmove(co, L, 1);
    return 0;
}

int sl_run_close(lua_State *L, sl_threads *all, sl_thread *t)
{
    void *loop = t != NULL ? t->loop : NULL;
    int is_awaited = 0;
    if (t != NULL) {
        lua_pushvalue(L, 1);
        sl_thread_revive(L, t, 0);
        is_awaited = end_early(L, t);
    }
    int ok = close_coroutine(L, all);
    lua_pushboolean(L, ok);
    lua_replace(L, 1);
    if (!ok)
        lua_insert(L, 2);
    if (is_awaited && give_failure(L, all, loop)) {
        sl_failure_message(L);
        return lua_error(L);
    }
    return lua_gettop(L);
}

static const char *const not_resumable[] = {
    [SL_IS_WAITING] = "trying to resume a thread that waits in I/O or sleep; "
                      "resume is for those in suspend()",
    [SL_IS_DEAD] = "cannot resume dead thread",
    [SL_IS_RUNNING] = "trying to resume the running thread",
    [SL_IS_BELOW] = "trying to resume the running thread: it runs this one",
    [SL_IS_CALLING] = "trying to resume a thread that has resumed another",
    [SL_IS_NORMAL] = "trying to resume a thread that is not suspended",
};

/* [-n, +0, e] The thread at index 1, which is not held, or gets many values,
 * is to run. */
static sl_thread *ready_other(lua_State *L, sl_threads *all, int n)
{
    sl_arg_type(L, 1, LUA_TTHREAD);
    enum sl_where where = sl_where_get(L, all, 1);
    if (where != SL_IS_FRESH && where != SL_IS_SUSPENDED)
        luaL_error(L, "%s", not_resumable[where]);
    lua_pushvalue(L, 1);
    sl_thread *t = sl_run_ready(L, all, n);
    if (where == SL_IS_FRESH)
        t->home = SL_HOME_BASE;
    return t;
}

/* See sl_run_recent. */
static inline sl_thread *ready_recent(lua_State *L, sl_threads *all, int n)
{
    lua_State *co = lua_tothread(L, 1);
    sl_thread *t = co != NULL ? sl_record_recent(all, co) : NULL;
    if (t == NULL || t->state != SL_SUSPENDED || n > SL_FEW)
        return NULL;
    t->index = 1;    /* not anchored, as it lies here */
    sl_thread_gethome(L, t);
    t->nargs = n;
    return t;
}

sl_thread *sl_run_recent(lua_State *L, sl_threads *all, int n)
{
    return ready_recent(L, all, n);
}

int sl_run_resume(lua_State *L, sl_threads *all, void *loop,
                  sl_run_after after)
{
    int n = lua_gettop(L) - 1;
    sl_thread *t = ready_recent(L, all, n);
    if (t == NULL)
        t = ready_other(L, all, n);
    if (t->loop == NULL)
        t->loop = loop;
    return sl_run_drive(L, t, 0, after);
}

void sl_run_checktarget(lua_State *L, sl_threads *all, int index)
{
    switch (sl_where_get(L, all, index)) {
    case SL_IS_FRESH: case SL_IS_SUSPENDED: case SL_IS_BELOW:
    case SL_IS_CALLING:
        return;
    case SL_IS_RUNNING:
        luaL_error(L, "trying to transfer to the running thread");
        return;
    case SL_IS_WAITING:
        luaL_error(L, "trying to transfer to a thread that waits in I/O or "
                      "sleep");
        return;
    case SL_IS_DEAD:
        luaL_error(L, "cannot resume dead coroutine");
        return;
    case SL_IS_NORMAL:
        luaL_error(L, "trying to transfer to a thread that is not suspended");
    }
}
