/*
 * run.c - see run.h. A handover lies on the top of the runner's stack
 * (handover.h); v... are its values.
 */

#include "thread/run.h"

#include "thread/arg.h"
#include "thread/guest.h"
#include "thread/handover.h"
#include "thread/hold.h"
#include "thread/hook.h"
#include "thread/record.h"
#include "thread/stop.h"
#include "thread/where.h"

/* --- a thread that is ready ---------------------------------------------- */

void sl_run_readyheld(lua_State *L, sl_thread *t, int n)
{
    sl_hold_resume_anchor(L, t);    /* pops the coroutine */
    sl_target_restore(L, t);
    t->got.nvalues = n;
}

/* [-0, +0, -] Whether the coroutine on the top is fresh or has yielded. */
static int ready_isyielded(lua_State *L, sl_threads *all)
{
    enum sl_where where = sl_where_get(L, all, lua_gettop(L));
    return where == SL_IS_FRESH ||
           (where == SL_IS_SUSPENDED && sl_hold_find(L, all, -1) == NULL);
}

/* [-(n + 1), +0, e] Gives a fresh or yielded coroutine a record, a C stack, and
 * the n values below it: the arguments of its function, or the results of its
 * coroutine.yield. */
static sl_thread *ready_yielded(lua_State *L, sl_threads *all, int n)
{
    lua_State *co = lua_tothread(L, -1);
    sl_record_reserve(L, all, co, n + 1);
    if (!ready_isyielded(L, all))    /* sl_record_reserve may run finalizers */
        luaL_error(L, "a finalizer has resumed the coroutine before");
    sl_thread *t = sl_record_acquire(L, all, NULL);    /* pops co: v... */
    if (lua_status(co) == LUA_YIELD)
        lua_settop(co, 0);    /* 5.1: the values that it yielded */
    else
        sl_target_setnone(t);
    lua_xmove(L, co, n);    /* co: [function,] v... */
    t->got.nvalues = lua_status(co) == LUA_YIELD ? n : lua_gettop(co) - 1;
    t->fiber = sl_fiber_take(&all->fibers);
    return t;
}

sl_thread *sl_run_makeready(lua_State *L, sl_threads *all, int n)
{
    luaL_checkstack(L, LUA_MINSTACK, "too many values");
    sl_thread *t = sl_hold_find(L, all, -1);
    if (t != NULL) {
        sl_run_readyheld(L, t, n);
        return t;
    }
    return ready_yielded(L, all, n);
}

/* [-1, +0, e] Prepares the target of a handover, which is on the top, to run.
 * NULL, and the target stays there, if it is no thread or cannot run. */
static sl_thread *ready_target(lua_State *L, sl_threads *all, sl_handover h)
{
    if (!lua_isthread(L, -1))
        return NULL;
    sl_thread *t = sl_hold_find(L, all, -1);
    /* A failure can be raised only in a runner's own thread. */
    if (h.kind == SL_FAILURE && (t == NULL || t->state != SL_CALLING))
        return NULL;
    if (t == NULL)
        return ready_isyielded(L, all) ? ready_yielded(L, all, h.nvalues)
                                       : NULL;
    sl_run_readyheld(L, t, h.nvalues);
    return t;
}

/* --- the runner ----------------------------------------------------------- */

/* The kinds of runners differ when the thread that they run waits. */
enum runner_kind {
    RUNNER_RETURNS,    /* returns, with SL_STOPPED */
    RUNNER_FOLLOWS     /* its own thread freezes until it gets control */
};

void sl_run_onbypass(sl_threads *all, void (*callback)(sl_thread *t))
{
    all->running->on_bypassed = callback;
}

/* [-(n + 1), +m, e] Control goes to a thread below the runner's own, or to
 * none: freezes the runner's own thread, which hands over the runner's
 * handover. Returns when control comes back, with m values. */
static enum sl_outcome runner_unwind(lua_State *L, sl_threads *all,
                                     sl_handover h)
{
    sl_thread *self = all->running;
    if (self->on_bypassed != NULL) {
        /* The own thread waits instead; the callback schedules it. The next
         * runner takes the handover from L. */
        sl_record_anchor(L, self);
        self->on_bypassed(self);
        sl_stop_bypass(L, self, h);
        return SL_STOPPED;
    }
    if (!SL_LUAJIT && self->runner_hook == SL_HOOK_FINALIZER)
        lua_gc(L, LUA_GCSTOP, 0);    /* see runner_startgc */
    sl_stop_unwind(L, self, h);
    return self->got.kind == SL_FAILURE ? SL_FAILED : SL_RETURNED;
}

/* [-(n + 1), +m, e] For a target that cannot be reached: drops values, and
 * sends a failure to the main frame. */
