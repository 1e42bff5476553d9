/*
 * option.h - LuaSocket's methods setoption and getoption, for a descriptor.
 */

#ifndef SL_OPTION_H
#define SL_OPTION_H

#include <lua.h>

/* [-0, +n, v] setoption(name [, value]): reads its arguments from index 2 on
 * and pushes 1, or nil and an error. Without a descriptor (*fd < 0) the error
 * is the code `missing`. *fd is read after the arguments, since a metamethod of
 * the value may change it. Returns n. */
int sl_option_set(lua_State *L, const int *fd, int transport, int missing);

/* [-0, +n, v] getoption(name): reads its argument at index 2 and pushes the
 * value, or nil and an error; without a descriptor the code `missing`.
 * Returns n. */
int sl_option_get(lua_State *L, int fd, int transport, int missing);

#endif
