/*
 * close.h - the end of a socket: closing and finalization.
 */

#ifndef SL_CLOSE_H
#define SL_CLOSE_H

#include "socket/asocket.h"

/* [-0, +0, e] Wakes the threads that wait on the asocket at index, and closes
 * its descriptor through the driver. May be called more than once. */
void sl_close_asocket(lua_State *L, int index);

/* [-0, +0, -] The finalizer: frees all that the asocket owns, and enters
 * SL_PHASE_FINALIZED. */
void sl_close_finalize(lua_State *L, sl_asocket *a);

#endif
