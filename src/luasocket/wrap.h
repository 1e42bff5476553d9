/*
 * wrap.h - asockets made of what others made.
 */

#ifndef SL_WRAP_H
#define SL_WRAP_H

#include "socket/asocket.h"

/* [-0, +1, e] wrap(socket or fd [, type]) of the arguments at 1 and 2. */
int sl_wrap_value(lua_State *L);

extern const luaL_Reg sl_wrap_methods[];

#endif
