/*
 * accept.h - accepting in blocking style, for a server's thread.
 */

#ifndef SL_ACCEPT_H
#define SL_ACCEPT_H

#include "socket/asocket.h"

/* [-0, +(0|1), e] Waits for the next connection. Returns 0 and pushes its
 * asocket, or returns a code (error.h) and pushes nothing. To be called in a
 * thread of the loop, which freezes. */
int sl_accept_next(lua_State *L, sl_asocket *listener);

#endif
