/*
 * capi.h - what other C modules get: see include/socketloop.h.
 */

#ifndef SL_CAPI_H
#define SL_CAPI_H

#include <lua.h>

/* [-0, +0, m] Offers the functions to other modules. */
void sl_capi_offer(lua_State *L);

#endif
