/*
 * anchor.h - values that C keeps alive, in slots on the stack of a Lua
 * coroutine that never runs; and weak tables.
 *
 * Not luaL_ref: in 5.1, 5.2 and LuaJIT a rehash that runs out of memory can
 * leave a table with the array part enlarged and the hash part unchanged.
 * Integer keys that are still in the hash part are no longer found. A table is
 * also slower.
 */

#ifndef SL_ANCHOR_H
#define SL_ANCHOR_H

#include "thread/compat.h"

/* [-0, +1, e] Pushes a new coroutine with n slots, each set to false. */
lua_State *sl_anchors_new(lua_State *L, int n);

/* [-0, +1, -] Pushes the value at a slot. The first slot is 1. */
static inline void sl_anchor_push(lua_State *L, lua_State *anchors, int slot)
{
    lua_pushvalue(anchors, slot);
    lua_xmove(anchors, L, 1);
}

/* [-1, +0, -] Sets a slot to the value on the top. */
static inline void sl_anchor_set(lua_State *L, lua_State *anchors, int slot)
{
    lua_xmove(L, anchors, 1);
    lua_replace(anchors, slot);
}

/* [-0, +0, -] Sets a slot to false. */
static inline void sl_anchor_clear(lua_State *anchors, int slot)
{
    lua_pushboolean(anchors, 0);
    lua_replace(anchors, slot);
}

/* [-0, +1, m] Pushes a new table whose keys ('k'), values ('v') or both ('kv')
 * are weak. */
void sl_anchor_newweak(lua_State *L, const char *mode);

#endif
