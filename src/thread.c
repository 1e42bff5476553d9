/*
 * thread.c - runs Lua threads on fibers. See thread.h for the states.
 */

#include "thread.h"

#include "record.h"

#include <string.h>

/* A coroutine that yielded in a hand-over or suspension has the address of
 * one of these on top of its stack; with SL_HOME_VALUE its home lies below.
 * Which one: its home, plus PROTECTED. */
enum { PROTECTED = SL_HOME_KINDS };
static const char markers[2 * SL_HOME_KINDS] = {0};

/* So few values have room on every stack that stopped. */
enum { FEW = LUA_MINSTACK / 2 };

/* The marker that a coroutine left when it yielded, or -1. */
static int marker_of(lua_State *co)
{
    if (lua_gettop(co) == 0)
        return -1;
    const char *marker = lua_touserdata(co, -1);
    return marker >= markers && marker < markers + sizeof markers
               ? (int)(marker - markers) : -1;
}

void sl_thread_settle(lua_State *L, sl_threads *all)
{
    if (SL_LUAJIT) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, all->nothing);
        lua_call(L, 0, 0);
    }
}

static int fail_memory(lua_State *L, sl_threads *all)
{
    sl_thread_settle(L, all);
    return luaL_error(L, "not enough memory for a C stack");
}

/* Makes room for n values on a stopped coroutine, if it can be had. Those up
 * to LUA_MINSTACK are there. */
static int has_room(lua_State *co, int n)
{
    return n < LUA_MINSTACK || lua_checkstack(co, n);
}

/* Whether L, which runs in t, can stop by a yield. */
static int can_yield(lua_State *L, const sl_thread *t)
{
    return L == t->co && sl_isyieldable(L);
}

/* --- running one thread ------------------------------------------------ */

/* What is on its way lies on the top of a stack: n values, and above them
 * whom they are for: a thread, nil for nobody, or true for the base. */
static void pass(sl_threads *all, int what, int n)
{
    all->passing = what;
    all->nvalues = n;
}

