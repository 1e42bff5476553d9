/*
 * push.h - sockaddrs as Lua values.
 */

#ifndef SL_PUSH_H
#define SL_PUSH_H

#include "os/sockaddr.h"

#include <lua.h>

/* [-0, +n, m] Pushes address and port, or a path ('' without one). Returns n;
 * 0: the family is unknown. */
int sl_push_sockaddr(lua_State *L, const sl_sockaddr *name);

/* [-0, +n, m] Push the results of LuaSocket's getsockname and getpeername for a
 * descriptor: address, port and family; a path; or nil and an error. Return
 * n. */
int sl_push_sockname(lua_State *L, int fd);
int sl_push_peername(lua_State *L, int fd);

#endif
