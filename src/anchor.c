/*
 * anchor.c - see anchor.h.
 */

#include "anchor.h"

lua_State *sl_anchors_new(lua_State *L, int n)
{
    lua_State *anchors = lua_newthread(L);
    lua_pushcfunction(L, sl_giveroom);
    lua_xmove(L, anchors, 1);
    if (!sl_checkstack(anchors, n + 1))    /* one to push and replace */
        luaL_error(L, "not enough memory");
    for (int i = 1; i <= n; i++)
        lua_pushboolean(anchors, 0);
    return anchors;
}
