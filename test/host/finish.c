/*
 * finish.c - the module, with an additional function that ends a thread's wait,
 * for test/spec/loop/finish_spec.lua.
 */

#include "loop/wait.h"

#include "os/error.h"

/* The record of a coroutine that waits or is suspended; NULL: none. */
static sl_thread *find_record(const sl_threads *all, const lua_State *co)
{
    sl_thread *t = all->records;
    while (t != NULL && (t->co != co || t->wait == NULL))
        t = t->next_record;
    return t;
}

/* finish(thread, status) -> whether this has ended a wait */
static int func_finish(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTHREAD);
    const sl_loop *loop = lua_touserdata(L, lua_upvalueindex(1));
    sl_thread *t = find_record(loop->threads, lua_tothread(L, 1));
    if (t == NULL) {
        lua_pushboolean(L, 0);
        return 1;
    }
    sl_wait *wait = t->wait;
    int was_over = wait->phase == SL_WAIT_DONE;
    sl_wait_finish(wait, (int)luaL_checkinteger(L, 2));
    lua_pushboolean(L, !was_over && wait->phase == SL_WAIT_DONE);
    return 1;
}

int luaopen_finish(lua_State *L);

/* luaopen_finish(function of the module) -> finish, the status of a timeout,
 * the status of a close */
__attribute__((visibility("default"))) int luaopen_finish(lua_State *L)
{
    if (lua_getupvalue(L, 1, 1) == NULL)
        return luaL_error(L, "function of the module expected");
    lua_pushcclosure(L, func_finish, 1);
    lua_pushinteger(L, SL_TIMEOUT);
    lua_pushinteger(L, SL_CLOSED);
    return 3;
}
