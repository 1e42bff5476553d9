/*
 * room.h - room for values on a Lua stack, also on that of a coroutine that
 * does not run.
 */

#ifndef SL_ROOM_H
#define SL_ROOM_H

#include "thread/compat.h"

/* (n) -> n times nil. The function that sl_room_make needs. */
int sl_room_fill(lua_State *L);

/* [-1, +0, -] Makes room for n values on co; false if there is no memory or
 * n is too large. L is the stack that runs. On the top of co lies sl_room_fill.
 * LuaJIT's VM takes co for the running stack afterwards: see
 * sl_thread_sync_vm. */
int sl_room_make(lua_State *L, lua_State *co, int n);

#endif
