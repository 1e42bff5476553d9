/*
 * bind.h - giving a TCP or UDP socket its local address.
 */

#ifndef SL_BIND_H
#define SL_BIND_H

#include "socket/asocket.h"

/* [-0, +0, e] Binds the asocket to the first address of `host` that can be
 * bound; "*" is any address. A name is looked up: a thread of the loop waits,
 * other callers block. reuse: with SO_REUSEADDR. Returns 0 or a code
 * (error.h). */
int sl_bind_to(lua_State *L, sl_asocket *a, const char *host,
               const char *port, int reuse);

#endif
