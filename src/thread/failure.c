/*
 * failure.c - errors of threads and their tracebacks. See failure.h.
 */

#include "thread/failure.h"

#include "thread/hold.h"
#include "thread/pcall.h"
#include "thread/record.h"
#include "thread/traceback.h"

#include <string.h>

/* A traceback follows at most this many threads along the chain of return
 * targets, which may be circular. */
enum { TRACED_MAX = 20 };

/* Positions in the table that is kept for a thread that closes its
 * variables. */
enum { KEPT_ERROR = 1, KEPT_TRACEBACK };

/* [-0, +1, -] Pushes the thread to which t returns, or something else. */
static void trace_pushnext(lua_State *L, sl_thread *t)
{
    if (t->return_to == SL_RETURN_TO_CALLER && t->resumer != NULL)
        sl_thread_push(L, t->resumer);
    else if (t->return_to == SL_RETURN_TO_VALUE && sl_state_isheld(t))
        sl_target_copyheld(L, t);
    else
        sl_target_pushvalue(L, t);
}

/* [-1, +1, m] Adds the frames of co to the traceback on the top. */
static void trace_addframes(lua_State *L, lua_State *co)
{
    sl_traceback_push(L, co);
    const char *frames = strchr(lua_tostring(L, -1), '\n');
    lua_pushstring(L, frames != NULL ? frames : "");
    lua_remove(L, -2);    /* that traceback, with its first line */
    lua_concat(L, 2);
}

/* [-1, +0, m] Pops a thread. Adds to the traceback below it the frames of the
 * thread, of the thread to which that returns, and so on. */
static void trace_addthreads(lua_State *L, sl_threads *all)
{
    for (int i = 0; lua_isthread(L, -1) && i < TRACED_MAX; i++) {
        lua_State *co = lua_tothread(L, -1);
        sl_thread *t = sl_hold_find(L, all, -1);
        if (t == NULL)
            t = sl_thread_find(all, co);
        lua_insert(L, -2);    /* thread, traceback */
        trace_addframes(L, co);
        if (t != NULL)
            trace_pushnext(L, t);
        else
            lua_pushnil(L);
        lua_remove(L, -3);    /* traceback, next thread */
    }
    lua_pop(L, 1);
}

/* () -> the traceback of a thread that failed */
static int trace_make(lua_State *L, void *arg)
{
    sl_thread *t = arg;
    sl_traceback_push(L, t->co);
    trace_pushnext(L, t);
    trace_addthreads(L, t->all);
    return 1;
}

/* (): failures[thread, which is anchored] = {error, traceback} */
static int failure_keep(lua_State *L, void *arg)
{
    sl_thread *t = arg;
    sl_anchor_push(L, t->all->values, SL_VALUE_FAILURES);
    sl_thread_push(L, t);
    lua_createtable(L, 2, 0);
    lua_pushvalue(t->co, -1);    /* a copy: closing needs the error, too */
    lua_xmove(t->co, L, 1);
    lua_rawseti(L, -2, KEPT_ERROR);
    trace_make(L, t);
    lua_rawseti(L, -2, KEPT_TRACEBACK);
    lua_rawset(L, -3);
    return 0;
}

void sl_failure_keep(lua_State *L, sl_thread *t)
{
    t->status = SL_CLOSING;
    sl_record_anchor(L, t);
    if (sl_pcall_body(L, t->all, failure_keep, t, 0) != LUA_OK)
        lua_pop(L, 1);
}

void sl_failure_close(void *thread)
{
    sl_thread *t = thread;
    t->given.nvalues = sl_reset(t->co);
}

/* [-0, +1, -] Pushes the table that is kept for the thread on the top, or nil,
 * and keeps it no longer. */
static void kept_take(lua_State *L, sl_threads *all)
{
    sl_anchor_push(L, all->values, SL_VALUE_FAILURES);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);     /* thread, failures, kept */
    lua_pushvalue(L, -3);
    lua_pushnil(L);
    lua_rawset(L, -4);     /* failures[thread] = nil */
    lua_remove(L, -2);     /* thread, kept */
}

/* [-1, +1, -] Replaces the table on the top by its value at a key, and nil by
 * nil. */
static void kept_get(lua_State *L, int key)
{
    if (lua_istable(L, -1))
        lua_rawgeti(L, -1, key);
    else
        lua_pushnil(L);
    lua_remove(L, -2);
}

int sl_failure_take(lua_State *L, sl_threads *all)
{
    kept_take(L, all);
    int is_kept = lua_istable(L, -1);
    kept_get(L, KEPT_ERROR);
    lua_remove(L, -2);    /* the thread */
    return is_kept;
}

/* [-0, +2, -] For the thread on the top, which has closed its variables: pushes
 * the error and the traceback. An error that was raised in closing replaces the
 * first error. */
static void kept_push(lua_State *L, sl_thread *t)
{
    kept_take(L, t->all);
    lua_pushvalue(L, -1);
    kept_get(L, KEPT_ERROR);     /* kept, error */
    if (t->given.nvalues > 0) {
        lua_pop(L, 1);
        lua_xmove(t->co, L, 1);
    }
    lua_insert(L, -2);           /* error, kept */
    kept_get(L, KEPT_TRACEBACK);
    if (lua_isnil(L, -1)) {      /* there was no memory to keep it */
        lua_pop(L, 1);
        sl_pcall_body(L, t->all, trace_make, t, 1);
    }
}

void sl_failure_push(lua_State *L, sl_thread *t)
{
    sl_thread_push(L, t);
    if (t->status == SL_CLOSING) {
        kept_push(L, t);
    } else {
        lua_xmove(t->co, L, 1);
        sl_pcall_body(L, t->all, trace_make, t, 1);
    }
    lua_settop(t->co, 0);
}

void sl_failure_pushlost(lua_State *L, sl_thread *t)
{
    sl_thread_push(L, t);
    sl_anchor_push(L, t->all->values, SL_VALUE_LEFT);
    sl_pcall_body(L, t->all, trace_make, t, 1);
}

void sl_failure_message(lua_State *L)
{
    if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING &&
        strstr(lua_tostring(L, -2), "\nstack traceback:\n") == NULL) {
        lua_pushliteral(L, "\n");
        lua_insert(L, -2);
        lua_concat(L, 3);    /* error, newline, traceback */
    } else {
        lua_pop(L, 1);
    }
    lua_remove(L, -2);    /* the thread */
}
