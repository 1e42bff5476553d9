/*
 * traceback.h - tracebacks of any stack, in the format of debug.traceback.
 */

#ifndef SL_TRACEBACK_H
#define SL_TRACEBACK_H

#include "thread/compat.h"

/* [-0, +1, m] Pushes a traceback of co, without a message. */
void sl_traceback_push(lua_State *L, lua_State *co);

#endif
