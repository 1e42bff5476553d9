/*
 * tls.h - starttls, which is written in Lua (socketloop/tls.lua).
 */

#ifndef SL_TLS_H
#define SL_TLS_H

#include "thread/compat.h"

/* [-0, +0, e] The handler at index becomes one that is called when the TLS
 * handshake with the parameters at the next index is finished. */
void sl_tls_wraphandler(lua_State *L, int index);

extern const luaL_Reg sl_tls_methods[];

#endif
