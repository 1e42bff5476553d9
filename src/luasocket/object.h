/*
 * object.h - LuaSocket's objects, used through their methods only.
 */

#ifndef SL_OBJECT_H
#define SL_OBJECT_H

#include "os/lookup.h"
#include "socket/asocket.h"

/* Whether it is one of LuaSocket's sockets; if so, its class becomes that of
 * the asocket (or NULL). */
int sl_object_class(lua_State *L, int index, sl_asocket *a);

/* [-0, +0, m] The object at index gets the asocket's class. */
void sl_object_setclass(lua_State *L, int index, const sl_asocket *a);

/* [-0, +0, e] The descriptor of the object at index, -1 for none. */
int sl_object_fd(lua_State *L, int index);

/* [-1, +1, -] A method that install has put in the place of another becomes
 * that one again: what we call must not wait by itself. */
void sl_object_original(lua_State *L);

/* [-0, +1, e] Pushes the object's own method of that name. */
void sl_object_method(lua_State *L, int index, const char *name);

/* [-1, +0, m] The table on the top has the original of each method that
 * install has put in its place; nil: there are none any more. */
void sl_object_setoriginals(lua_State *L);

/* [-0, +0, e] Makes its methods return instead of waiting. */
void sl_object_nonblock(lua_State *L, int index);

/* [-0, +0, e] Whether the object at index has bytes that can be received
 * without waiting. */
int sl_object_isdirty(lua_State *L, int index);

/* [-0, +0, e] Moves what lies in the object's own buffer to the asocket's. */
void sl_object_drain(lua_State *L, int index, sl_asocket *a);

/* [-0, +1, e] Pushes a new, unconnected object of the asocket's transport. */
void sl_object_new(lua_State *L, const sl_asocket *a);

/* [-0, +0, e] The object at index gets the asocket's class and owns its
 * descriptor from then on, if this does not raise. */
void sl_object_setfd(lua_State *L, int index, const sl_asocket *a);

/* Begins to connect the object that the registry has under the key; fresh: on
 * a new descriptor. Sets *fd to what the object has then. 0, EINPROGRESS or how
 * it failed. Never raises. */
int sl_object_connect(lua_State *L, sl_threads *all, const void *key,
                      const struct addrinfo *address, int fresh, int *fd);

/* [-0, +1, m] Pushes what LuaSocket's objects of the asocket's class have
 * under the key at index, or nil. */
void sl_object_index(lua_State *L, const sl_asocket *a, int index);

#endif
