/*
 * push.h - names of sockets as values of Lua.
 */

#ifndef SL_PUSH_H
#define SL_PUSH_H

#include "os/sockaddr.h"

#include <lua.h>

/* [-0, +n, m] Pushes address and port, or a path, '' if there is none.
 * Returns how many values; 0: the name is of no family we know. */
int sl_push_sockaddr(lua_State *L, const sl_sockaddr *name);

/* [-0, +n, m] Push the results of LuaSocket's getsockname and getpeername:
 * address, port and family; a path; or nil and the error. Return how many. */
int sl_push_sockname(lua_State *L, int fd);
int sl_push_peername(lua_State *L, int fd);

#endif
