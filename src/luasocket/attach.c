/*
 * attach.c - see attach.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/attach.h"

#include "loop/loops.h"
#include "loop/reclaim.h"
#include "luasocket/object.h"
#include "os/error.h"

#include <errno.h>

void sl_attach_keep(lua_State *L, int index, int object)
{
    const sl_asocket *a = lua_touserdata(L, index);
    sl_asocket_pushvalues(L, index);
    lua_pushvalue(L, object);
    lua_rawseti(L, -2, SL_AT_OBJECT);
    sl_loops_pushenv(L, a->source.loop, SL_ENV_WRAPPERS);
    lua_pushvalue(L, object);
    lua_pushvalue(L, index);
    lua_rawset(L, -3);
    lua_pop(L, 2);
}

void sl_attach_setdriver(lua_State *L, int index, const sl_driver *driver)
{
    sl_asocket *a = lua_touserdata(L, index);
    sl_asocket_setclass(L, index, SL_CLASS_OF_ALL);
    a->driver = driver;
    sl_source_noteinode(&a->source);
}

void sl_attach_forget(lua_State *L, const sl_asocket *a, int object)
{
    sl_loops_pushenv(L, a->source.loop, SL_ENV_WRAPPERS);
    lua_pushvalue(L, object);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

void sl_attach_push(lua_State *L, int index)
{
    const sl_asocket *a = lua_touserdata(L, index);
    if (a->driver->owns)
        lua_pushnil(L);
    else
        sl_asocket_pushvalue(L, index, SL_AT_OBJECT);
}

int sl_attach_claim(lua_State *L, sl_asocket *a, int fd)
{
    int err;
    do
        err = sl_source_claim(&a->source, fd);
    while (err == ENOMEM && sl_reclaim_retry(L, &a->source.loop->reclaim, err));
    if (err == 0) {
        sl_asocket_enter(a, SL_PHASE_OPEN);
        sl_source_noteinode(&a->source);
    }
    return err;
}

void sl_attach_sync(lua_State *L, int index, int object)
{
    sl_asocket *a = lua_touserdata(L, index);
    sl_attach_push(L, index);
    int is_current = lua_rawequal(L, -1, object);
    lua_pop(L, 1);
    if (!is_current)
        return;
    sl_object_class(L, object, a);
    int fd = sl_object_fd(L, object);
    sl_asocket_assumeready(a);
    if (fd == a->source.fd && !sl_source_isreused(&a->source))
        return;
    if (fd == a->source.fd)    /* another descriptor with the former number */
        sl_source_release(&a->source, 1);
    if (fd < 0) {
        sl_source_release(&a->source, 0);
        return;
    }
    int err = sl_attach_claim(L, a, fd);
    if (err != 0)
        luaL_error(L, "%s", sl_error_message(err));
}

void sl_attach_setfd(lua_State *L, sl_asocket *a, int fd)
{
    (void)a;
    sl_attach_push(L, 1);
    int object = lua_gettop(L);
    sl_object_method(L, object, "setfd");
    lua_pushvalue(L, object);
    lua_pushinteger(L, fd);
    lua_call(L, 2, 0);
    sl_attach_sync(L, 1, object);
    lua_pop(L, 1);
}

void sl_attach_close(lua_State *L, int index)
{
    sl_attach_push(L, index);
    sl_object_method(L, -1, "close");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
}
