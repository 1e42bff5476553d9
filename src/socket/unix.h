/*
 * unix.h - unix sockets as servers of a path, for newserver.
 */

#ifndef SL_UNIX_H
#define SL_UNIX_H

#include "socket/asocket.h"

/* Whether an address is a path: it has a slash, or begins with a zero byte,
 * which makes it a Linux abstract name. */
int sl_unix_ispath(lua_State *L, int index);

/* [-0, +0, v] Binds the asocket to the path at index, in the place of what a
 * server that is no more has left there, and listens. Servers that do so at the
 * same time take turns: meanwhile the folder is locked (flock). The path is
 * removed when the asocket is closed. 0 or how it failed. */
int sl_unix_serve(lua_State *L, sl_asocket *a, int index, int backlog);

/* Removes the path of a unix server, if it is still that one. */
void sl_unix_unlink(sl_asocket *a);

#endif
