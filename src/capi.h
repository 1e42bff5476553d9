/*
 * capi.h - the C API for other modules: see include/socketloop.h.
 */

#ifndef SL_CAPI_H
#define SL_CAPI_H

#include <lua.h>

/* [-0, +0, m] Puts the table of API functions into the registry. */
void sl_capi_offer(lua_State *L);

#endif
