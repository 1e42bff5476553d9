/*
 * option.h - LuaSocket's socket options on a bare descriptor.
 */

#ifndef SL_OPTION_H
#define SL_OPTION_H

#include <lua.h>

/* [-0, +n, v] setoption(name [, value]) with the arguments from index 2 on:
 * 1, or nil and the error; without a descriptor that is `missing`. A metamethod
 * of the value may change *fd. */
int sl_option_set(lua_State *L, const int *fd, int transport, int missing);

/* [-0, +n, v] getoption(name): the value, or nil and the error. */
int sl_option_get(lua_State *L, int fd, int transport, int missing);

#endif
