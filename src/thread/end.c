/*
 * end.c - see end.h.
 */

#include "thread/end.h"

#include "thread/failure.h"
#include "thread/handover.h"
#include "thread/hold.h"
#include "thread/record.h"
#include "thread/run.h"

/* [-0, +(0|4), -] Ends the record of a thread that will not continue. True if a
 * runner's own thread waits for it; then pushes a failure and its target. */
static int end_early(lua_State *L, sl_thread *t)
{
    sl_target_pushlast(L, t);
    sl_thread *to = lua_isthread(L, -1) ? sl_hold_find(L, t->all, -1) : NULL;
    if (to == NULL || to->state != SL_CALLING) {
        lua_pop(L, 1);
        sl_record_release(L, t);
        return 0;
    }
    sl_failure_pushlost(L, t);    /* target, thread, error, traceback */
    sl_handover_endfailed(L, t);
    return 1;
}

/* [-4, +(0|3), e] Delivers the failure that end_early has pushed. True if a
 * failure comes back; then pushes that. */
static int end_deliver(lua_State *L, sl_threads *all, void *loop)
{
    int top = lua_gettop(L) - 4;
    if (sl_run_fail(L, all, loop) == SL_FAILED)
        return 1;
    lua_settop(L, top);
    return 0;
}

int sl_end_lose(lua_State *L, sl_thread *t)
{
    sl_threads *all = t->all;
    void *loop = t->loop;
    return end_early(L, t) && end_deliver(L, all, loop);
}

/* [-0, +(0|1), -] Closes the coroutine at index 1. False if it had failed
 * before or fails in closing; then pushes the last error. */
static int close_coroutine(lua_State *L, sl_threads *all)
{
    lua_State *co = lua_tothread(L, 1);
    int status = sl_close(co, L);
    lua_pushvalue(L, 1);
    int has_failed = sl_failure_take(L, all);    /* the first error, or nil */
    if (status == LUA_OK && has_failed)
        return 0;
    lua_pop(L, 1);
    if (status == LUA_OK)
        return 1;
    lua_xmove(co, L, 1);
    return 0;
}

int sl_end_close(lua_State *L, sl_threads *all, sl_thread *t)
{
    void *loop = t != NULL ? t->loop : NULL;
    int is_awaited = 0;
    if (t != NULL) {
        lua_pushvalue(L, 1);
        sl_run_readyheld(L, t, 0);
        is_awaited = end_early(L, t);    /* coroutine, failure, target */
    }
    int ok = close_coroutine(L, all);
    lua_pushboolean(L, ok);
    lua_replace(L, 1);    /* true, failure, target */
    if (!ok)
        lua_insert(L, 2);    /* false, error, failure, target */
    if (is_awaited && end_deliver(L, all, loop)) {
        sl_failure_message(L);
        return lua_error(L);
    }
    return lua_gettop(L);
}
