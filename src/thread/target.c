/*
 * target.c - see target.h.
 */

#include "thread/target.h"

void sl_target_pin(lua_State *L, sl_thread *t)
{
    if (t->return_to != SL_RETURN_TO_CALLER)
        return;
    if (t->resumer != NULL) {
        sl_thread_push(L, t->resumer);
    } else {
        lua_State *main_frame = t->all->main_frame;
        lua_pushthread(main_frame);
        lua_xmove(main_frame, L, 1);
    }
    sl_target_setvalue(L, t);    /* pops the value */
}

void sl_target_savevalue(lua_State *L, sl_thread *t, int n)
{
    sl_target_pin(L, t);
    sl_target_pushvalue(L, t);
    lua_insert(L, -(n + 1));
}

void sl_target_pushlast(lua_State *L, sl_thread *t)
{
    if (t->return_to == SL_RETURN_TO_RUNNER ||
        t->return_to == SL_RETURN_TO_CALLER) {
        lua_pushboolean(L, 1);
        return;
    }
    sl_target_pushvalue(L, t);
    if (lua_istable(L, -1)) {    /* the table of safewrap (coro.c) */
        lua_pushnil(L);
        lua_rawseti(L, -2, 2);
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);    /* the table; its thread stays */
    }
}
