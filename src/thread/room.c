/*
 * room.c - see room.h.
 *
 * From 5.2 on lua_checkstack returns false when memory is short. In 5.1 and
 * LuaJIT it raises, so it is called inside functions that catch errors.
 */

#include "thread/room.h"

int sl_room_fill(lua_State *L)
{
    int n = (int)lua_tointeger(L, 1);
    luaL_checkstack(L, n, "");
    lua_settop(L, n);
    return n;
}

/* [-1, +?, -] Makes room in a protected call of sl_room_fill, which is popped.
 * The call also fills the new slots with nils: a collection before lua_pcall
 * returns could shrink the stack again. */
static int room_make_called(lua_State *co, int n)
{
    lua_pushinteger(co, n);
    return lua_pcall(co, 1, LUA_MULTRET, 0) == LUA_OK;
}

/* A reader for lua_load: makes room for *n values, sets *n to 0 if there was
 * memory, and raises, so that nothing is read. */
static const char *room_read(lua_State *co, void *n, size_t *size)
{
    *size = 0;
    if (lua_checkstack(co, *(int *)n + 1))
        *(int *)n = 0;
    lua_pushnil(co);
    lua_error(co);
    return NULL;
}

/* [-0, +1, -] Makes room without a call on co, for plain 5.1: a lua_pcall on a
 * suspended coroutine could run finalizers there. lua_load is the only other
 * function that catches errors. */
static int room_make_loaded(lua_State *co, int n)
{
    int lacking = n;
    sl_load(co, room_read, &lacking, "");    /* pushes the error */
    return lacking == 0;
}

int sl_room_make(lua_State *L, lua_State *co, int n)
{
    int top = lua_gettop(co) - 1;    /* below sl_room_fill */
    int is_made = 1;
    if (SL_CHECKSTACK_RAISES)
        is_made = L == co || SL_LUAJIT ? room_make_called(co, n)
                                       : room_make_loaded(co, n);
    lua_settop(co, top);
    return is_made && lua_checkstack(co, n);    /* cannot raise now */
}
