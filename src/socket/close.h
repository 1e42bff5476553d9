/*
 * close.h - the end of a socket: closed by the program, or collected.
 */

#ifndef SL_CLOSE_H
#define SL_CLOSE_H

#include "socket/asocket.h"

/* [-0, +0, e] Wakes those who wait on the asocket at index, and closes its
 * descriptor, through the driver. Once more is fine. */
void sl_close_asocket(lua_State *L, int index);

/* [-0, +0, -] Frees what the asocket has, which is finalized afterwards. */
void sl_close_finalize(lua_State *L, sl_asocket *a);

#endif
