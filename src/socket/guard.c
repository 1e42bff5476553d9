/*
 * guard.c - closing the client of a handler that failed. See guard.h.
 */

#include "socket/guard.h"

#include "loop/cork.h"
#include "socket/close.h"
#include "thread/run.h"

void sl_guard_set(lua_State *L, int thread, int client)
{
    sl_loop_env(L, SL_ENV_GUARDED);
    lua_pushvalue(L, thread);
    lua_pushvalue(L, client);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

void sl_guard_failed(lua_State *L, int thread)
{
    int top = lua_gettop(L);
    sl_loop_env(L, SL_ENV_GUARDED);
    lua_pushvalue(L, thread);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1))
        sl_guard_close(L, top + 2);
    lua_settop(L, top);
}

void sl_guard_close(lua_State *L, int client)
{
    int status = !LUA_OK;
    for (int tries = 0; status != LUA_OK && tries < 2; tries++) {
        int top = lua_gettop(L);
        sl_loop_env(L, SL_ENV_CLOSER);
        lua_pushvalue(L, client);
        status = lua_pcall(L, 1, 0, 0);
        lua_settop(L, top);
    }
}

/* The method of the program's is called first. */
int sl_guard_closer(lua_State *L)
{
    sl_loop *loop = sl_loop_check(L);
    sl_asocket *a = lua_touserdata(L, 1);
    if (a->dismissed) {
        sl_close_asocket(L, 1);
        return 0;
    }
    a->dismissed = 1;
    lua_getfield(L, 1, "close");
    lua_pushvalue(L, 1);
    int failed = sl_run_start(L, loop->threads, 1, loop);
    sl_cork_flush(loop);
    if (failed) {
        sl_loop_fail_later(L, loop);
        sl_close_asocket(L, 1);
    } else {
        sl_guard_set(L, lua_gettop(L), 1);
    }
    return 0;
}
