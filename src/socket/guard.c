/*
 * guard.c - closing the client of a handler that failed. See guard.h.
 */

#include "socket/guard.h"

#include "loop/loops.h"
#include "loop/turn.h"
#include "socket/close.h"

void sl_guard_set(lua_State *L, int thread, int client)
{
    sl_loop_env(L, SL_ENV_GUARDED);
    lua_pushvalue(L, thread);
    lua_pushvalue(L, client);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* [-0, +n, -] True if the thread at index has a client, which is then on the
 * top. Searches all loops: the thread may have failed in another loop than
 * its own. */
static int find_client(lua_State *L, int thread)
{
    sl_loops_pushall(L);
    int all = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, all) != 0; lua_settop(L, all + 1)) {
        sl_getuservalue(L, -1);
        lua_rawgeti(L, -1, SL_ENV_GUARDED);
        lua_pushvalue(L, thread);
        lua_rawget(L, -2);
        if (!lua_isnil(L, -1))
            return 1;
    }
    return 0;
}

void sl_guard_failed(lua_State *L, int thread)
{
    int top = lua_gettop(L);
    if (find_client(L, thread))
        sl_guard_close(L, lua_gettop(L));
    lua_settop(L, top);
}

void sl_guard_close(lua_State *L, int client)
{
    const sl_asocket *a = lua_touserdata(L, client);
    int status = a->source.loop == NULL ? LUA_OK : !LUA_OK;
    /* If the first call raises, for want of memory for instance, the second one
     * closes the descriptor without calling the client's method. */
    for (int tries = 0; status != LUA_OK && tries < 2; tries++) {
        int top = lua_gettop(L);
        sl_loops_pushenv(L, a->source.loop, SL_ENV_CLOSER);
        lua_pushvalue(L, client);
        status = lua_pcall(L, 1, 0, 0);
        lua_settop(L, top);
    }
}

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
    int failed = sl_turn_start(L, loop, 1);
    if (failed) {    /* close raised before it waited */
        sl_turn_faillater(L, loop);
        sl_close_asocket(L, 1);
    } else {
        sl_guard_set(L, lua_gettop(L), 1);
    }
    return 0;
}
