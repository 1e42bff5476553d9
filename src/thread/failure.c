/*
 * failure.c - errors of threads and their tracebacks. See failure.h.
 */

#include "thread/failure.h"

#include "thread/record.h"

#include <string.h>

/* A traceback follows at most this many threads, each of which returns to the
 * next one: they may do so in a circle. */
enum { TRACED_MAX = 20 };

/* What is kept in a table under a thread that closes its variables. */
enum { KEPT_ERROR = 1, KEPT_TRACEBACK };

/* [-0, +1, -] Pushes the thread to which t returns, or something else. */
static void push_returnee(lua_State *L, sl_thread *t)
{
    if (t->home == SL_HOME_CALLER && t->resumer != NULL) {
        sl_thread_push(L, t->resumer);
    } else if (t->home == SL_HOME_VALUE &&
               (t->state == SL_SUSPENDED || t->state == SL_CALLING)) {
        lua_pushvalue(t->stack, -1);    /* it is held: see freeze */
        lua_xmove(t->stack, L, 1);
    } else {
        sl_record_pushhome(L, t);
    }
}

/* [-1, +0, m] Adds to the traceback below the thread on the top its frames,
 * those of the thread to which it returns, and so on. */
static void trace_returnees(lua_State *L, sl_threads *all)
{
    for (int i = 0; lua_isthread(L, -1) && i < TRACED_MAX; i++) {
        lua_State *co = lua_tothread(L, -1);
        sl_thread *t = sl_record_held(L, all, -1);
        if (t == NULL)
            t = sl_thread_find(all, co);
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

/* () -> the traceback of a thread that failed */
static int trace(lua_State *L, void *arg)
{
    sl_thread *t = arg;
    sl_traceback(L, t->co);
    push_returnee(L, t);
    trace_returnees(L, t->all);
    return 1;
}

/* (): failures[thread, which is anchored] = {error, traceback} */
static int keep(lua_State *L, void *arg)
{
    sl_thread *t = arg;
    sl_anchor_push(L, t->all->values, SL_VALUE_FAILURES);
    sl_thread_push(L, t);
    lua_createtable(L, 2, 0);
    lua_pushvalue(t->co, -1);
    lua_xmove(t->co, L, 1);
    lua_rawseti(L, -2, KEPT_ERROR);
    trace(L, t);
    lua_rawseti(L, -2, KEPT_TRACEBACK);
    lua_rawset(L, -3);
    return 0;
}

void sl_failure_keep(lua_State *L, sl_thread *t)
{
    t->status = SL_CLOSING;
    sl_record_anchor(L, t);
    if (sl_pcall_body(L, t->all, keep, t, 0) != LUA_OK)
        lua_pop(L, 1);
}

void sl_failure_close(void *thread)
{
    sl_thread *t = thread;
    t->nresults = sl_reset(t->co);
}

/* [-0, +1, -] Pushes what was kept for the thread on the top, or nil. */
static void take_kept(lua_State *L, sl_threads *all)
{
    sl_anchor_push(L, all->values, SL_VALUE_FAILURES);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    lua_pushvalue(L, -3);
    lua_pushnil(L);
    lua_rawset(L, -4);
    lua_remove(L, -2);
}

/* [-1, +1, -] Replaces a table, or nil, by what it has at a place. */
static void pick(lua_State *L, int place)
{
    if (lua_istable(L, -1))
        lua_rawgeti(L, -1, place);
    else
        lua_pushnil(L);
    lua_remove(L, -2);
}

int sl_failure_take(lua_State *L, sl_threads *all)
{
    take_kept(L, all);
    int is_kept = lua_istable(L, -1);
    pick(L, KEPT_ERROR);
    lua_remove(L, -2);
    return is_kept;
}

/* [-0, +2, -] Pushes the error and the traceback of a thread, which is on the
 * top, that has closed its variables. The last error is the one. */
static void push_kept(lua_State *L, sl_thread *t)
{
    take_kept(L, t->all);
    lua_pushvalue(L, -1);
    pick(L, KEPT_ERROR);
    if (t->nresults > 0) {
        lua_pop(L, 1);
        lua_xmove(t->co, L, 1);
    }
    lua_insert(L, -2);
    pick(L, KEPT_TRACEBACK);
    if (lua_isnil(L, -1)) {    /* for want of memory */
        lua_pop(L, 1);
        sl_pcall_body(L, t->all, trace, t, 1);
    }
}

void sl_failure_push(lua_State *L, sl_thread *t)
{
    sl_thread_push(L, t);
    if (t->status == SL_CLOSING) {
        push_kept(L, t);
    } else {
        lua_xmove(t->co, L, 1);
        sl_pcall_body(L, t->all, trace, t, 1);
    }
    lua_settop(t->co, 0);
}

void sl_failure_pushlost(lua_State *L, sl_thread *t)
{
    sl_thread_push(L, t);
    sl_anchor_push(L, t->all->values, SL_VALUE_LEFT);
    sl_pcall_body(L, t->all, trace, t, 1);
}
