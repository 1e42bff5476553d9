/*
 * coro.c - `require 'coro'`: symmetric coroutines, which transfer control to
 * one another, and the functions of Lua's coroutine library on top of them.
 *
 * Each function has the sl_threads of the Lua state as its first upvalue.
 */

#include "socketloop.h"

#include "os/process.h"
#include "thread/arg.h"
#include "thread/end.h"
#include "thread/failure.h"
#include "thread/hold.h"
#include "thread/hook.h"
#include "thread/run.h"
#include "thread/stop.h"
#include "thread/threads.h"
#include "thread/traceback.h"
#include "thread/where.h"

static sl_threads *get_threads(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* [-0, +1, -] Pushes the running thread. True if it is the main program. */
static int push_running(lua_State *L)
{
    sl_threads *all = get_threads(L);
    if (all->running == NULL || sl_hook_isclosing(L, all))
        return lua_pushthread(L);
    sl_thread_push(L, all->running);
    return 0;
}

/* running() -> thread, whether it is the main program */
static int func_running(lua_State *L)
{
    lua_pushboolean(L, push_running(L));
    return 2;
}

/* status(thread) -> 'running', 'suspended', 'normal' or 'dead' */
static int func_status(lua_State *L)
{
    static const char *const names[] = {
        [SL_IS_FRESH] = "suspended", [SL_IS_SUSPENDED] = "suspended",
        [SL_IS_WAITING] = "suspended", [SL_IS_DEAD] = "dead",
        [SL_IS_RUNNING] = "running", [SL_IS_BELOW] = "normal",
        [SL_IS_CALLING] = "normal", [SL_IS_NORMAL] = "normal",
    };
    sl_arg_type(L, 1, LUA_TTHREAD);
    lua_pushstring(L, names[sl_where_get(L, get_threads(L), 1)]);
    return 1;
}

/* [-0, +1, m] Pushes a coroutine that will run the function at index. */
static void push_coroutine(lua_State *L, int index)
{
    sl_arg_body(L, index);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, index);
    lua_xmove(L, co, 1);
}

/* create(f) -> thread */
static int func_create(lua_State *L)
{
    push_coroutine(L, 1);
    return 1;
}

/* --- transfer ---------------------------------------------------------- */

/* Ends a function that ran the thread at index 1: returns the results above
 * that, or raises the error. */
static int give(lua_State *L, enum sl_outcome outcome, int is_protected)
{
    if (outcome == SL_FAILED && !is_protected) {
        sl_failure_message(L);
        return lua_error(L);
    }
    if (outcome == SL_FAILED)
        lua_remove(L, 2);    /* error and traceback remain */
    if (!is_protected)
        return lua_gettop(L) - 1;
    lua_pushboolean(L, outcome != SL_FAILED);
    lua_replace(L, 1);
    return lua_gettop(L);
}

static int after_transfer(lua_State *L, enum sl_outcome outcome)
{
    return give(L, outcome, 0);
}

static int after_ptransfer(lua_State *L, enum sl_outcome outcome)
{
    return give(L, outcome, 1);
}

/* The slow path of transfer: to a thread that cannot be switched to directly,
 * or from the main frame, which becomes the runner of the thread. */
static int transfer_other(lua_State *L, sl_threads *all, int n,
                          int is_protected)
{
    sl_thread *t = NULL;
    if (all->running == NULL)
        t = sl_run_readyrecent(L, all, n);
    if (t == NULL) {
        sl_arg_type(L, 1, LUA_TTHREAD);
        sl_where_checktarget(L, all, 1);
        lua_pushvalue(L, 1);    /* target, v..., target */
        if (all->running != NULL) {
            lua_remove(L, 1);
            return sl_stop_transfer(L, all, n, is_protected);
        }
        t = sl_run_makeready(L, all, n);    /* target, v... */
    }
    return sl_run_ready(L, t, is_protected ? after_ptransfer
                                           : after_transfer);
}

static inline int transfer(lua_State *L, int is_protected)
{
    sl_threads *all = get_threads(L);
    lua_State *co = lua_tothread(L, 1);
    sl_thread *to = co != NULL ? sl_hold_recent(all, co) : NULL;
    int n = lua_gettop(L) - 1;
    if (to != NULL && to->state == SL_SUSPENDED && n <= SL_FAST_VALUES_MAX &&
        all->running != NULL)
        return sl_stop_switch(L, to, n, is_protected);
    return transfer_other(L, all, n, is_protected);
}

/* transfer(thread, ...) -> the values that control brings back */
static int func_transfer(lua_State *L)
{
    return transfer(L, 0);
}

