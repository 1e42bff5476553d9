/*
 * result.h - what a failure of the outside world returns to Lua.
 */

#ifndef SL_RESULT_H
#define SL_RESULT_H

#include <lua.h>

/* [-0, +2, m] Pushes nil and the message for err (error.h); returns 2. */
int sl_result_fail(lua_State *L, int err);

#endif
