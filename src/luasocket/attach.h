/*
 * attach.h - the object of an asocket: LuaSocket's, or a foreign one.
 *
 * A socket that was made in the loop owns its descriptor (the native driver)
 * until a LuaSocket object for it is made; then that object owns it, and the
 * asocket closes through it, since the object may pass the descriptor on (to
 * TLS). The object is in the asocket's user value, and the weak table
 * SL_ENV_WRAPPERS leads from the object to the asocket.
 */

#ifndef SL_ATTACH_H
#define SL_ATTACH_H

#include "socket/asocket.h"

/* [-0, +0, m] The object and the asocket at the indices know each other; no
 * driver uses the object yet. Runs no finalizers if there is a user value. */
void sl_attach_keep(lua_State *L, int index, int object);

/* [-0, +0, -] The object that was kept owns the descriptor; the driver is one
 * for such an object. */
void sl_attach_setdriver(lua_State *L, int index, const sl_driver *driver);

/* [-0, +0, -] The object at index, which was kept, is no longer the
 * asocket's. */
void sl_attach_forget(lua_State *L, const sl_asocket *a, int object);

/* [-0, +1, m] Pushes the object of the asocket at index, or nil. */
void sl_attach_push(lua_State *L, int index);

/* [-0, +0, e] The descriptor fd, which the object owns, is the asocket's in the
 * loop. 0 or how that failed. */
int sl_attach_claim(lua_State *L, sl_asocket *a, int fd);

/* [-0, +0, e] After methods of the object were called: the asocket at index
 * takes over its descriptor and class, unless it has got another object. */
void sl_attach_sync(lua_State *L, int index, int object);

/* [-0, +0, e] Gives the object of the asocket at 1 that descriptor. */
void sl_attach_setfd(lua_State *L, sl_asocket *a, int fd);

/* [-0, +0, e] Closes the object of the asocket at index. */
void sl_attach_close(lua_State *L, int index);

#endif
