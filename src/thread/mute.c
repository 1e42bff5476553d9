/*
 * mute.c - see mute.h.
 */

#include "thread/mute.h"

sl_muted sl_mute_begin(lua_State *L)
{
    sl_muted muted = {NULL, lua_gethookmask(L), 0};
    if (muted.mask & (LUA_MASKCALL | LUA_MASKRET)) {
        muted.hook = lua_gethook(L);
        muted.count = lua_gethookcount(L);
        lua_sethook(L, NULL, 0, 0);
    }
    return muted;
}

void sl_mute_end(lua_State *L, sl_muted muted)
{
    if (muted.hook != NULL && lua_gethook(L) == NULL)
        lua_sethook(L, muted.hook, muted.mask, muted.count);
}
