/*
 * attach.h - the object of an asocket: LuaSocket's, or a foreign one.
 *
 * An asocket that was made in the loop owns its descriptor (the native driver)
 * until a LuaSocket object is made for it. From then on the object owns the
 * descriptor, and the asocket calls the object's close, since the object may
 * have passed the descriptor on (to TLS). The object is in the asocket's user
 * value. The weak table SL_ENV_WRAPPERS leads from the object to the asocket.
 */

#ifndef SL_ATTACH_H
#define SL_ATTACH_H

#include "socket/asocket.h"

/* [-0, +0, m] Puts the object at index `object` into the user value of the
 * asocket at index `index`, and into SL_ENV_WRAPPERS. The driver does not
 * change. Runs no finalizers if the asocket has a user value already. */
void sl_attach_keep(lua_State *L, int index, int object);

/* [-0, +0, -] Sets the driver of the asocket at index to one that uses an
 * object, which sl_attach_keep has stored. The object owns the descriptor from
 * then on. */
void sl_attach_setdriver(lua_State *L, int index, const sl_driver *driver);

/* [-0, +0, -] Removes the object at index `object` from SL_ENV_WRAPPERS. */
void sl_attach_forget(lua_State *L, const sl_asocket *a, int object);

/* [-0, +1, m] Pushes the object of the asocket at index, or nil. */
void sl_attach_push(lua_State *L, int index);

/* [-0, +0, e] Makes the asocket the loop's source for fd, which the object
 * owns. Returns 0 or a code (error.h). */
int sl_attach_claim(lua_State *L, sl_asocket *a, int fd);

/* [-0, +0, e] Has the asocket at index take over the descriptor and class of
 * the object, whose methods were called. Does nothing if the asocket has
 * another object by now. */
void sl_attach_sync(lua_State *L, int index, int object);

/* [-0, +0, e] Calls setfd(fd) of the object of the asocket at index 1. */
void sl_attach_setfd(lua_State *L, sl_asocket *a, int fd);

/* [-0, +0, e] Calls close of the object of the asocket at index. */
void sl_attach_close(lua_State *L, int index);

#endif