/* [-0, +(n + 1), e] Brings it from another stack to this one. */
static void bring(lua_State *L, sl_threads *all, lua_State *from)
{
    int n = all->nvalues + 1;
    if (n > FEW) {
        sl_thread_settle(L, all);
        luaL_checkstack(L, n + LUA_MINSTACK, "too many values");
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
    if (n > FEW)
        luaL_checkstack(L, n + LUA_MINSTACK, "too many values");
    lua_xmove(t->co, L, n);
    push_destination(L, t);
    pass(t->all, SL_CONTROL, n);
}

/* Who called the thread may not be its base any more when it ends: notes
 * him. */
static void note_caller(lua_State *L, sl_thread *t)
{
    if (t->home != SL_HOME_CALLER)
        return;
    if (t->resumer != NULL) {
        sl_thread_push(L, t->resumer);
    } else {
        lua_State *bottom = t->all->bottom;
        lua_pushthread(bottom);
        lua_xmove(bottom, L, 1);
    }
    sl_record_sethome(L, t);
}

/* [-0, +1, -] Pushes the thread to which t returns, or something else. */
static void push_returnee(lua_State *L, sl_thread *t)
{
    if (t->home == SL_HOME_CALLER && t->resumer != NULL) {
        sl_thread_push(L, t->resumer);
    } else if (t->home == SL_HOME_VALUE &&
               (t->state == SL_SUSPENDED || t->state == SL_CALLING)) {
        lua_pushvalue(t->at, -1);    /* it is held: see freeze */
        lua_xmove(t->at, L, 1);
    } else {
        sl_record_pushhome(L, t);
    }
}

/* [-1, +0, m] Adds to the traceback below the thread on the top its frames,
 * those of the thread to which it returns, and so on. */
static void trace_returnees(lua_State *L, sl_threads *all)
{
    while (lua_isthread(L, -1)) {
        lua_State *co = lua_tothread(L, -1);
        sl_thread *t = sl_record_find(all, co);
        lua_insert(L, -2);
        sl_traceback(L, co);
        const char *frames = strchr(lua_tostring(L, -1), '\n');
        lua_pushstring(L, frames != NULL ? frames : "");
        lua_remove(L, -2);
        lua_concat(L, 2);
        if (t != NULL)
            push_returnee(L, t);
        else
            lua_pushnil(L);
        lua_remove(L, -3);
    }
    lua_pop(L, 1);
}

/* [-0, +4, m] Buries a thread that failed, or to which message happened;
 * passes on the thread, the error and a traceback. */
static void bury(lua_State *L, sl_thread *t, const char *message)
{
    sl_threads *all = t->all;
    lua_State *co = t->co;
    sl_thread_settle(L, all);
    luaL_checkstack(L, LUA_MINSTACK, "too many nested threads");
    push_destination(L, t);
    sl_thread_push(L, t);
    if (message != NULL)
        lua_pushstring(L, message);
    else
        lua_xmove(co, L, 1);
    sl_traceback(L, co);
    push_returnee(L, t);
    trace_returnees(L, all);
    sl_record_release(L, t);
    sl_reset(co);
    lua_pushvalue(L, -4);
    lua_remove(L, -5);
    pass(all, SL_FAILURE, 3);
}

/* [-0, +n, e] The thread's function has returned. */
static void end(lua_State *L, sl_thread *t)
{
    if (t->home == SL_HOME_NOBODY) {
        lua_settop(t->co, 0);
        bury(L, t, "coroutine ended without transferring control");
        return;
    }
    if (t->home != SL_HOME_BASE)
        pass_results(L, t);
    lua_settop(t->co, 0);
    sl_record_release(L, t);
}

/* [-0, +n, e] It handed control over by a yield: what it passes on lies on its
 * stack below the marker (and its home). These stay there. */
static void take_over(lua_State *L, sl_thread *t)
{
    sl_threads *all = t->all;
    lua_State *co = t->co;
    void *marker = lua_touserdata(co, -1);
    lua_pop(co, 1);
    if (t->home == SL_HOME_VALUE)
        lua_insert(co, -(all->nvalues + 2));
    bring(L, all, co);
    lua_pushlightuserdata(co, marker);
}

/* [-0, +n, e] The thread yielded: in a wait, in a hand-over or suspension of
 * ours, or by coroutine.yield, which gives the values to its home. */
static void yielded(lua_State *L, sl_thread *t)
{
    if (t->state == SL_WAITING)
        return;
    if (t->all->passing != SL_NOTHING) {
        take_over(L, t);
    } else if (t->state == SL_RUNNING) {
        if (t->home == SL_HOME_CALLER || t->home == SL_HOME_VALUE)
            pass_results(L, t);
        lua_settop(t->co, 0);
    }
    sl_record_release(L, t);
}

/* The thread handed control to one that has yielded, too, and neither has a
 * home to keep: the record passes to that one, and the fiber goes on. Uses
 * only what cannot raise, and the stacks of the two. */
static int pass_record(sl_thread *t)
{
    sl_threads *all = t->all;
    lua_State *co = t->co;
    int n = all->nvalues;
    if (t->status != LUA_YIELD || t->state != SL_SUSPENDED ||
        all->passing != SL_CONTROL || t->home == SL_HOME_VALUE ||
        t->holder != NULL || n >= FEW)
        return 0;
    lua_State *to = lua_tothread(co, -2);    /* below the marker */
    if (to == NULL || lua_status(to) != LUA_YIELD)
        return 0;
    int marker = marker_of(to);
    if (marker < 0 || marker % PROTECTED == SL_HOME_VALUE)
        return 0;
    void *own_marker = lua_touserdata(co, -1);
    lua_pop(co, 1);
    lua_rawgeti(co, LUA_REGISTRYINDEX, all->anchors);
    lua_insert(co, -2);
    lua_rawseti(co, -2, sl_record_place(t));
    lua_pop(co, 1);
    lua_settop(to, 0);
    if (marker >= PROTECTED)
        lua_pushboolean(to, 1);
    lua_xmove(co, to, n);
    lua_pushlightuserdata(co, own_marker);
    t->co = to;
    t->home = marker % PROTECTED;
    t->nargs = n + (marker >= PROTECTED);
    t->state = SL_RUNNING;
    all->passing = SL_NOTHING;
    return 1;
}

static void resume_on_fiber(void *arg)
{
    sl_thread *t = arg;
    do
        t->status = sl_resume(t->co, t->from, t->nargs, &t->nresults);
    while (pass_record(t));
}

/* [-0, +n, e] Runs a thread until it stops. Pushes what it passes on. */
static void run(lua_State *L, sl_thread *t)
{
    sl_threads *all = t->all;
    t->resumer = all->running;
    t->depth = t->resumer != NULL ? t->resumer->depth + 1 : 1;
    t->state = SL_RUNNING;
    t->from = L;
    t->takes = 0;
    t->got = all->passing;
    all->passing = SL_NOTHING;
    all->running = t;
    int frozen = sl_fiber_run(t->fiber, resume_on_fiber, t);
    all->running = t->resumer;
    if (frozen) {
        if (all->passing != SL_NOTHING)
            bring(L, all, t->at);
        return;
    }
    sl_fiber_give(&all->fibers, t->fiber);
    t->fiber = NULL;
    if (t->status == LUA_YIELD)
        yielded(L, t);
    else if (t->status == LUA_OK)
        end(L, t);
    else
        bury(L, t, NULL);
}

/* --- freezing for the sake of others ----------------------------------- */

/* Freezes the running thread t, whose C function runs on L, until control
 * comes back to it; what it passes on lies on the top of L. With
 * SL_HOME_VALUE its home lies below that. */
static void freeze(lua_State *L, sl_thread *t, int state, int what, int n)
{
    note_caller(L, t);
    if (t->home == SL_HOME_VALUE) {
        sl_record_pushhome(L, t);
        if (what != SL_NOTHING)
            lua_insert(L, -(n + 2));
    }
    sl_record_hold(L, t);
    t->at = L;
    t->state = state;
    pass(t->all, what, n);
    sl_fiber_freeze(t->fiber);
    sl_thread_settle(L, t->all);
}

/* [-0, +n, e] Takes what control brought to a frozen thread. */
static int take_values(lua_State *L, sl_thread *t)
{
    if (t->nargs > FEW)
        luaL_checkstack(L, t->nargs + LUA_MINSTACK, "too many values");
    lua_xmove(t->from, L, t->nargs);
    return t->nargs;
}

/* Yields the running thread with all of the stack of L. */
static int yield(lua_State *L, sl_thread *t, int is_protected)
{
    note_caller(L, t);
    if (t->home == SL_HOME_VALUE)
        sl_record_pushhome(L, t);
    t->state = SL_SUSPENDED;
    lua_pushlightuserdata(L, (void *)&markers[t->home +
                                              is_protected * PROTECTED]);
    return lua_yield(L, lua_gettop(L));
}

/* The bottom answers for the main program, also in a coroutine of its. */
static int is_bottom(sl_threads *all, lua_State *co)
{
    return co == all->bottom || sl_ismain(co);
}

/* --- where a coroutine is ---------------------------------------------- */

/* Of a coroutine that has yielded. */
static enum sl_where where_yielded(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    if (marker_of(co) >= 0)
        return SL_IS_SUSPENDED;
    sl_record_getadopted(L, all, index);
    int is_waiting = lua_istable(L, -1) ||
                     (lua_gettop(co) > 0 && lua_islightuserdata(co, -1));
    lua_pop(L, 1);
    return is_waiting ? SL_IS_WAITING : SL_IS_SUSPENDED;
}

/* Of a coroutine that has begun and not yielded. */
static enum sl_where where_begun(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    sl_thread *t = all->running;
    if (co == L || (t != NULL ? t->co == co : sl_ismain(co)))
        return SL_IS_RUNNING;
    for (; t != NULL; t = t->resumer)
        if (t->co == co)
            return SL_IS_BELOW;
    if (all->running != NULL && is_bottom(all, co))
        return SL_IS_BELOW;
    t = sl_record_find(all, co);
    if (t == NULL)
        return lua_status(co) == LUA_OK ? SL_IS_NORMAL : SL_IS_DEAD;
    return t->state == SL_SUSPENDED ? SL_IS_SUSPENDED
         : t->state == SL_CALLING ? SL_IS_CALLING : SL_IS_WAITING;
}

enum sl_where sl_thread_where(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    lua_Debug unused;
    if (lua_status(co) == LUA_YIELD)
        return where_yielded(L, all, index);
    if (co == L || lua_getstack(co, 0, &unused))
        return where_begun(L, all, index);
    return lua_status(co) == LUA_OK && lua_gettop(co) > 0 ? SL_IS_FRESH
                                                          : SL_IS_DEAD;
}

/* --- the base ---------------------------------------------------------- */

/* Takes off a stopped coroutine what it left there when it yielded, and puts
 * there what control brings besides values. */
static void unmark(lua_State *L, sl_thread *t)
{
    int marker = marker_of(t->co);
    if (marker >= 0) {
        t->home = marker % SL_HOME_KINDS;
        if (t->home == SL_HOME_VALUE) {
            lua_pop(t->co, 1);
            lua_xmove(t->co, L, 1);
            sl_record_sethome(L, t);
        }
    }
    lua_settop(t->co, 0);
    if (marker >= PROTECTED)
        lua_pushboolean(t->co, 1);
}

/* [-1, +0, e] A fresh or yielded coroutine gets a record and a fiber. */
static sl_thread *revive_yielded(lua_State *L, sl_threads *all)
{
    lua_State *co = lua_tothread(L, -1);
    int n = all->nvalues;
    if (!has_room(co, n + 1))
        luaL_error(L, "too many values");
    if (sl_fibers_reserve(&all->fibers) != 0)
        fail_memory(L, all);
    sl_thread *t = sl_record_acquire(L, all, NULL);
    int is_fresh = lua_status(co) != LUA_YIELD;
    if (is_fresh)
        t->home = SL_HOME_NOBODY;
    else
        unmark(L, t);
    lua_xmove(L, co, n);
    t->nargs = lua_gettop(co) - is_fresh;    /* its function lies below */
    t->fiber = sl_fiber_take(&all->fibers);
    return t;
}

/* [-1, +0, -] A frozen one will take the values itself. */
static sl_thread *revive_held(lua_State *L, sl_thread *t)
{
    sl_record_unhold(L, t);
    if (t->home == SL_HOME_VALUE) {
        lua_xmove(t->at, L, 1);
        sl_record_sethome(L, t);
    }
    t->nargs = t->takes = t->all->nvalues;
    return t;
}

/* [-1, +0, e] The thread on the top is to run next, with the values below it,
 * which it takes unless it is frozen. NULL if it cannot, and then it's still
 * there. */
static sl_thread *revive(lua_State *L, sl_threads *all)
{
    if (!lua_isthread(L, -1))
        return NULL;
    lua_State *co = lua_tothread(L, -1);
    if (lua_status(co) != LUA_YIELD) {
        sl_thread *t = sl_record_held(L, all, -1);
        if (t != NULL && (all->passing != SL_FAILURE ||
                          t->state == SL_CALLING))
            return revive_held(L, t);
    }
    if (all->passing == SL_FAILURE)
        return NULL;    /* an error cannot be raised in one that yielded */
    enum sl_where where = sl_thread_where(L, all, lua_gettop(L));
    return where == SL_IS_FRESH || where == SL_IS_SUSPENDED
               ? revive_yielded(L, all) : NULL;
}

/* Whether control can come back to that thread below the base's own. */
static int is_below(sl_threads *all, lua_State *co)
{
    if (all->running == NULL)
        return 0;
    for (sl_thread *t = all->running->resumer; t != NULL; t = t->resumer)
        if (t->co == co)
            return 1;
    return is_bottom(all, co);
}

/* [-(n + 1), +n, e] The base's thread freezes, and passes on what lies on the
 * top of L. Returns how control came back, with what it brought. */
static enum sl_outcome descend(lua_State *L, sl_thread *base)
{
    freeze(L, base, SL_CALLING, base->all->passing, base->all->nvalues);
    take_values(L, base);
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

/* [-0, +n, e] Runs t, then whoever gets control, until it comes back to the
 * base. */
static enum sl_outcome drive_on(lua_State *L, sl_thread *t, int passes_on)
{
    sl_threads *all = t->all;
    sl_thread *base = all->running;
    lua_State *self = base != NULL ? base->co : L;
    for (;;) {
        run(L, t);
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
        t = revive(L, all);
        if (t == NULL)
            return give_up(L, all, passes_on);
    }
}

enum sl_outcome sl_thread_drive(lua_State *L, sl_thread *t, int passes_on)
{
    sl_threads *all = t->all;
    luaL_checkstack(L, LUA_MINSTACK, "too many nested threads");
    if (all->running == NULL) {
        all->bottom = L;
        passes_on = 0;
    }
    enum sl_outcome outcome = drive_on(L, t, passes_on);
    all->passing = SL_NOTHING;
    return outcome;
}

sl_thread *sl_thread_ready(lua_State *L, sl_threads *all, int n)
{
    luaL_checkstack(L, LUA_MINSTACK, "too many values");
    pass(all, SL_CONTROL, n);
    return revive(L, all);
}

int sl_thread_start(lua_State *L, sl_threads *all, int nargs, void *loop)
{
    luaL_checkstack(L, LUA_MINSTACK, "too many arguments");
    lua_State *co = lua_newthread(L);
    if (!has_room(co, nargs + 1))
        luaL_error(L, "too many arguments");
    if (sl_fibers_reserve(&all->fibers) != 0)
        fail_memory(L, all);
    lua_pushvalue(L, -1);
    sl_thread *t = sl_record_acquire(L, all, loop);
    lua_insert(L, -(nargs + 2));
    lua_xmove(L, co, nargs + 1);
    t->fiber = sl_fiber_take(&all->fibers);
    t->nargs = nargs;
    int top = lua_gettop(L);
    if (sl_thread_drive(L, t, 0) == SL_FAILED) {
        lua_remove(L, top);    /* the failure brings the thread, too */
        return 1;
    }
    lua_settop(L, top);
    return 0;
}

/* --- waiting ----------------------------------------------------------- */

void sl_thread_check(lua_State *L, sl_threads *all, const char *what)
{
    if (all->running == NULL && sl_cannotyield(L))
        luaL_error(L, "%s must be called from a loop thread (see newthread)",
                   what);
}

sl_thread *sl_thread_current(lua_State *L, sl_threads *all)
{
    sl_checkfinalizer(L);
    if (all->running != NULL)
        return all->running;
    lua_pushthread(L);
    return sl_record_acquire(L, all, NULL);
}

/* The C function in which a coroutine is. */
static lua_CFunction innermost(lua_State *co)
{
    lua_Debug where;
    if (!lua_getstack(co, 0, &where) || !lua_getinfo(co, "f", &where))
        return NULL;
    lua_CFunction function = lua_tocfunction(co, -1);
    lua_pop(co, 1);
    return function;
}

/* Nobody else may look at the values that an adopted coroutine yields, as its
 * resumer gets them: the record and the arguments go into a table. */
static int yield_to_user(lua_State *L, sl_thread *t)
{
    int n = lua_gettop(L);
    luaL_checkstack(L, 4, "too many arguments");
    lua_createtable(L, n + 1, 0);
    lua_pushlightuserdata(L, t);
    lua_rawseti(L, -2, 1);
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, i + 1);
    }
    sl_record_setadopted(L, t->all);
    t->adopted = innermost(L);
    return lua_yield(L, 0);
}

