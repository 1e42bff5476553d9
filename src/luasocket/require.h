/*
 * require.h - modules that are loaded when they are needed: LuaSocket and our
 * Lua files. They are loaded by the `require` that there was when socketloop
 * was, whatever a sandbox has made of the global one since.
 */

#ifndef SL_REQUIRE_H
#define SL_REQUIRE_H

#include <lua.h>

/* [-0, +0, m] Keeps the global require, if none is kept yet. */
void sl_require_keep(lua_State *L);

/* [-0, +1, e] Pushes a module, loaded if it is not yet. */
void sl_require_module(lua_State *L, const char *name);

#endif
