/*
 * hook.h - debug hooks, finalizers and lua_close: where a thread must not stop.
 * LuaJIT lets a thread stop in a debug hook with care, in a handler of
 * jit.attach or a finalizer not at all. The other Luas let it wait everywhere,
 * but not be suspended in a finalizer.
 *
 * LuaJIT has one flag for the whole Lua state, which is on while a hook, a
 * handler or a finalizer runs. While the flag is on, no hook is called, and
 * lua_yield breaks the coroutine that calls it. So the flag has to go with the
 * stack that is in the hook:
 *
 *   - a thread that stops in its own hook turns the flag off, and on again
 *     when it continues. It freezes, as a hook cannot yield;
 *   - a runner in a hook or a finalizer turns the flag off for the thread that
 *     it runs, and on again when control comes back;
 *   - nothing stops in a finalizer, during which the collector is off, or in a
 *     handler of jit.attach, which interrupts the compiler.
 *
 * LuaJIT has no function that reads the flag. But a coroutine yields in another
 * way if the flag is on, so one is made to yield (the prober), which takes as
 * long as a resume. The prober is not used where the answer is known: a step of
 * the loop uses it once for all threads that it wakes, and a function that can
 * yield is not in a hook of its own thread.
 *
 * In the other Luas each coroutine has a flag of its own. But from 5.2 on the
 * collector is off until a finalizer returns. A suspended thread may never
 * continue. If it were in a finalizer, the collector would be off for good, and
 * would not even collect that thread. A wait ends, so a thread may wait in a
 * finalizer.
 *
 * A finalizer leaves the collector on or off as it has found it, and the
 * finalizers of several threads may end in any order. So the collector is off
 * only while the stack runs that is in the finalizer. A thread that waits in a
 * finalizer turns the collector on, and off again when it continues. A runner
 * in a finalizer turns the collector on while it runs a thread. From 5.4.4 on
 * that is impossible, and not needed, as no second finalizer begins.
 *
 * While a thread calls lua_close, as os.exit(0, true) does, no thread runs or
 * stops: control would return to the main program's frames, which are gone.
 */

#ifndef SL_HOOK_H
#define SL_HOOK_H

#include "thread/thread.h"

enum sl_hook {
    SL_HOOK_OFF,               /* the flag is off */
    SL_HOOK_ON,                /* it is on */
    SL_HOOK_OWN,               /* it is or was on, and belongs to the thread */
    SL_HOOK_FINALIZER,         /* it is on because of a finalizer */
    SL_HOOK_LEFT,              /* it is off in a finalizer: in that of a runner,
                                  or after an error in the thread's own
                                  (hook.c) */
    SL_HOOK_UNKNOWN            /* unknown: not asked, or no memory to ask */
};

/* [-0, +0, -] See sl_hook_isclosing. */
int sl_hook_findclosing(lua_State *L, const sl_threads *all);

/* [-0, +0, -] Whether L runs while the running thread closes the Lua state. */
static inline int sl_hook_isclosing(lua_State *L, const sl_threads *all)
{
    return all->running != NULL && L != all->running->co &&
           sl_hook_findclosing(L, all);
}

/* [-0, +0, v] Raises if the running thread closes the Lua state. */
static inline void sl_hook_checkclosing(lua_State *L, const sl_threads *all)
{
    if (sl_hook_isclosing(L, all))
        luaL_error(L, SL_STATE_CLOSED);
}

/* [-0, +0, -] Finds out where L is. Other Luas than LuaJIT: SL_HOOK_OFF or
 * SL_HOOK_FINALIZER. */
enum sl_hook sl_hook_find(lua_State *L, sl_threads *all);

/* [-0, +0, -] Slow path of sl_hook_ofrunner. */
enum sl_hook sl_hook_findrunner(lua_State *L, sl_threads *all);

/* [-0, +0, m] Returns why the running thread, or L's coroutine if no thread
 * runs, must not stop here; NULL if it may. */
const char *sl_hook_refusal(lua_State *L, sl_threads *all);

/* Whether L, which runs in t, is known to be outside of hooks and finalizers of
 * t that matter here. */
static inline int sl_hook_isoutside(lua_State *L, const sl_thread *t)
{
    return L == t->co &&
           (sl_isyieldable(L) || (!SL_LUAJIT && sl_collects(L)));
}

/* Whether finalizers turn the collector off for all and can turn it on again:
 * in 5.2 to 5.4.3. A Lua state of its own is made to find out. */
int sl_hook_restartsgc(void);

/* [-0, +0, -] For a runner on L: finds out where L is, if that may make a
 * difference. */
static inline enum sl_hook sl_hook_ofrunner(lua_State *L, sl_threads *all)
{
    const sl_thread *t = all->running;
    if (SL_LUAJIT) {
        if (t == NULL && lua_gethook(L) == NULL && sl_collects(L))
            return SL_HOOK_UNKNOWN;    /* the usual case in the main program */
        return sl_hook_findrunner(L, all);
    }
    if (!all->gc_restarts)    /* the answer makes no difference */
        return SL_HOOK_OFF;
    return (t != NULL ? sl_hook_isoutside(L, t) : sl_collects(L))
               ? SL_HOOK_OFF : sl_hook_find(L, all);
}

