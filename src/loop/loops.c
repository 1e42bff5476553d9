/*
 * loops.c - the table of all loops: each loop's userdata under the loop's
 * address, and the first loop at 1. See loops.h.
 */

#include "loop/loops.h"

#include "thread/anchor.h"

static const char loops_key = 0;    /* its address is the registry's key */

void sl_loops_pushall(lua_State *L)
{
    sl_rawgetp(L, LUA_REGISTRYINDEX, &loops_key);
}

/* [-0, +1, m] Pushes the table, made at the first call. */
static void make_table(lua_State *L)
{
    sl_loops_pushall(L);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    sl_anchor_newweak(L, "v");
    lua_pushvalue(L, -1);
    sl_rawsetp(L, LUA_REGISTRYINDEX, &loops_key);
}

void sl_loops_add(lua_State *L)
{
    make_table(L);
    lua_pushvalue(L, -2);
    sl_rawsetp(L, -2, lua_touserdata(L, -1));
    lua_rawgeti(L, -1, 1);
    if (lua_isnil(L, -1)) {
        lua_pushvalue(L, -3);
        lua_rawseti(L, -3, 1);
    }
    lua_pop(L, 2);
}

void sl_loops_push(lua_State *L, const void *loop)
{
    sl_loops_pushall(L);
    sl_rawgetp(L, -1, loop);
    lua_remove(L, -2);
}

void sl_loops_pushfirst(lua_State *L)
{
    sl_loops_pushall(L);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
}

void sl_loops_pushenv(lua_State *L, const sl_loop *loop, int which)
{
    if (lua_touserdata(L, lua_upvalueindex(1)) == loop) {
        sl_loop_env(L, which);
        return;
    }
    sl_loops_push(L, loop);
    if (lua_isnil(L, -1))
        sl_loop_isclosed(L);
    sl_getuservalue(L, -1);
    lua_rawgeti(L, -1, which);
    lua_replace(L, -3);
    lua_pop(L, 1);
}
