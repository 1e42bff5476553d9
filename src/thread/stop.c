/*
 * stop.c - how threads stop: waiting, suspended, handing control over. See
 * thread.h for the states, run.c for how they run.
 */

#include "thread/thread.h"

#include "thread/hook.h"
#include "thread/record.h"

#include <string.h>

void sl_thread_sync_vm(lua_State *L, sl_threads *all)
{
    if (SL_LUAJIT) {
        sl_anchor_push(L, all->values, SL_VALUE_NOTHING);
        lua_call(L, 0, 0);
    }
}

int sl_thread_nomemory(lua_State *L, sl_threads *all)
{
    sl_thread_sync_vm(L, all);
    return luaL_error(L, "not enough memory for another C stack of %d KiB: "
                      "raise the limits ('ulimit -v', vm.max_map_count), or "
                      "build socketloop with a smaller SL_STACK_SIZE",
                      (int)(SL_STACK_SIZE / 1024));
}

int sl_thread_hasroom(lua_State *L, sl_threads *all, lua_State *co, int n)
{
    if (n < LUA_MINSTACK)
        return 1;
    sl_anchor_push(co, all->values, SL_VALUE_ROOM);
    int has = sl_checkstack(L, co, n);
    sl_thread_sync_vm(L, all);
    return has;
}

/* Finalizers may run in both, and take what was reserved before; in LuaJIT the
 * collector may take back room that was made before. */
void sl_thread_reserve(lua_State *L, sl_threads *all, lua_State *co, int n)
{
    do {
        if (!sl_record_isreserved(all))
            sl_record_reserve(L, all);
        if (n >= LUA_MINSTACK && !sl_thread_hasroom(L, all, co, n))
            luaL_error(L, "too many values");
    } while (!sl_record_isreserved(all));
}

