/*
 * connect.h - connecting a socket, for the functions of the module.
 */

#ifndef SL_CONNECT_H
#define SL_CONNECT_H

#include "socket/asocket.h"

/* Ends the running C function in connecting the asocket on the top. Its results
 * are the value at index `result`, or true if `result` is 0; on failure nil and
 * an error. */
int sl_connect_start(lua_State *L, const char *host, const char *port,
                     int result);

/* [-0, +0, -] Cancels the connect in progress (a->connect != NULL). If called
 * while the driver is at work in Lua, only marks it: the connect ends when the
 * driver returns. */
void sl_connect_abandon(lua_State *L, sl_asocket *a);

#endif
