/*
 * genuine.h - LuaSocket's own functions, in case the program has replaced them.
 */

#ifndef SL_GENUINE_H
#define SL_GENUINE_H

#include "thread/compat.h"

/* The Lua functions genuine(loader, name) and same(f, g): see genuine.c. */
int sl_genuine_load(lua_State *L);
int sl_genuine_same(lua_State *L);

#endif
