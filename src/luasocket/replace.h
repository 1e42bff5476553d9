/*
 * replace.h - values replaced wherever the program holds them.
 */

#ifndef SL_REPLACE_H
#define SL_REPLACE_H

#include "thread/compat.h"

/* replace(map, ours, f): see replace.c. */
int sl_replace(lua_State *L);

/* [-0, +0, m] Keeps the main program's coroutine in the registry, if L is it:
 * in Lua 5.1 and LuaJIT nothing else leads to it. */
void sl_replace_notemain(lua_State *L);

#endif