/* Where the runner of the thread is, as far as that is known. */
static inline enum sl_hook sl_hook_runner(const sl_thread *t)
{
    return t->resumer != NULL ? t->resumer->runner_hook : t->all->runner_hook;
}

/* Whether the flag is known to be off, and the running thread can wait. */
static inline int sl_hook_isoff(lua_State *L, const sl_threads *all)
{
    const sl_thread *t = all->running;
    if (!SL_LUAJIT)
        return t == NULL || L == t->co;
    return t != NULL && t->hook != SL_HOOK_OWN &&
           sl_hook_runner(t) == SL_HOOK_OFF && sl_hook_isoutside(L, t);
}

/* sl_hook_refusal, without a call where the answer is known. */
static inline const char *sl_hook_refuses(lua_State *L, sl_threads *all)
{
    if (!sl_hook_isoff(L, all))
        return sl_hook_refusal(L, all);
    if (SL_LUAJIT)
        all->running->hook = SL_HOOK_OFF;
    return NULL;
}

/* [-0, +0, -] Turns the flag off. For a thread that was frozen in its own hook
 * and has left it, ended or yielded. */
void sl_hook_end(lua_State *L, sl_thread *t);

/* [-0, +0, e] Raises if the running thread must not wait here. */
static inline void sl_hook_check(lua_State *L, sl_threads *all)
{
    const char *refusal = sl_hook_refuses(L, all);
    if (refusal != NULL)
        luaL_error(L, "%s", refusal);
}

/* [-0, +0, -] In other Luas than LuaJIT: whether the running thread, or L if
 * none runs, is in a finalizer during which the collector is off. */
int sl_hook_findfinalizer(lua_State *L, const sl_threads *all);

/* [-0, +0, e] In other Luas than LuaJIT: raises if the running thread t is in a
 * finalizer during which the collector is off, or closes the Lua state. */
void sl_hook_checkfinalizer(lua_State *L, const sl_thread *t);

/* [-0, +0, e] Raises if the running thread must not be held here. */
static inline void sl_hook_checkhold(lua_State *L, sl_thread *t)
{
    if (!sl_hook_isoutside(L, t))
        SL_LUAJIT ? sl_hook_check(L, t->all) : sl_hook_checkfinalizer(L, t);
    else if (SL_LUAJIT && t->hook == SL_HOOK_OWN)
        sl_hook_end(L, t);
}

/* [-n, +0, -] Freezes the running thread t, which is in its own hook, until
 * control comes back. While t is frozen, the n topmost values are still the
 * topmost of L, and the mark of the thread (hold.h) is below all of them. */
void sl_hook_freeze(lua_State *L, sl_thread *t, int n);

/* (mark, ...) Called by sl_hook_freeze. */
int sl_hook_leave(lua_State *L);

/* [-0, +0, -] For the running thread, which is about to wait: turns the
 * collector on if a finalizer of the thread has turned it off. True if so; then
 * sl_hook_stopgc is to be called when the thread continues. */
static inline int sl_hook_startgc(lua_State *L, const sl_threads *all)
{
    if (!all->gc_restarts || !sl_canrestart(L) ||
        !sl_hook_findfinalizer(L, all))
        return 0;
    lua_gc(L, LUA_GCRESTART, 0);
    return 1;
}

static inline void sl_hook_stopgc(lua_State *L, int is_started)
{
    if (is_started)
        lua_gc(L, LUA_GCSTOP, 0);
}

/* Whether a runner needs sl_hook_run to run t: the flag may be on where the
 * runner is, or t is in its own hook. */
static inline int sl_hook_mayrestore(const sl_thread *t)
{
    const sl_threads *all = t->all;
    int hook = all->running != NULL ? all->running->runner_hook
                                    : all->runner_hook;
    return hook == SL_HOOK_ON || hook == SL_HOOK_FINALIZER ||
           t->hook == SL_HOOK_OWN;
}

/* Whether t, which is stopped, is in its own hook, so that a runner needs
 * sl_hook_run to run it. */
static inline int sl_hook_isstopped(const sl_thread *t)
{
    return SL_LUAJIT && t->hook == SL_HOOK_OWN;
}

/* [-n, +0, -] sl_handover_run in a runner on L: runs t, which may take n
 * values. The flag is off when t begins to run, and as before afterwards. */
void sl_hook_run(lua_State *L, sl_thread *t, enum sl_handover_kind got,
                 void (*function)(void *thread));

/* (pointer, v...) Called by sl_hook_run. */
int sl_hook_visit(lua_State *L);

/* () -> yields true. The function that the prober runs. */
int sl_hook_probe(lua_State *L);

#endif
