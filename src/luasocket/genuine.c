/*
 * genuine.c - LuaSocket's own functions, in case the program has replaced them.
 * The module's loader is called in a new Lua state, where nothing is replaced.
 * A C function is the same in all states.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/genuine.h"

#include "os/signal.h"

enum { DEPTH = 2 };    /* levels of tables that are copied below the first */

typedef struct module {
    lua_CFunction loader;
    const char *name;    /* borrowed */
    lua_State *L;        /* the new state, in which the module is loaded */
} module;

/* (module) Loads the module, and stores its value in the registry under its
 * name. */
static int load_module(lua_State *L)
{
    const module *m = lua_touserdata(L, 1);
    lua_pushcfunction(L, m->loader);
    lua_pushstring(L, m->name);
    lua_call(L, 1, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, m->name);
    return 0;
}

/* [-0, +0, -] Calls load_module in a protected call. Returns its status. */
static int try_loading(void *arg)
{
    module *m = arg;
    return sl_cpcall(m->L, load_module, m);
}

static int state_gc(lua_State *L)
{
    lua_State **other = lua_touserdata(L, 1);
    if (*other != NULL)
        lua_close(*other);
    *other = NULL;
    return 0;
}

/* [-0, +1, e] Pushes a userdata that owns a new Lua state. */
static lua_State **push_state(lua_State *L)
{
    lua_State **other = lua_newuserdata(L, sizeof *other);
    *other = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, state_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    *other = luaL_newstate();
    if (*other == NULL)
        luaL_error(L, "not enough memory");
    return other;
}

/* [-0, +1, e] Pushes a copy of the table at the top of another state. The copy
 * has C functions and, down to the depth, copies of tables. */
static void copy_table(lua_State *L, lua_State *other, int depth)
{
    luaL_checkstack(L, LUA_MINSTACK, "too many tables");
    lua_newtable(L);
    for (lua_pushnil(other); lua_next(other, -2); lua_pop(other, 1)) {
        if (lua_type(other, -2) != LUA_TSTRING)
            continue;
        if (lua_iscfunction(other, -1))
            lua_pushcfunction(L, lua_tocfunction(other, -1));
        else if (lua_istable(other, -1) && depth > 0)
            copy_table(L, other, depth - 1);
        else
            continue;
        lua_setfield(L, -2, lua_tostring(other, -2));
    }
}

/* genuine(loader, name) -> a copy of the registry of a new Lua state in which
 * the module was loaded, or nil if it cannot be loaded. Under the module's name
 * the copy has the module's C functions, under each class's name the class's
 * metatable. */
int sl_genuine_load(lua_State *L)
{
    module m = {lua_tocfunction(L, 1), luaL_checkstring(L, 2), NULL};
    if (m.loader == NULL)
        return 0;
    lua_State **other = push_state(L);
    m.L = *other;
    if (sl_signal_keeppipe(try_loading, &m) != LUA_OK)    /* LuaSocket's loader
                                                             changes SIGPIPE */
        return 0;
    lua_pushvalue(*other, LUA_REGISTRYINDEX);
    copy_table(L, *other, DEPTH);
    lua_close(*other);
    *other = NULL;
    return 1;
}

/* same(f, g) -> true if both are closures of one C function */
int sl_genuine_same(lua_State *L)
{
    lua_CFunction f = lua_tocfunction(L, 1);
    lua_pushboolean(L, f != NULL && f == lua_tocfunction(L, 2));
    return 1;
}
