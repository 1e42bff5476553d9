/*
 * datagram.h - sending and receiving datagrams, for udp.c and unix.c.
 */

#ifndef SL_DATAGRAM_H
#define SL_DATAGRAM_H

#include "socket/asocket.h"

/* [-0, +0, e] Returns the asocket at index 1, resynced. Raises unless it is of
 * that kind. */
sl_asocket *sl_datagram_check(lua_State *L, int kind);

/* Ends the running C function in sending d: size or nil, error. `what` names
 * the function. */
int sl_datagram_send(lua_State *L, sl_asocket *a, const char *what,
                     const sl_datagram *d);

/* [-0, +2, m] Pushes nil and the error, in the words that LuaSocket uses for
 * datagram sockets. */
int sl_datagram_fail(lua_State *L, int err);

#endif