static enum sl_outcome runner_giveup(lua_State *L, sl_threads *all,
                                     sl_handover h, enum runner_kind kind)
{
    if (h.kind == SL_CONTROL) {
        lua_pop(L, h.nvalues + 1);
        h.kind = SL_NOTHING;
    }
    if (kind == RUNNER_FOLLOWS)
        return runner_unwind(L, all, h);
    if (h.kind == SL_NOTHING)
        return SL_STOPPED;
    lua_pop(L, 1);    /* the target: thread, error, traceback */
    return SL_FAILED;
}

/* [-0, +0, -] Whether the target on the top is the runner: true, or its own
 * thread. */
static int runner_istarget(lua_State *L, const sl_threads *all)
{
    const sl_thread *self = all->running;
    lua_State *target = lua_tothread(L, -1);
    if (target == NULL)
        return lua_isboolean(L, -1);
    if (self != NULL)
        return target == self->co;
    return target == L || sl_ismain(target);
}

static void thread_resume(void *arg)
{
    sl_thread *t = arg;
    int nresults;
    t->status = sl_resume(t->co, t->stack, t->got.nvalues, &nresults);
    t->given.nvalues = nresults;
}

/* [-(n + 1), +m, e] Delivers the handover of a thread of that loop: runs the
 * target, then the target of the next handover, and so on, until control comes
 * back to the runner. */
static enum sl_outcome runner_deliver(lua_State *L, sl_threads *all,
                                      sl_handover h, void *loop,
                                      enum runner_kind kind)
{
    for (;;) {
        if (h.kind == SL_NOTHING)
            return kind == RUNNER_FOLLOWS ? runner_unwind(L, all, h)
                                          : SL_STOPPED;
        if (runner_istarget(L, all)) {
            lua_pop(L, 1);    /* the values stay */
            return h.kind == SL_FAILURE ? SL_FAILED : SL_RETURNED;
        }
        lua_State *target = lua_tothread(L, -1);
        if (target != NULL && sl_where_isbelow(all, target))
            return runner_unwind(L, all, h);
        sl_thread *t = ready_target(L, all, h);    /* pops the target */
        if (t == NULL)
            return runner_giveup(L, all, h, kind);
        if (t->loop == NULL)
            t->loop = loop;
        /* A held thread takes v... from L when it continues. */
        t = sl_handover_run(L, t, h.kind, thread_resume);
        h = sl_handover_take(L, t, &loop);
    }
}

/* [-0, +0, -] Turns the collector on if the runner's finalizer has turned it
 * off. */
static int runner_startgc(lua_State *L)
{
    if (SL_LUAJIT || !sl_canrestart(L))
        return 0;
    lua_gc(L, LUA_GCRESTART, 0);
    return 1;
}

/* [-0, +0, v] Makes the running function a runner. Returns its kind: the main
 * frame has no own thread that could wait. */
static inline enum runner_kind runner_begin(lua_State *L, sl_threads *all,
                                            enum runner_kind kind, int hook)
{
    if (all->running == NULL) {
        all->main_frame = L;
        all->runner_hook = hook;
        return RUNNER_RETURNS;
    }
    sl_hook_checkclosing(L, all);
    all->running->runner_hook = (unsigned char)hook;
    return kind;
}

/* [-0, +n, e] A thread that the runner has run stopped, and may have something
 * to hand over. Pushes what sl_run_after gets. */
static enum sl_outcome runner_settle(lua_State *L, sl_thread *t,
                                     enum runner_kind kind)
{
    sl_threads *all = t->all;
    void *loop;
    sl_handover h = sl_handover_take(L, t, &loop);
    if (kind == RUNNER_RETURNS && h.kind == SL_NOTHING)
        return SL_STOPPED;
    return runner_deliver(L, all, h, loop, kind);
}

/* [-0, +n, e] The running function becomes the runner of t, which is ready.
 * hook: where the function is, of enum sl_hook. If that is a finalizer that
 * turns the collector off for all, the collector is on meanwhile. Pushes what
 * sl_run_after gets.
 *
 * This and runner_end are inline in each runner, as the switch is (context.h);
 * compilers find them too long for that. */
static inline __attribute__((always_inline)) enum sl_outcome
runner_run(lua_State *L, sl_thread *t, enum runner_kind kind, int hook)
{
    enum sl_outcome outcome = SL_STOPPED;
    kind = runner_begin(L, t->all, kind, hook);
    int is_started = hook == SL_HOOK_FINALIZER && runner_startgc(L);
    t = sl_handover_run(L, t, SL_CONTROL, thread_resume);
    if (kind != RUNNER_RETURNS || !sl_handover_isnothing(t))
        outcome = runner_settle(L, t, kind);    /* else: the usual case */
    if (!SL_LUAJIT)
        sl_hook_stopgc(L, is_started);
    return outcome;
}

enum sl_outcome sl_run_fail(lua_State *L, sl_threads *all, void *loop)
{
    sl_handover h = {SL_FAILURE, 3};
    runner_begin(L, all, RUNNER_RETURNS, sl_hook_ofrunner(L, all));
    return runner_deliver(L, all, h, loop, RUNNER_RETURNS);
}

