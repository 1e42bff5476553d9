/*
 * accept.h - accepting in blocking style, for a server's thread.
 */

#ifndef SL_ACCEPT_H
#define SL_ACCEPT_H

#include "socket/asocket.h"

/* [-0, +1, e] Waits for the next connection and pushes it: 0. Or how it
 * failed, and pushes nothing. Only in a thread of the loop. */
int sl_accept_next(lua_State *L, sl_asocket *listener);

#endif
