/*
 * anchor.c - see anchor.h.
 */

#include "thread/anchor.h"

#include "thread/room.h"

lua_State *sl_anchors_new(lua_State *L, int n)
{
    lua_State *anchors = lua_newthread(L);
    lua_pushcfunction(L, sl_room_fill);
    lua_pushvalue(L, -1);
    lua_xmove(L, anchors, 1);
    int has_room = sl_room_make(L, anchors, n + 1);    /* n slots, and one for
                                                          pushing */
    lua_call(L, 0, 0);    /* synchronizes LuaJIT's VM: see sl_thread_sync_vm */
    if (!has_room)
        luaL_error(L, "not enough memory");
    for (int i = 1; i <= n; i++)
        lua_pushboolean(anchors, 0);
    return anchors;
}

void sl_anchor_newweak(lua_State *L, const char *mode)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}
