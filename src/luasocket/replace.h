/*
 * replace.h - replaces functions wherever the program refers to them.
 */

#ifndef SL_REPLACE_H
#define SL_REPLACE_H

#include "thread/compat.h"

/* The Lua function replace(map, ours, f): see replace.c. */
int sl_replace(lua_State *L);

/* [-0, +0, m] If L is the main thread stores it in the registry. In Lua 5.1 and
 * LuaJIT the walk of replace could not reach the main thread otherwise. */
void sl_replace_notemain(lua_State *L);

#endif
