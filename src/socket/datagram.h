/*
 * datagram.h - sending and receiving messages that keep their bounds, for the
 * files about UDP and unix sockets.
 */

#ifndef SL_DATAGRAM_H
#define SL_DATAGRAM_H

#include "socket/asocket.h"

/* [-0, +0, e] The asocket of the method that runs, of that kind. */
sl_asocket *sl_datagram_check(lua_State *L, int kind);

/* Ends the running C function in sending: size or nil, error. */
int sl_datagram_send(lua_State *L, sl_asocket *a, const char *what,
                     const sl_datagram *d);

/* [-0, +2, m] nil, error: LuaSocket has words of its own for datagrams. */
int sl_datagram_fail(lua_State *L, int err);

#endif
