/*
 * require.c - loading modules late. See require.h.
 */

#include "luasocket/require.h"

#include "thread/compat.h"

static const char require_key = 0;    /* its address is a registry key */

/* [-1, +0, e] Pops a value and sets the global require to it, without
 * metamethods. */
static void set_global(lua_State *L)
{
    sl_pushglobals(L);
    lua_pushliteral(L, "require");
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 2);
}

/* [-0, +1, e] Pushes the global require, without metamethods. */
static void push_global(lua_State *L)
{
    sl_pushglobals(L);
    lua_pushliteral(L, "require");
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

/* require(name) -> module. The upvalue is the original require. While a module
 * is loaded this function is the global require, for the modules that it
 * requires in turn. */
static int func_require(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_pushvalue(L, 1);
    lua_rawget(L, 2);
    if (lua_istable(L, 3) || lua_isfunction(L, 3))
        return 1;
    /* Not loaded, or 5.1's or LuaJIT's mark that loading has begun. */
    lua_settop(L, 1);
    push_global(L);
    sl_rawgetp(L, LUA_REGISTRYINDEX, &require_key);
    set_global(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    int status = lua_pcall(L, 1, 1, 0);
    lua_pushvalue(L, 2);
    set_global(L);
    return status == LUA_OK ? 1 : lua_error(L);
}

void sl_require_keep(lua_State *L)
{
    sl_rawgetp(L, LUA_REGISTRYINDEX, &require_key);
    if (lua_isnil(L, -1)) {
        push_global(L);
        lua_pushcclosure(L, func_require, 1);
        sl_rawsetp(L, LUA_REGISTRYINDEX, &require_key);
    }
    lua_pop(L, 1);
}

void sl_require_module(lua_State *L, const char *name)
{
    sl_rawgetp(L, LUA_REGISTRYINDEX, &require_key);
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
}
