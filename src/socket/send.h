/*
 * send.h - sending to a stream: for drivers, and for methods that have to wait
 * for unsent bytes.
 */

#ifndef SL_SEND_H
#define SL_SEND_H

#include "socket/asocket.h"

/* [-0, +0, e] Waits until the system has accepted all bytes that were sent, at
 * most as long as the socket's timeouts allow. Returns 0 or a code. `what`
 * names the calling function. */
int sl_send_await(lua_State *L, sl_asocket *a, const char *what);

/* [-0, +0, e] Waits as sl_send_await, and raises if it fails. A closed socket
 * is no failure. */
void sl_send_drain(lua_State *L, sl_asocket *a, const char *what);

/* Ends the running C function in a send on the asocket's descriptor. */
int sl_send_start(lua_State *L, sl_asocket *a, const sl_send *s);

#endif
