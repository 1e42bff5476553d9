/*
 * room.h - room for values on a Lua stack. The stack may be that of a coroutine
 * that does not run.
 */

#ifndef SL_ROOM_H
#define SL_ROOM_H

#include "thread/compat.h"

/* (n) -> n times nil. Called by sl_room_make. */
int sl_room_fill(lua_State *L);

/* [-1, +0, -] Makes room for n values on co. False if there is no memory or n
 * is too large. L is the running stack; sl_room_fill lies on the top of co.
 * Afterwards LuaJIT's VM takes co for the running stack: see
 * sl_thread_sync_vm. */
int sl_room_make(lua_State *L, lua_State *co, int n);

#endif
