/*
 * pcall.c - see pcall.h.
 */

#include "thread/pcall.h"

#include <stdint.h>

typedef struct call {
    sl_pcall_function body;
    void *arg;
} call;

/* [-0, +1, -] Pushes the address of c. In LuaJIT as a number: a light userdata
 * has only 47 bits, and the first one in a segment of addresses needs
 * memory. */
static void call_push(lua_State *L, call *c)
{
    if (SL_LUAJIT)
        lua_pushnumber(L, (lua_Number)(uintptr_t)c);
    else
        lua_pushlightuserdata(L, c);
}

static const call *call_get(lua_State *L, int index)
{
    return SL_LUAJIT ? (const call *)(uintptr_t)lua_tonumber(L, index)
                     : lua_touserdata(L, index);
}

int sl_pcall_call(lua_State *L)
{
    const call *c = call_get(L, 1);
    lua_settop(L, 0);
    return c->body(L, c->arg);
}

int sl_pcall_body(lua_State *L, sl_threads *all, sl_pcall_function body,
                  void *arg, int nresults)
{
    call c = {body, arg};
    sl_anchor_push(L, all->values, SL_VALUE_CALLER);
    call_push(L, &c);
    return lua_pcall(L, 1, nresults, 0);
}
