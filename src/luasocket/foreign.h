/*
 * foreign.h - the driver of asockets with a foreign object: LuaSec's, or any
 * object with the methods receive, send, close and getfd.
 *
 * The object does its own I/O; the asocket only waits for the descriptor. The
 * object's methods are called with timeout 0. A method that returns 'wantread',
 * 'wantwrite' or 'timeout' is called again after a wait for that readiness. The
 * thread freezes in these waits.
 *
 * An object may want either direction in any method: TLS reads while it sends
 * and the other way round. A thread that receives always waits in the source's
 * reader, and a thread that sends in the writer; the wait's interest is the
 * direction that the object wants. A call in one direction may complete an
 * operation for which the other thread waits, without the descriptor becoming
 * ready. So after each call the other wait is ended, too (exchange.c).
 */

#ifndef SL_FOREIGN_H
#define SL_FOREIGN_H

#include "socket/asocket.h"

/* [-0, +0, e] True if the value at index has the methods of a foreign
 * object. */
int sl_foreign_is(lua_State *L, int index);

/* True if the value at index is an object of LuaSec's. */
int sl_foreign_istls(lua_State *L, int index);

/* [-0, +0, e] To be called before the object at index becomes an asocket's.
 * Sets its timeout to 0, so that its methods do not block. */
void sl_foreign_prepare(lua_State *L, int index);

extern const sl_driver sl_foreign_driver;

extern const luaL_Reg sl_foreign_methods[];

#endif
