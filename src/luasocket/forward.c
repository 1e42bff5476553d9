/*
 * forward.c - see forward.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/forward.h"

#include "luasocket/attach.h"
#include "luasocket/object.h"
#include "luasocket/object_driver.h"

#include <string.h>

/* Calls a method of the asocket's object. Upvalue 2 is the method's name. The
 * object is looked up at each call, as setsocket may change it. */
static int forward_call(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_object_driver_need(L, 1);
    lua_insert(L, 2);                            /* asocket object args */
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_gettable(L, 2);
    sl_object_original(L);
    lua_insert(L, 3);                            /* ... function args */
    lua_pushvalue(L, 2);
    lua_insert(L, 4);                            /* ... object args */
    int n;
    if (a->driver->call != NULL) {
        n = a->driver->call(L, a, 3);
    } else {
        lua_call(L, lua_gettop(L) - 3, LUA_MULTRET);
        n = lua_gettop(L) - 2;
    }
    sl_attach_sync(L, 1, 2);
    return n;
}

/* [-0, +1, e] Pushes the value of the object's field with the name at index 2.
 * Instead of a function pushes forward_call. The name 'socket' is the object
 * itself. A class's methods are found without making an object. */
static int index_object(lua_State *L, sl_asocket *a)
{
    if (a->phase == SL_PHASE_FINALIZED) {
        lua_pushnil(L);
        return 1;
    }
    if (lua_type(L, 2) == LUA_TSTRING &&
        strcmp(lua_tostring(L, 2), "socket") == 0) {
        sl_object_driver_need(L, 1);
        return 1;
    }
    if (a->driver->owns) {
        sl_object_index(L, a, 2);
    } else {
        sl_attach_push(L, 1);
        lua_pushvalue(L, 2);
        lua_gettable(L, -2);
    }
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, 2);
        lua_pushcclosure(L, forward_call, 2);
    }
    return 1;
}

const sl_class_names sl_forward_names = {index_object};
