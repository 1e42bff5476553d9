/*
 * chain.c - see chain.h.
 */

#include "thread/chain.h"

lua_State *sl_chain_next(lua_State *co)
{
    lua_Debug call;
    int top = lua_gettop(co);
    lua_State *next = NULL;
    if (lua_getstack(co, 0, &call) && lua_getinfo(co, "f", &call) &&
        lua_iscfunction(co, -1) &&
        (lua_getupvalue(co, -1, 1) != NULL ||
         lua_getlocal(co, &call, 1) != NULL))
        next = lua_tothread(co, -1);
    lua_settop(co, top);
    return next;
}

int sl_chain_reaches(lua_State *from, lua_State *to, lua_State *end)
{
    lua_State *co = from;
    while (co != NULL && co != end && co != to)
        co = sl_chain_next(co);
    return co != NULL && co == to;
}
