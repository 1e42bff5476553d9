/*
 * tls.h - the method starttls.
 */

#ifndef SL_TLS_H
#define SL_TLS_H

#include "thread/compat.h"

/* [-0, +0, e] Replaces the server's handler at index by a function that first
 * makes the TLS handshake, with the parameters at index + 1. */
void sl_tls_wraphandler(lua_State *L, int index);

extern const luaL_Reg sl_tls_methods[];

#endif
