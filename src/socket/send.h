/*
 * send.h - sending to a stream, for drivers and for methods that need it done.
 */

#ifndef SL_SEND_H
#define SL_SEND_H

#include "socket/asocket.h"

/* [-0, +0, e] Waits until what was sent is not on our side any more. what
 * names the calling function. */
void sl_send_drain(lua_State *L, sl_asocket *a, const char *what);

/* Ends the running C function in sending on the socket's descriptor. */
int sl_send_start(lua_State *L, sl_asocket *a, const sl_send *s);

#endif
