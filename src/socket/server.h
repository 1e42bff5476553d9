/*
 * server.h - newserver: a listening socket with a thread that accepts.
 */

#ifndef SL_SERVER_H
#define SL_SERVER_H

#include "thread/compat.h"

/* newserver(ip, port, handler) -> listening asocket. See doc/reference. */
int sl_server_new(lua_State *L);

#endif
