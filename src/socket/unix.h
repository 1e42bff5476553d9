/*
 * unix.h - listening unix sockets, for newserver.
 */

#ifndef SL_UNIX_H
#define SL_UNIX_H

#include "socket/asocket.h"

/* True if the value at index is a unix socket's path: a string that has a
 * slash, or that begins with a zero byte (a Linux abstract name). */
int sl_unix_ispath(lua_State *L, int index);

/* [-0, +0, v] Binds the asocket to the path at index, and listens. Replaces the
 * socket of a server that has ended (path.h); the folder is locked meanwhile,
 * so that two servers do not do this at the same time. The path is removed when
 * the asocket is closed. Returns 0 or a code. */
int sl_unix_serve(lua_State *L, sl_asocket *a, int index, int backlog);

/* Removes the path of a listening unix socket, unless it is another file by
 * now. */
void sl_unix_unlink(sl_asocket *a);

#endif
