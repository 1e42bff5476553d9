/*
 * lint.h - included before all other headers by `make lint`: declares which of
 * Lua's functions do not return.
 */

#include <lauxlib.h>
#include <lua.h>

int lua_error(lua_State *L) __attribute__((noreturn));
int luaL_error(lua_State *L, const char *format, ...)
    __attribute__((noreturn));
int luaL_argerror(lua_State *L, int arg, const char *message)
    __attribute__((noreturn));