/* ptransfer(thread, ...) -> true, ... or false, error, traceback */
static int func_ptransfer(lua_State *L)
{
    return transfer(L, 1);
}

/* --- resume and yield -------------------------------------------------- */

/* The slow path of a resume: runs the thread at index 1 with the values above
 * it. */
static int call_other(lua_State *L, sl_run_after after)
{
    int n = lua_gettop(L) - 1;
    lua_pushvalue(L, 1);
    return sl_run_call(L, sl_run_makeready(L, get_threads(L), n), after);
}

static int after_call(lua_State *L, enum sl_outcome outcome)
{
    if (outcome != SL_STOPPED)
        sl_run_forget(L, get_threads(L), 1);
    return give(L, outcome, 0);
}

static int after_pcall(lua_State *L, enum sl_outcome outcome)
{
    if (outcome != SL_STOPPED)
        sl_run_forget(L, get_threads(L), 1);
    return give(L, outcome, 1);
}

/* [-0, +0, e] Returns why the thread at index 1 cannot be resumed; NULL if it
 * can. Raises where that is an error in any case. */
static const char *check_resumable(lua_State *L)
{
    enum sl_where where = sl_where_get(L, get_threads(L), 1);
    if (where == SL_IS_FRESH || where == SL_IS_SUSPENDED)
        return NULL;
    if (where == SL_IS_DEAD)
        return "cannot resume dead coroutine";
    if (where == SL_IS_WAITING)
        return "cannot resume a coroutine that waits in I/O or sleep";
    if (where == SL_IS_RUNNING)
        luaL_error(L, "trying to resume the running thread");
    if (sl_ismain(lua_tothread(L, 1)))
        luaL_error(L, "trying to resume the main thread");
    return "cannot resume non-suspended coroutine";
}

/* resume(thread, ...) -> true, ... or false, error, traceback */
static int func_resume(lua_State *L)
{
    int n = lua_gettop(L) - 1;
    sl_thread *t = sl_run_readyrecent(L, get_threads(L), n);
    if (t != NULL)
        return sl_run_call(L, t, after_pcall);
    sl_arg_type(L, 1, LUA_TTHREAD);
    const char *message = check_resumable(L);
    if (message == NULL)
        return call_other(L, after_pcall);
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    lua_pushstring(L, message);
    sl_traceback_push(L, L);
    return give(L, SL_FAILED, 1);
}

/* yield(...) -> the values that the next resume passes */
static int func_yield(lua_State *L)
{
    sl_threads *all = get_threads(L);
    sl_thread *t = all->running;
    if (t == NULL && sl_ismain(L))
        return luaL_error(L, "yielding from the main thread");
    if (t == NULL) {
        sl_hook_check(L, all);
        return lua_yield(L, lua_gettop(L));
    }
    int n = lua_gettop(L);
    if (!sl_target_pushyield(L, t))
        return luaL_error(L, "yielding from a non-resumed thread");
    sl_target_setnone(t);    /* the next resume sets a new target */
    return sl_stop_transfer(L, all, n, 0);
}

/* isyieldable() -> whether yield is possible */
static int func_isyieldable(lua_State *L)
{
    sl_threads *all = get_threads(L);
    sl_thread *t = all->running;
    if (t == NULL || sl_hook_isclosing(L, all)) {
        lua_pushboolean(L, t == NULL && !sl_cannotyield(L));
    } else {
        lua_pushboolean(L, sl_target_pushyield(L, t));
    }
    return 1;
}

/* Upvalues: sl_threads, coroutine. */
static int call_wrapped(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    int n = lua_gettop(L) - 1;
    sl_thread *t = sl_run_readyrecent(L, get_threads(L), n);
    if (t != NULL)
        return sl_run_call(L, t, after_call);
    const char *message = check_resumable(L);
    if (message != NULL)
        return luaL_error(L, "%s", message);
    return call_other(L, after_call);
}

/* wrap(f) -> function that resumes a coroutine of f, and raises its errors */
static int func_wrap(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    push_coroutine(L, 1);
    lua_pushcclosure(L, call_wrapped, 2);
    return 1;
}

/* --- safewrap ---------------------------------------------------------- */

/* The table that is the return target of the coroutine, and that its two
 * functions share. */
enum {
    CALLER = 1,    /* the thread that called the wrapper */
    YIELDER        /* the thread that yielded last, to continue; nil: dead */
};

/* Upvalues: sl_threads, the table. Transfers control to the thread that yielded
 * last. */
