/*
 * server.h - newserver: a listening socket with a thread that accepts.
 */

#ifndef SL_SERVER_H
#define SL_SERVER_H

#include "thread/compat.h"

/* The Lua function newserver(ip, port, handler) -> listening asocket, or
 * newserver(path, nil, handler). See doc/reference.md. */
int sl_server_new(lua_State *L);

#endif
