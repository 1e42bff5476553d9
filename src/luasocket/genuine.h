/*
 * genuine.h - LuaSocket's own functions, whatever a program has put in their
 * place.
 */

#ifndef SL_GENUINE_H
#define SL_GENUINE_H

#include "thread/compat.h"

/* genuine(loader, name), same(f, g): see genuine.c. */
int sl_genuine_load(lua_State *L);
int sl_genuine_same(lua_State *L);

#endif
