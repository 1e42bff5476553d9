/*
 * require.h - loads modules when they are needed: LuaSocket and socketloop's
 * Lua files. Uses the `require` that was global when socketloop was loaded; a
 * sandbox may have replaced the global one since.
 */

#ifndef SL_REQUIRE_H
#define SL_REQUIRE_H

#include <lua.h>

/* [-0, +0, m] Keeps the global require, if none is kept yet. */
void sl_require_keep(lua_State *L);

/* [-0, +1, e] Pushes a module. Loads it if it is not loaded yet. */
void sl_require_module(lua_State *L, const char *name);

#endif
