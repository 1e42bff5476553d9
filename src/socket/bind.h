/*
 * bind.h - giving a TCP or UDP socket its local address.
 */

#ifndef SL_BIND_H
#define SL_BIND_H

#include "socket/asocket.h"

/* [-0, +0, e] Binds the asocket to the first address of the local host that
 * can be bound; host "*" is any. Waits for a name in a thread of the loop. 0 or
 * how it failed. */
int sl_bind_to(lua_State *L, sl_asocket *a, const char *host,
               const char *port, int reuse);

#endif
