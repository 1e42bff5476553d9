/*
 * asocket.c - asockets: creation, class and user value. close.c closes them;
 * their methods are in the files that methods.h lists.
 */

#include "socket/asocket.h"

#include "loop/loops.h"
#include "loop/reclaim.h"
#include "os/clock.h"
#include "thread/arg.h"

#include <errno.h>
#include <string.h>

const char sl_asocket_mark = 0;

void sl_asocket_refuse(lua_State *L, const sl_asocket *a)
{
    if (a == NULL)
        sl_arg_error(L, 1, "asocket expected");
    luaL_error(L, a->phase == SL_PHASE_FINALIZED
                  ? "socketloop: the socket was collected"
                  : "socketloop: the loop is closed");
}

/* Returns the name that the class of `a` would have if `a` were of that kind:
 * its driver's name or LuaSocket's. */
static const char *class_name(const sl_asocket *a, int kind)
{
    return a->driver->classes != NULL
               ? a->driver->classes[kind]
               : sl_transports[a->transport].classes[kind];
}

const char *sl_asocket_class(const sl_asocket *a)
{
    return class_name(a, a->kind);
}

void sl_asocket_misfit(lua_State *L, const sl_asocket *a, int kind)
{
    lua_pushfstring(L, "%s expected", class_name(a, kind));
    sl_arg_error(L, 1, lua_tostring(L, -1));
}

void sl_asocket_setclass(lua_State *L, int index, int which)
{
    const sl_asocket *a = lua_touserdata(L, index);
    lua_pushvalue(L, index);
    sl_loops_pushenv(L, a->source.loop, SL_ENV_CLASSES);
    lua_rawgeti(L, -1, which + 1);
    lua_setmetatable(L, -3);
    lua_pop(L, 2);
}

sl_asocket *sl_asocket_new(lua_State *L, sl_loop *loop, int transport)
{
    sl_reclaim_check(L, &loop->reclaim);
    sl_asocket *a = sl_newuserdata(L, sizeof *a);
    memset(a, 0, sizeof *a);
    sl_source_init(&a->source, loop, SL_SOURCE_SOCKET);
    a->mark = &sl_asocket_mark;
    a->transport = (unsigned char)transport;
    a->block = a->total = -1;
    a->linger = SL_LINGER;
    a->birthday = sl_clock_now();
    a->pending_fd = -1;
    a->driver = &sl_native;
    sl_asocket_setclass(L, lua_gettop(L), transport);
    return a;
}

void sl_asocket_pushvalue(lua_State *L, int index, int place)
{
    const sl_asocket *a = lua_touserdata(L, index);
    if (!a->has_values) {
        lua_pushnil(L);
        return;
    }
    sl_getuservalue(L, index);
    lua_rawgeti(L, -1, place);
    lua_remove(L, -2);
}

void sl_asocket_pushvalues(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    if (!a->has_values) {
        lua_createtable(L, 2, 0);
        if (!a->has_values)    /* a finalizer may have set one meanwhile */
            sl_setuservalue(L, index);
        else
            lua_pop(L, 1);
        a->has_values = 1;
    }
    sl_getuservalue(L, index);
}

double sl_asocket_timeout(const sl_asocket *a)
{
    if (a->block < 0 || (a->total >= 0 && a->total < a->block))
        return a->total;
    return a->block;
}

int sl_asocket_open(lua_State *L, sl_asocket *a, int family)
{
    return a->driver->open != NULL ? a->driver->open(L, a, family)
                                   : EOPNOTSUPP;
}