/* Whether L, which runs in t, can stop by a yield. */
static int can_yield(lua_State *L, const sl_thread *t)
{
    return L == t->co && sl_isyieldable(L) && t->hook == SL_HOOK_OFF;
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

/* --- stopping ---------------------------------------------------------- */

/* [-0, +1, m] See put_home. */
static void put_value(lua_State *L, sl_thread *t, int n)
{
    note_caller(L, t);
    sl_record_pushhome(L, t);
    lua_insert(L, -(n + 1));
}

/* [-0, +(0|1), m] The running thread will be held; its home goes below the n
 * topmost values of L. */
static inline void put_home(lua_State *L, sl_thread *t, int n)
{
    if (t->home >= SL_HOME_CALLER)
        put_value(L, t, n);
}

/* Freezes the running thread, whose n topmost values others may take. */
static inline void freeze(lua_State *L, sl_thread *t, int n)
{
    if (SL_LUAJIT && t->hook == SL_HOOK_OWN)
        sl_hook_freeze(L, t, n);
    else
        sl_fiber_freeze(t->fiber, SL_STACK_SIZE);
}

static inline void stop(lua_State *L, sl_thread *t, int state)
{
    t->stack = L;
    t->state = state;
}

/* See sl_thread_hold. */
static inline void hold(lua_State *L, sl_thread *t, int state, int what, int n)
{
    int passed = what != SL_NOTHING ? n + 1 : 0;
    put_home(L, t, passed);
    sl_record_hold(L, t);
    stop(L, t, state);
    sl_thread_pass(t->all, what, n);
    freeze(L, t, passed + (t->home == SL_HOME_VALUE));
}

/* [-0, +n, e] Takes many values, or an error. */
static int take_more(lua_State *L, sl_thread *t)
{
    int n = t->nargs;
    if (!sl_thread_hasroom(L, t->all, L, n + LUA_MINSTACK)) {
        lua_settop(t->stack, -n - 1);
        luaL_error(L, "too many values");
    }
    lua_xmove(t->stack, L, n);
    return n;
}

/* [-0, +n, e] Takes what control brought. */
static inline int take(lua_State *L, sl_thread *t)
{
    int n = t->nargs;
    if (n > SL_FEW || t->got == SL_FAILURE)
        return take_more(L, t);
    if (n > 0)
        lua_xmove(t->stack, L, n);
    return n;
}

void sl_thread_hold(lua_State *L, sl_thread *t, int state, int what, int n)
{
    sl_hook_checkhold(L, t);
    hold(L, t, state, what, n);
}

int sl_thread_take(lua_State *L, sl_thread *t)
{
    return take(L, t);
}

/* --- where a coroutine is ---------------------------------------------- */

/* [-0, +(0|1), -] Pushes the function in which a stopped coroutine is. */
static int push_innermost(lua_State *co)
{
    lua_Debug where;
    return lua_getstack(co, 0, &where) && lua_getinfo(co, "f", &where);
}

/* That function, if it is a C function. */
static lua_CFunction innermost(lua_State *co)
{
    if (!push_innermost(co))
        return NULL;
    lua_CFunction function = lua_tocfunction(co, -1);
    lua_pop(co, 1);
    return function;
}

int sl_thread_waits(const sl_thread *t)
{
    if (sl_thread_isfrozen(t))
        return 1;
    if (lua_status(t->co) != LUA_YIELD)
        return 0;
    if (SL_CONTINUES)
        return 1;
    if (t->adopted != NULL)
        return t->holder != NULL && innermost(t->co) == t->adopted;
    return lua_gettop(t->co) > 0 && lua_touserdata(t->co, -1) == t;
}

sl_thread *sl_thread_find(sl_threads *all, lua_State *co)
{
    for (sl_thread *t = all->records; t != NULL; t = t->next_record)
        if (t->co == co && (t->state == SL_RUNNING ||
                            (t->state == SL_WAITING && sl_thread_waits(t))))
            return t;
    return NULL;
}

int sl_thread_isbottom(sl_threads *all, lua_State *co)
{
    return co == all->bottom || sl_ismain(co);
}

/* Whether a coroutine that has yielded may be in a function of ours: those have
 * upvalues, coroutine.yield has none. */
static int may_wait(lua_State *co)
{
    if (!push_innermost(co))
        return 0;
    int is_ours = lua_iscfunction(co, -1) && lua_getupvalue(co, -1, 1) != NULL;
    lua_pop(co, is_ours ? 2 : 1);
    return is_ours;
}

/* Of a coroutine that has yielded. In a wait the record lies on its top, where
 * that can be seen (see sl_stop_wait). */
static enum sl_where where_yielded(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    if (lua_gettop(co) > 0 && lua_islightuserdata(co, -1))
        return SL_IS_WAITING;
    sl_thread *t = NULL;
    if (!SL_CONTINUES)
        t = sl_record_stopped(L, all, index);
    else if (may_wait(co))
        t = sl_thread_find(all, co);
    int is_waiting = t != NULL && t->state == SL_WAITING &&
                     (SL_CONTINUES || t->adopted != NULL) &&
                     sl_thread_waits(t);
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
    if (all->running != NULL && sl_thread_isbottom(all, co))
        return SL_IS_BELOW;
    t = sl_record_held(L, all, index);
    if (t == NULL)
        t = sl_thread_find(all, co);
    if (t == NULL)
        return lua_status(co) == LUA_OK ? SL_IS_NORMAL : SL_IS_DEAD;
    return t->state == SL_SUSPENDED ? SL_IS_SUSPENDED
         : t->state == SL_CALLING ? SL_IS_CALLING : SL_IS_WAITING;
}

enum sl_where sl_where_get(lua_State *L, sl_threads *all, int index)
{
    lua_State *co = lua_tothread(L, index);
    lua_Debug unused;
    sl_thread *t = sl_record_recent(all, co);
    if (t != NULL && t->state == SL_SUSPENDED)
        return SL_IS_SUSPENDED;
    if (lua_status(co) == LUA_YIELD)
        return where_yielded(L, all, index);
    if (co == L || lua_getstack(co, 0, &unused))
        return where_begun(L, all, index);
    return lua_status(co) == LUA_OK && lua_gettop(co) > 0 ? SL_IS_FRESH
                                                          : SL_IS_DEAD;
}

/* --- waiting ----------------------------------------------------------- */

void sl_stop_check(lua_State *L, sl_threads *all, const char *what)
{
    if (all->running == NULL && sl_cannotyield(L))
        luaL_error(L, "%s must be called from a loop thread (see newthread)",
                   what);
}

sl_thread *sl_stop_current(lua_State *L, sl_threads *all)
{
    if (all->running != NULL) {
        sl_record_anchor(L, all->running);
        return all->running;
    }
    sl_thread *t = sl_record_adopt(L, all);
    t->adopted = innermost(L);
    return t;
}

void sl_stop_disown(lua_State *L, sl_thread *t)
{
    if (t->adopted != NULL)
        sl_record_release(L, t);
}

/* The record of a coroutine that is in its wait although it runs: there is one,
 * and it lies on its stack. */
static sl_thread *find_waiting(const sl_threads *all, lua_State *co)
{
    sl_thread *t = all->records;
    while (t->co != co || lua_touserdata(co, t->index) != t)
        t = t->next_record;
    return t;
}

/* The wait is over; or somebody else has resumed the coroutine, and it goes
 * on. */
static int go_on(lua_State *L, int status, sl_kcontext context)
{
    sl_threads *all = (sl_threads *)context;
    sl_thread *t = all->running;
    (void)status;
    if (t != NULL && t->co == L)
        return t->nargs;
    if (all->closed)
        return luaL_error(L, SL_STATE_CLOSED);
    lua_settop(L, find_waiting(all, L)->index);
    return sl_yieldk(L, 0, context, go_on);
}

/* Its arguments stay on the stack below the record, so they stay alive: without
 * SL_CONTINUES only as they are yielded. What an adopted thread yields its
 * resumer gets. */
int sl_stop_wait(lua_State *L, sl_thread *t, sl_thread_results results)
{
    void *wait = t->wait;
    note_caller(L, t);
    t->results = results;
    t->state = SL_WAITING;
    if (t->adopted != NULL || can_yield(L, t)) {
        lua_pushlightuserdata(L, t);
        t->index = lua_gettop(L);
        return sl_yieldk(L, t->adopted != NULL ? 0 : t->index,
                         (sl_kcontext)t->all, go_on);
    }
    sl_stop_freeze(L, t);
    return results(L, wait);
}

void sl_stop_freeze(lua_State *L, sl_thread *t)
{
    note_caller(L, t);
    t->state = SL_WAITING;
    int is_started = sl_hook_startgc(L, t->all);
    freeze(L, t, 0);
    sl_hook_stopgc(L, is_started);
    sl_thread_sync_vm(L, t->all);
}

int sl_run_prepare(lua_State *L, sl_thread *t)
{
    if (sl_thread_isfrozen(t))
        return 1;
    if (!sl_thread_waits(t))
        return 0;
    if (t->fiber == NULL) {    /* else the results raised before */
        sl_record_reserve(L, t->all);
        t->fiber = sl_fiber_take(&t->all->fibers);
    }
    int n = t->results(L, t->wait);
    if (t->adopted != NULL)
        sl_record_own(L, t);
    lua_settop(t->co, 0);
    lua_xmove(L, t->co, n);
    t->nargs = n;
    return 1;
}

/* --- suspending and handing over --------------------------------------- */

int sl_stop_suspend(lua_State *L, sl_threads *all)
{
    sl_thread *t = all->running;
    if (lua_gettop(L) > 0)
        lua_settop(L, 0);
    if (t == NULL) {
        sl_hook_check(L, all);
        return lua_yield(L, 0);
    }
    sl_hook_checkhold(L, t);
    sl_record_pushmark(L, t);
    hold(L, t, SL_SUSPENDED, SL_NOTHING, 0);
    return take(L, t);
}

int sl_stop_wake(sl_thread *t)
{
    if (t->state != SL_SUSPENDED)
        return 0;
    lua_State *L = t->stack;
    lua_pushthread(t->co);
    lua_xmove(t->co, L, 1);         /* [the value of its home,] co */
    sl_record_unhold(L, t);
    sl_thread_gethome(L, t);
    t->nargs = 0;
    t->state = SL_WAITING;
    return 1;
}

/* [-0, +n, e] Control has come back. */
static inline int take_control(lua_State *L, sl_thread *t, int is_protected)
{
    if (is_protected)
        lua_pushboolean(L, 1);
    return take(L, t) + is_protected;
}

int sl_stop_transfer(lua_State *L, sl_threads *all, int n,
                     int is_protected)
{
    sl_thread *t = all->running;
    luaL_checkstack(L, 4, "too many values");
    sl_hook_checkhold(L, t);
    sl_record_pushmark(L, t);
    lua_replace(L, 1);
    hold(L, t, SL_SUSPENDED, SL_CONTROL, n);
    return take_control(L, t, is_protected);
}

/* The base takes notice when control comes back to it. */
int sl_stop_switch(lua_State *L, sl_thread *to, int n, int is_protected)
{
    sl_threads *all = to->all;
    sl_thread *t = all->running;
    lua_pushvalue(L, 1);
    if (!sl_hook_isoutside(L, t))
        return sl_stop_transfer(L, all, n, is_protected);
    sl_record_pushmark(L, t);
    lua_replace(L, 1);
    put_home(L, t, n + 1);
    sl_record_relieve(L, t, to);
    sl_thread_gethome(L, to);
    stop(L, t, SL_SUSPENDED);
    to->nargs = n;
    if (to->loop == NULL)
        to->loop = t->loop;
    sl_thread_rise(L, to, t->resumer, SL_CONTROL);
    sl_fiber_pass(t->fiber, to->fiber);
    return take_control(L, t, is_protected);
}

/* --- errors ------------------------------------------------------------ */

void sl_failure_message(lua_State *L)
{
    if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING &&
        strstr(lua_tostring(L, -2), "\nstack traceback:\n") == NULL) {
        lua_pushliteral(L, "\n");
        lua_insert(L, -2);
        lua_concat(L, 3);
    } else {
        lua_pop(L, 1);
    }
    lua_remove(L, -2);
}