static int call_safewrapped(lua_State *L)
{
    sl_threads *all = get_threads(L);
    int state = lua_upvalueindex(2);
    int n = lua_gettop(L);
    luaL_checkstack(L, 3, "too many arguments");
    lua_rawgeti(L, state, YIELDER);
    if (lua_isnil(L, -1))
        return luaL_error(L, "cannot resume dead coroutine");
    sl_where_checktarget(L, all, n + 1);
    push_running(L);
    lua_rawseti(L, state, CALLER);
    enum sl_where where = sl_where_get(L, all, n + 1);
    if (where == SL_IS_BELOW)    /* it was resumed by other means since */
        return sl_stop_transfer(L, all, n, 0);
    lua_pushvalue(L, -1);
    lua_insert(L, 1);    /* yielder, v..., yielder */
    sl_thread *t = sl_run_makeready(L, all, n);
    if (where == SL_IS_FRESH) {
        lua_pushvalue(L, state);
        sl_target_setvalue(L, t);
    }
    return sl_run_follow(L, t, after_transfer);
}

/* Upvalues: sl_threads, the table. Transfers control from any thread to the
 * wrapper's caller. */
static int yield_safely(lua_State *L)
{
    sl_threads *all = get_threads(L);
    int state = lua_upvalueindex(2);
    int n = lua_gettop(L);
    luaL_checkstack(L, 3, "too many values");
    if (all->running == NULL)
        return luaL_error(L, "yielding from the main thread");
    lua_rawgeti(L, state, CALLER);
    if (lua_isnil(L, -1))
        return luaL_error(L, "yielding from a non-resumed thread");
    sl_where_checktarget(L, all, n + 1);
    push_running(L);
    lua_rawseti(L, state, YIELDER);
    return sl_stop_transfer(L, all, n, 0);
}

/* safewrap(f) -> function that resumes a coroutine of f, coroutine. f gets a
 * yield function of its own before the arguments. */
static int func_safewrap(lua_State *L)
{
    lua_settop(L, 1);
    push_coroutine(L, 1);
    lua_State *co = lua_tothread(L, 2);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 2);
    lua_rawseti(L, 3, YIELDER);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 3);
    lua_pushcclosure(L, yield_safely, 2);
    lua_xmove(L, co, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 3);
    lua_pushcclosure(L, call_safewrapped, 2);
    lua_pushvalue(L, 2);
    return 2;
}

/* close(thread) -> true, or false and the error of a to-be-closed variable */
static int func_close(lua_State *L)
{
    sl_threads *all = get_threads(L);
    sl_arg_type(L, 1, LUA_TTHREAD);
    lua_settop(L, 1);
    lua_State *co = lua_tothread(L, 1);
    enum sl_where where = sl_where_get(L, all, 1);
    sl_thread *t = sl_hold_find(L, all, 1);
    /* A coroutine in which another one is nested cannot be closed. */
    int is_alone = t != NULL ? where == SL_IS_SUSPENDED && t->stack == co
                             : lua_status(co) == LUA_YIELD ||
                               where == SL_IS_FRESH || where == SL_IS_DEAD;
    if (!is_alone)
        return luaL_error(L, "cannot close a %s coroutine",
                          where == SL_IS_RUNNING ? "running" : "normal");
    return sl_end_close(L, all, t);
}

/* install() -> the former coroutine library, which this one replaces */
static int func_install(lua_State *L)
{
    lua_getglobal(L, "coroutine");
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setglobal(L, "coroutine");
    return 1;
}

static const luaL_Reg functions[] = {
    {"create", func_create},
    {"isyieldable", func_isyieldable},
    {"ptransfer", func_ptransfer},
    {"resume", func_resume},
    {"running", func_running},
    {"safewrap", func_safewrap},
    {"status", func_status},
    {"transfer", func_transfer},
    {"wrap", func_wrap},
    {"yield", func_yield},
    {NULL, NULL}
};

/* From 5.4 on, where coroutines have to-be-closed variables. */
static const luaL_Reg closing_functions[] = {
    {"close", func_close},
    {NULL, NULL}
};

int luaopen_socketloop_symmetric(lua_State *L)
{
    sl_checkversion(L);
    sl_threads *all = sl_threads_get(L);
    sl_process_pin();
    sl_arg_register(L, functions, 0);
    sl_arg_register(L, closing_functions, 0);
    lua_newtable(L);
    lua_pushlightuserdata(L, all);
    sl_setfuncs(L, functions, 1);
    if (SL_CLOSES_VARIABLES) {
        lua_pushlightuserdata(L, all);
        sl_setfuncs(L, closing_functions, 1);
    }
    lua_pushlightuserdata(L, all);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, func_install, 2);
    lua_setfield(L, -2, "install");
    return 1;
}
