/*
 * hook.c - see hook.h.
 */

#include "thread/hook.h"

#include "thread/chain.h"
#include "thread/hold.h"
#include "thread/mute.h"
#include "thread/pcall.h"

#include <stdint.h>

/* --- errors of hooks --------------------------------------------------- */

static void raise_again(lua_State *L, lua_Debug *unused)
{
    (void)unused;
    lua_sethook(L, NULL, 0, 0);
    sl_anchor_push(L, sl_thread_all(L)->values, SL_VALUE_HOOK_ERROR);
    lua_error(L);
}

/* [-1, +0, -] For a call of ours that failed with the error on the top. The
 * error is nil if we raised it. Else it comes from a hook that a signal handler
 * has set since (Ctrl-C): it is raised where Lua calls the next hook. */
static void put_off(lua_State *L, sl_threads *all, int status)
{
    if (status != LUA_ERRRUN || lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    sl_anchor_set(L, all->values, SL_VALUE_HOOK_ERROR);
    lua_sethook(L, raise_again, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* --- finalizers of other Luas ------------------------------------------- */

/* The finalizer of a userdata whose block has a pointer to the answer. */
static int answer_gc(lua_State *L)
{
    int **answer = lua_touserdata(L, 1);
    **answer = sl_canrestart(L);
    return 0;
}

static int make_answerer(lua_State *L)
{
    int **answer = lua_newuserdata(L, sizeof *answer);
    *answer = lua_touserdata(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, answer_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return 0;
}

int sl_hook_restartsgc(void)
{
    int answer = !SL_LUAJIT;    /* it stays where memory is short */
    lua_State *other = SL_LUAJIT ? NULL : luaL_newstate();
    if (other != NULL) {
        sl_cpcall(other, make_answerer, &answer);
        lua_close(other);
    }
    return answer;
}

static void unset(lua_State *L, lua_Debug *unused)
{
    (void)unused;
    lua_sethook(L, NULL, 0, 0);
}

/* [-0, +0, -] Whether co is in a finalizer or in a hook: in both it calls no
 * hooks. The collector is off, so the call here runs no finalizer. */
static int is_finalizing(lua_State *co, const sl_threads *all)
{
    lua_Hook hook = lua_gethook(co);
    int mask = lua_gethookmask(co), count = lua_gethookcount(co);
    lua_sethook(co, unset, LUA_MASKCALL, 0);
    sl_anchor_push(co, all->values, SL_VALUE_NOTHING);
    if (lua_pcall(co, 0, 0, 0) != LUA_OK)
        lua_pop(co, 1);
    int called = lua_gethook(co) != unset;
    if (!called || lua_gethook(co) == NULL)    /* else a signal handler has set
                                                  a hook */
        lua_sethook(co, hook, mask, count);
    return !called;
}

/* The collector may be off because the program has stopped it, so each
 * coroutine is asked. A coroutine that another module's C function has resumed
 * is not found, but L is. */
int sl_hook_findfinalizer(lua_State *L, const sl_threads *all)
{
    lua_State *co = all->running != NULL ? all->running->co : all->main;
    if (sl_collects(L))
        return 0;
    for (; co != NULL && co != L; co = sl_chain_next(co))
        if (is_finalizing(co, all))
            return 1;
    return is_finalizing(L, all);
}

void sl_hook_checkfinalizer(lua_State *L, const sl_thread *t)
{
    sl_hook_checkclosing(L, t->all);
    if (sl_hook_findfinalizer(L, t->all))
        luaL_error(L, "no thread can be suspended in a finalizer: the "
                   "collector is off meanwhile");
}

/* --- a state that is being closed --------------------------------------- */

/* [-0, +0, -] Whether the main program, whose stack is `bottom`, is in the C
 * function that runs its threads. That function has the loop or the sl_threads
 * as its first upvalue; Lua's functions that resume coroutines have no userdata
 * there. */
static int runs_threads(lua_State *bottom)
{
    lua_Debug call;
    int top = lua_gettop(bottom);
    int is_ours = lua_getstack(bottom, 0, &call) &&
                  lua_getinfo(bottom, "f", &call) &&
                  lua_iscfunction(bottom, -1) &&
                  lua_getupvalue(bottom, -1, 1) != NULL &&
                  lua_isuserdata(bottom, -1);
    lua_settop(bottom, top);
    return is_ours;
}

/* lua_close calls finalizers, and in 5.4 __close, on the main program's stack.
 * Otherwise that stack runs nothing while a thread runs. Finalizers may resume
 * coroutines, so L may be one of them. If the main frame is in a coroutine, a
 * chain leads from the main program to the main frame, and through it to L;
 * while the state is being closed, the chain leads to L without the main
 * frame. */
int sl_hook_findclosing(lua_State *L, const sl_threads *all)
{
    if (all->closed || sl_ismain(L))
        return 1;
    if (all->main == NULL)
        return 0;
    if (all->main_frame == all->main)
        return !runs_threads(all->main);
    return sl_chain_reaches(all->main, L, all->main_frame);
}

/* --- the flag ---------------------------------------------------------- */

int sl_hook_probe(lua_State *L)
{
    lua_pushboolean(L, 1);
    return lua_yield(L, 1);
}

/* () -> nothing. */
static int make_prober(lua_State *L, void *arg)
{
    sl_threads *all = arg;
    lua_State *prober = lua_newthread(L);
    sl_anchor_set(L, all->values, SL_VALUE_PROBER);
    all->prober = prober;
    return 0;
}

/* [-0, +0, -] Makes the prober if there is none; false without memory for it.
 * Runs no finalizers: they could resume the coroutine that a runner has
 * prepared, or use a thread that is about to stop or has just stopped. */
static int need_prober(lua_State *L, sl_threads *all)
{
    if (all->prober != NULL)
        return 1;
    int collects = sl_collects(L);
    if (collects)
        lua_gc(L, LUA_GCSTOP, 0);
    int status = sl_pcall_body(L, all, make_prober, all, 0);
    if (collects)
        lua_gc(L, LUA_GCRESTART, 0);
    if (status != LUA_OK)
        put_off(L, all, status);
    return all->prober != NULL;
}

/* [-0, +0, e] Turns the flag off; returns whether it was on. If it was, the
 * prober's value was not yielded, and the prober is useless from then on. */
static int turn_off(lua_State *L, sl_threads *all)
{
    lua_State *prober = all->prober;
    int unused;
    lua_settop(prober, 0);
    sl_anchor_push(prober, all->values, SL_VALUE_PROBE);
    int status = sl_resume(prober, L, 0, &unused);
    if (lua_gettop(prober) == 0) {
        all->prober = NULL;
        return 1;
    }
    if (status == LUA_YIELD) {
        sl_resume(prober, L, 0, &unused);
        return 0;
    }
    all->prober = NULL;
    lua_xmove(prober, L, 1);
    sl_thread_sync_vm(L, all);
    return lua_error(L);
}

typedef struct finding {
    sl_threads *all;
    enum sl_hook hook;
} finding;

/* () -> nothing. Fails if the flag was on or a finalizer runs: lua_pcall turns
 * the flag on again after an error. */
static int find(lua_State *L, void *arg)
{
    finding *f = arg;
    if (!need_prober(L, f->all))
        return 0;
    int is_on = turn_off(L, f->all);
    if (is_on)
        sl_thread_sync_vm(L, f->all);
    f->hook = is_on ? SL_HOOK_FINALIZER : SL_HOOK_LEFT;
    sl_checkfinalizer(L);
    f->hook = is_on ? SL_HOOK_ON : SL_HOOK_OFF;
    if (!is_on)
        return 0;
    lua_pushnil(L);
    return lua_error(L);
}

/* [-0, +0, -] Finds out whether the flag is on, and whether a finalizer
 * runs. */
static enum sl_hook look(lua_State *L, sl_threads *all)
{
    finding f = {all, SL_HOOK_UNKNOWN};
    sl_muted m = sl_mute_begin(L);
    int status = sl_pcall_body(L, all, find, &f, 0);
    sl_mute_end(L, m);
    if (f.hook == SL_HOOK_FINALIZER || f.hook == SL_HOOK_LEFT)
        lua_pop(L, 1);
    else if (status != LUA_OK)
        put_off(L, all, status);
    return f.hook;
}

enum sl_hook sl_hook_find(lua_State *L, sl_threads *all)
{
    if (!SL_LUAJIT)
        return sl_hook_findfinalizer(L, all) ? SL_HOOK_FINALIZER
                                             : SL_HOOK_OFF;
    enum sl_hook hook = look(L, all);
    return hook == SL_HOOK_LEFT ? SL_HOOK_FINALIZER : hook;
}

enum sl_hook sl_hook_findrunner(lua_State *L, sl_threads *all)
{
    sl_thread *t = all->running;
    if (t != NULL && sl_hook_isoutside(L, t))
        return t->hook != SL_HOOK_OWN ? sl_hook_runner(t) : SL_HOOK_UNKNOWN;
    if (lua_gethook(L) == NULL && sl_collects(L))
        return SL_HOOK_UNKNOWN;
    return sl_hook_find(L, all);
}

/* --- stopping ---------------------------------------------------------- */

/* [-0, +0, m] Whether jit.attach was ever called with a Lua function. Since
 * 2025 LuaJIT has a handler in C of its own, for errors in finalizers. */
static int has_handlers(lua_State *L)
{
    int has = 0;
    lua_getfield(L, LUA_REGISTRYINDEX, "_VMEVENTS");
    if (lua_istable(L, -1)) {
        lua_pushnil(L);
        while (!has && lua_next(L, -2)) {
            has = !lua_iscfunction(L, -1);
            lua_pop(L, has ? 2 : 1);
        }
    }
    lua_pop(L, 1);
    return has;
}

/* Why a coroutine that is not a thread must not yield; NULL if it may. */
static const char *refuse_coroutine(enum sl_hook hook)
{
    return hook == SL_HOOK_OFF ? NULL
         : hook == SL_HOOK_UNKNOWN ? "not enough memory"
         : "LuaJIT lets no coroutine wait that was resumed in a debug hook "
           "or a finalizer";
}

/* Returns why the thread must not stop in a hook or finalizer that keeps L from
 * yielding; NULL if it may. The hook or finalizer is the thread's own: for that
 * of a runner the flag was turned off. While a runner is in a finalizer, the
 * thread's hooks look like finalizers. */
static const char *refuse_inside(lua_State *L, sl_threads *all,
                                 enum sl_hook hook)
{
    if (hook == SL_HOOK_UNKNOWN)
        return "not enough memory";
    if (hook == SL_HOOK_FINALIZER || hook == SL_HOOK_LEFT)
        return "LuaJIT lets no thread wait in a finalizer, nor in a debug hook "
               "meanwhile";
    if (has_handlers(L))
        return "LuaJIT lets no thread wait in a handler of jit.attach, nor in "
               "a debug hook once there was such a handler";
    if (!need_prober(L, all))
        return "not enough memory";
    all->running->hook = SL_HOOK_OWN;
    return NULL;
}

const char *sl_hook_refusal(lua_State *L, sl_threads *all)
{
    if (sl_hook_isclosing(L, all))
        return SL_STATE_CLOSED;
    if (!SL_LUAJIT)
        return NULL;
    sl_thread *t = all->running;
    if (t != NULL && t->hook == SL_HOOK_OWN && sl_hook_isoutside(L, t))
        sl_hook_end(L, t);
    enum sl_hook hook = look(L, all);
    if (t == NULL)
        return refuse_coroutine(hook);
    if (hook == SL_HOOK_LEFT && sl_hook_runner(t) == SL_HOOK_FINALIZER)
        hook = SL_HOOK_OFF;
    t->hook = hook == SL_HOOK_OFF ? SL_HOOK_OFF : SL_HOOK_ON;
    if (hook == SL_HOOK_OFF || sl_hook_isoutside(L, t))
        return NULL;
    return refuse_inside(L, all, hook);
}

/* Raises nil at the end, so that lua_pcall turns the flag on again. */
int sl_hook_leave(lua_State *L)
{
    sl_thread *t = sl_hold_ofmark(lua_tonumber(L, 1));
    turn_off(L, t->all);
    sl_fiber_freeze(t->fiber, SL_STACK_SIZE);
    sl_muted m = sl_mute_begin(L);
    sl_thread_sync_vm(L, t->all);
    sl_mute_end(L, m);
    lua_pushnil(L);
    return lua_error(L);
}

void sl_hook_freeze(lua_State *L, sl_thread *t, int n)
{
    sl_anchor_push(L, t->all->values, SL_VALUE_LEAVE);
    lua_insert(L, -(n + 1));
    sl_hold_pushmark(L, t);
    lua_insert(L, -(n + 1));
    put_off(L, t->all, lua_pcall(L, n + 1, 0, 0));
}

/* --- running ------------------------------------------------------------ */

typedef struct visit {
    sl_thread *thread;
    void (*function)(void *thread);
    int has_run;
    sl_muted muted;
} visit;

/* Raises nil at the end, so that lua_pcall turns the flag on again. */
int sl_hook_visit(lua_State *L)
{
    visit *v = (visit *)(uintptr_t)lua_tonumber(L, 1);
    sl_threads *all = v->thread->all;
    if (!has_handlers(L) && need_prober(L, all))
        turn_off(L, all);
    v->has_run = 1;
    sl_mute_end(L, v->muted);
    sl_fiber_run(v->thread->fiber, v->function, v->thread);
    v->muted = sl_mute_begin(L);
    sl_thread_sync_vm(L, all);
    lua_pushnil(L);
    return lua_error(L);
}

/* Without memory for the call, the thread runs with the flag as it is, and
 * takes nils. */
void sl_hook_run(lua_State *L, sl_thread *t, enum sl_handover_kind got,
                 void (*function)(void *thread))
{
    sl_threads *all = t->all;
    int n = sl_state_takes(t) ? t->got.nvalues : 0;
    visit v = {t, function, 0, sl_mute_begin(L)};
    sl_state_enter(L, t, all->running, got);
    if (!t->anchored) {    /* its coroutine lies on L, below the frame of
                              sl_hook_visit */
        sl_thread_push(L, t);
        sl_hold_resume_anchor(L, t);
    }
    sl_anchor_push(L, all->values, SL_VALUE_VISIT);
    lua_insert(L, -(n + 1));
    lua_pushnumber(L, (lua_Number)(uintptr_t)&v);
    lua_insert(L, -(n + 1));    /* sl_hook_visit, &v, v... */
    int status = lua_pcall(L, n + 1, 0, 0);
    sl_mute_end(L, v.muted);
    put_off(L, all, status);
    if (!v.has_run) {
        lua_settop(L, lua_gettop(L) + n);
        sl_fiber_run(t->fiber, function, t);
    } else if (!sl_fiber_isfrozen(all->running->fiber)) {
        all->running->hook = SL_HOOK_OFF;    /* the thread has left its hook */
    }
}

static int clear(lua_State *L, void *arg)
{
    if (need_prober(L, arg))
        turn_off(L, arg);
    return 0;
}

void sl_hook_end(lua_State *L, sl_thread *t)
{
    t->hook = SL_HOOK_OFF;
    sl_muted m = sl_mute_begin(L);
    int status = sl_pcall_body(L, t->all, clear, t->all, 0);
    sl_mute_end(L, m);
    if (status != LUA_OK)
        put_off(L, t->all, status);
}
