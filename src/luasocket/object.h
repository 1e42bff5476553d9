/*
 * object.h - LuaSocket's objects, used through their methods and metatables
 * only.
 */

#ifndef SL_OBJECT_H
#define SL_OBJECT_H

#include "os/lookup.h"
#include "socket/asocket.h"

/* True if the value at index is one of LuaSocket's sockets. Then also sets the
 * transport and the kind of the asocket, unless a is NULL. */
int sl_object_class(lua_State *L, int index, sl_asocket *a);

/* [-0, +0, m] Sets the class of the object at index to the asocket's. */
void sl_object_setclass(lua_State *L, int index, const sl_asocket *a);

/* [-0, +0, e] Returns the descriptor of the object at index; -1: none. */
int sl_object_fd(lua_State *L, int index);

/* [-1, +1, -] Replaces a method of install's on the top by LuaSocket's own one.
 * Drivers call only these, since install's methods would wait by themselves. */
void sl_object_original(lua_State *L);

/* [-0, +1, e] Pushes the object's method of that name, LuaSocket's own one
 * instead of install's. */
void sl_object_method(lua_State *L, int index, const char *name);

/* [-1, +0, m] Pops the table for sl_object_original: install's method ->
 * LuaSocket's own one; nil: none. */
void sl_object_setoriginals(lua_State *L);

/* [-0, +0, e] Sets the timeout of the object at index to 0. */
void sl_object_nonblock(lua_State *L, int index);

/* [-0, +0, e] True if the object at index has bytes in a buffer of its own. */
int sl_object_isdirty(lua_State *L, int index);

/* [-0, +0, e] Moves the bytes in the object's own buffer to the asocket's
 * buffer. */
void sl_object_drain(lua_State *L, int index, sl_asocket *a);

/* [-0, +1, e] Pushes a new, unconnected object of the asocket's transport, with
 * timeout 0. */
void sl_object_new(lua_State *L, const sl_asocket *a);

/* [-0, +0, e] Gives the object at index the asocket's class and descriptor. If
 * this does not raise the object owns the descriptor from then on. */
void sl_object_setfd(lua_State *L, int index, const sl_asocket *a);

/* [-0, +0, -] Begins to connect the object that the registry has under the key;
 * fresh: on a new descriptor. Sets *fd to the object's descriptor. Returns 0,
 * EINPROGRESS or a code. Catches all errors. */
int sl_object_connect(lua_State *L, sl_threads *all, const void *key,
                      const struct addrinfo *address, int fresh, int *fd);

/* [-0, +1, m] Pushes the method of LuaSocket's class that the asocket has, with
 * the name at index, or nil. */
void sl_object_index(lua_State *L, const sl_asocket *a, int index);

#endif