int sl_thread_wait(lua_State *L, sl_thread *t, sl_thread_results results,
                   void *arg)
{
    note_caller(L, t);
    t->results = results;
    t->results_arg = arg;
    t->state = SL_WAITING;
    t->at = L;
    if (t->fiber == NULL)
        return yield_to_user(L, t);
    if (can_yield(L, t)) {
        /* All of the arguments stay on the stack, so they stay alive; the
         * record above them marks the wait. */
        lua_pushlightuserdata(L, t);
        return lua_yield(L, lua_gettop(L));
    }
    sl_thread_freeze(L, t);
    return results(L, arg);
}

void sl_thread_freeze(lua_State *L, sl_thread *t)
{
    note_caller(L, t);
    t->state = SL_WAITING;
    sl_fiber_freeze(t->fiber);
    sl_thread_settle(L, t->all);
}

/* Whether an adopted coroutine is still in the wait it yielded from. */
static int adopted_waits(lua_State *L, sl_thread *t)
{
    sl_thread_push(L, t);
    sl_record_getadopted(L, t->all, lua_gettop(L));
    int waits = lua_istable(L, -1);
    if (waits) {
        lua_rawgeti(L, -1, 1);
        waits = lua_touserdata(L, -1) == t && innermost(t->co) == t->adopted;
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return waits;
}

int sl_thread_waits(lua_State *L, sl_thread *t)
{
    if (t->fiber != NULL)
        return 1;
    if (lua_status(t->co) != LUA_YIELD)
        return 0;
    if (t->adopted != NULL)
        return adopted_waits(L, t);
    return lua_gettop(t->co) > 0 && lua_touserdata(t->co, -1) == t;
}

int sl_thread_prepare(lua_State *L, sl_thread *t)
{
    if (t->fiber != NULL)
        return 1;
    if (!sl_thread_waits(L, t)) {
        sl_record_release(L, t);
        return 0;
    }
    if (sl_fibers_reserve(&t->all->fibers) != 0)
        fail_memory(L, t->all);
    int n = t->results(L, t->results_arg);
    t->fiber = sl_fiber_take(&t->all->fibers);
    if (t->adopted != NULL)
        sl_record_own(L, t);
    lua_settop(t->co, 0);
    lua_xmove(L, t->co, n);
    t->nargs = n;
    return 1;
}

int sl_thread_wake(lua_State *L, sl_thread *t)
{
    int top = lua_gettop(L);
    if (sl_thread_drive(L, t, 0) == SL_FAILED)
        return 1;
    lua_settop(L, top);
    return 0;
}

/* --- suspending and handing over --------------------------------------- */

int sl_thread_suspend(lua_State *L, sl_threads *all)
{
    sl_thread *t = all->running;
    lua_settop(L, 0);
    if (t == NULL)
        return lua_yield(L, 0);
    if (can_yield(L, t))
        return yield(L, t, 0);
    freeze(L, t, SL_SUSPENDED, SL_NOTHING, 0);
    return take_values(L, t);
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

int sl_thread_resume(lua_State *L, sl_threads *all, void *loop)
{
    enum sl_where where = sl_thread_where(L, all, 1);
    if (where != SL_IS_FRESH && where != SL_IS_SUSPENDED)
        return luaL_error(L, "%s", not_resumable[where]);
    int n = lua_gettop(L) - 1;
    lua_pushvalue(L, 1);
    sl_thread *t = sl_thread_ready(L, all, n);
    t->loop = loop;
    if (where == SL_IS_FRESH)
        t->home = SL_HOME_BASE;
    return sl_thread_drive(L, t, 0) == SL_FAILED;
}

void sl_thread_checktarget(lua_State *L, sl_threads *all, int index)
{
    switch (sl_thread_where(L, all, index)) {
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

int sl_thread_transfer(lua_State *L, sl_threads *all, int n,
                       int is_protected)
{
    sl_thread *t = all->running;
    luaL_checkstack(L, 4, "too many values");
    if (can_yield(L, t)) {
        pass(all, SL_CONTROL, n);
        return yield(L, t, is_protected);
    }
    freeze(L, t, SL_SUSPENDED, SL_CONTROL, n);
    lua_settop(L, 0);
    if (is_protected)
        lua_pushboolean(L, 1);
    return take_values(L, t) + is_protected;
}

/* --- errors ------------------------------------------------------------ */

void sl_thread_message(lua_State *L)
{
    if (lua_type(L, -2) == LUA_TSTRING &&
        strstr(lua_tostring(L, -2), "\nstack traceback:\n") == NULL) {
        lua_pushliteral(L, "\n");
        lua_insert(L, -2);
        lua_concat(L, 3);
    } else {
        lua_pop(L, 1);
    }
    lua_remove(L, -2);
}
