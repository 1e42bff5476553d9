/*
 * luasocket.h - LuaSocket's TCP objects, used through their methods only.
 */

#ifndef SL_LUASOCKET_H
#define SL_LUASOCKET_H

#include "asocket.h"

/* Its kind (enum sl_asocket_kind), or -1 if it isn't a TCP object. */
int sl_luasocket_kind(lua_State *L, int index);

/* [-0, +0, e] The descriptor of the object at index, -1 for none. */
int sl_luasocket_fd(lua_State *L, int index);

/* [-0, +0, e] Makes its methods return instead of waiting. */
void sl_luasocket_nonblock(lua_State *L, int index);

/* [-0, +0, e] Moves what lies in the object's own buffer to the asocket's. */
void sl_luasocket_drain(lua_State *L, int index, sl_asocket *a);

/* [-0, +1, e] Pushes a new object for a bare descriptor of that kind, which
 * it owns from then on; for -1 an unconnected one. */
void sl_luasocket_new(lua_State *L, int fd, int kind);

/* Begins to connect the referenced object; fresh: on a new descriptor. Sets
 * *fd to what the object has then. 0, EINPROGRESS or how it failed. Never
 * raises. */
int sl_luasocket_connect(lua_State *L, int reference,
                         const struct addrinfo *address, int fresh, int *fd);

/* [-0, +1, m] Pushes what LuaSocket's objects of that kind have under the key
 * at index, or nil. */
void sl_luasocket_index(lua_State *L, int kind, int index);

#endif
