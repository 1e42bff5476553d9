/*
 * send.h - sending to a stream, for drivers and for methods that need it done.
 */

#ifndef SL_SEND_H
#define SL_SEND_H

#include "socket/asocket.h"

/* [-0, +0, e] Waits, as long as the socket's timeouts allow, until all that was
 * sent has left this process: 0 or how that failed. what names the calling
 * function. */
int sl_send_await(lua_State *L, sl_asocket *a, const char *what);

/* [-0, +0, e] The same, but failures raise; a closed socket is none. */
void sl_send_drain(lua_State *L, sl_asocket *a, const char *what);

/* Ends the running C function in sending on the socket's descriptor. */
int sl_send_start(lua_State *L, sl_asocket *a, const sl_send *s);

#endif