/* --- kinds of runners ----------------------------------------------------- */

int sl_run_start(lua_State *L, sl_threads *all, int nargs, void *loop)
{
    luaL_checkstack(L, LUA_MINSTACK, "too many arguments");
    lua_State *co = lua_newthread(L);
    sl_record_reserve(L, all, co, nargs + 1);
    sl_thread *t = sl_record_take(L, all, loop);
    int top = t->index = lua_gettop(L) - nargs - 1;
    lua_insert(L, top);    /* thread, function, arguments */
    lua_xmove(L, co, nargs + 1);
    t->fiber = sl_fiber_take(&all->fibers);
    t->got.nvalues = nargs;
    int hook = sl_hook_ofrunner(L, all);
    if (runner_run(L, t, RUNNER_RETURNS, hook) == SL_FAILED) {
        lua_remove(L, top);    /* the failure includes the thread */
        return 1;
    }
    lua_settop(L, top);    /* drops the values that control brought */
    return 0;
}

int sl_run_prepare(lua_State *L, sl_thread *t)
{
    if (sl_thread_isfrozen(t))    /* a frozen thread pushes its results
                                     itself */
        return 1;
    if (!sl_thread_waits(t))
        return 0;
    if (t->fiber == NULL) {    /* else the last call of its results raised */
        sl_record_reserve(L, t->all, t->co, 0);
        t->fiber = sl_fiber_take(&t->all->fibers);
    }
    int n = t->results(L, t->wait);
    if (sl_state_isguest(t))
        sl_guest_own(L, t);
    lua_settop(t->co, 0);    /* the values that it yielded */
    lua_xmove(L, t->co, n);
    t->got.nvalues = n;
    return 1;
}

int sl_run_wake(lua_State *L, sl_thread *t, int hook)
{
    int top = lua_gettop(L);
    if (runner_run(L, t, RUNNER_RETURNS, hook) == SL_FAILED)
        return 1;
    lua_settop(L, top);
    return 0;
}

/* Ends the running C function as a runner of that kind. */
static inline __attribute__((always_inline)) int
runner_end(lua_State *L, sl_thread *t, enum runner_kind kind,
           sl_run_after after)
{
    int hook = sl_hook_ofrunner(L, t->all);
    return after(L, runner_run(L, t, kind, hook));
}

int sl_run_ready(lua_State *L, sl_thread *t, sl_run_after after)
{
    return runner_end(L, t, RUNNER_RETURNS, after);
}

int sl_run_follow(lua_State *L, sl_thread *t, sl_run_after after)
{
    return runner_end(L, t, RUNNER_FOLLOWS, after);
}

int sl_run_call(lua_State *L, sl_thread *t, sl_run_after after)
{
    sl_target_setcaller(t);
    return sl_run_follow(L, t, after);
}

/* [-n, +0, e] Slow path of sl_run_resume: prepares the thread at index 1 with
 * the n values above it. */
static sl_thread *resume_makeready(lua_State *L, sl_threads *all, int n)
{
    sl_arg_type(L, 1, LUA_TTHREAD);
    enum sl_where where = sl_where_checkresumable(L, all, 1);
    lua_pushvalue(L, 1);
    sl_thread *t = sl_run_makeready(L, all, n);
    if (where == SL_IS_FRESH)
        t->return_to = SL_RETURN_TO_RUNNER;
    return t;
}

int sl_run_resume(lua_State *L, sl_threads *all, void *loop,
                  sl_run_after after)
{
    int n = lua_gettop(L) - 1;
    sl_thread *t = sl_run_readyrecent(L, all, n);
    if (t == NULL)
        t = resume_makeready(L, all, n);
    if (t->loop == NULL)
        t->loop = loop;
    return runner_end(L, t, RUNNER_RETURNS, after);
}

/* --- forgetting a return target ------------------------------------------- */

/* [-1, +0, -] Whether the value on the top is the runner's own thread. */
static int forget_isself(lua_State *L, const sl_threads *all)
{
    lua_State *target = lua_tothread(L, -1);
    lua_pop(L, 1);
    return all->running != NULL ? target == all->running->co : target == L;
}

void sl_run_forget(lua_State *L, sl_threads *all, int index)
{
    sl_thread *t = sl_hold_find(L, all, index);
    if (t != NULL && t->return_to == SL_RETURN_TO_VALUE) {
        sl_target_copyheld(L, t);
        if (forget_isself(L, all)) {
            lua_pop(t->stack, 1);
            t->return_to = SL_RETURN_TO_NONE;
        }
        return;
    }
    if (t != NULL)
        return;
    enum sl_where where = sl_where_get(L, all, index);
    if (where != SL_IS_WAITING && where != SL_IS_BELOW)
        return;
    t = sl_thread_find(all, lua_tothread(L, index));
    if (t == NULL || t->return_to != SL_RETURN_TO_VALUE)
        return;
    sl_target_pushvalue(L, t);
    if (forget_isself(L, all))
        sl_target_setnone(t);
}
