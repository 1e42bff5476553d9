/*
 * connect.h - giving a socket its ends, for the functions of the module.
 */

#ifndef SL_CONNECT_H
#define SL_CONNECT_H

#include "asocket.h"

/* Binds an asocket without a descriptor to the first local address that can
 * be bound; host "*" is any. 0 or how it failed. */
int sl_connect_bind(sl_asocket *a, const char *host, const char *port,
                    int reuse);

/* Turns a bound asocket into a listening one. 0 or an errno. */
int sl_connect_listen(sl_asocket *a, int backlog);

/* Ends the running C function in connecting the asocket on the top: gives
 * the value at the index result if that's not 0, else true; or nil, error. */
int sl_connect_start(lua_State *L, const char *host, const char *port,
                     int result);

#endif
