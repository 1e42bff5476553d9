/*
 * wrap.h - asockets for descriptors and objects that the program has.
 */

#ifndef SL_WRAP_H
#define SL_WRAP_H

#include "socket/asocket.h"

/* The Lua function wrap(socket or fd [, type]) -> asocket. */
int sl_wrap_value(lua_State *L);

extern const luaL_Reg sl_wrap_methods[];

#endif
