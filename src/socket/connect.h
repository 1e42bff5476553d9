/*
 * connect.h - connecting a socket, for the functions of the module.
 */

#ifndef SL_CONNECT_H
#define SL_CONNECT_H

#include "socket/asocket.h"

/* Ends the running C function in connecting the asocket on the top: gives
 * the value at the index result if that's not 0, else true; or nil, error. */
int sl_connect_start(lua_State *L, const char *host, const char *port,
                     int result);

/* [-0, +0, -] Ends a connect that was begun, which is there; in a finalizer
 * while Lua is asked to connect: as soon as it returns. */
void sl_connect_abandon(lua_State *L, sl_asocket *a);

#endif
