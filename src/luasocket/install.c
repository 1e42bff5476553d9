/*
 * install.c - loop.install, which makes LuaSocket itself cooperative. Most of
 * install is written in Lua (socketloop/install.lua and the files that it
 * loads). This file has the C functions for those files: `tools`.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/install.h"

#include "loop/loop.h"
#include "loop/result.h"
#include "loop/source.h"
#include "loop/watch.h"
#include "loop/watcher.h"
#include "luasocket/collect.h"
#include "luasocket/genuine.h"
#include "luasocket/look.h"
#include "luasocket/object.h"
#include "luasocket/replace.h"
#include "luasocket/require.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/dns.h"
#include "thread/arg.h"
#include "thread/pcall.h"

#include <errno.h>

static const char loading_key = 0;    /* its address is a registry key */

static int check_finalizer(lua_State *L, void *arg)
{
    (void)arg;
    sl_checkfinalizer(L);
    return 0;
}

/* [-0, +0, -] True if a finalizer of LuaJIT's runs, where no thread may
 * wait. */
static int is_finalizing(lua_State *L, sl_threads *all)
{
    if (!SL_LUAJIT || sl_collects(L) ||
        sl_pcall_body(L, all, check_finalizer, NULL, 0) == LUA_OK)
        return 0;
    lua_pop(L, 1);
    return 1;
}

/* running() -> the id of the calling thread's loop; false if the thread belongs
 * to no loop; nothing if the caller is no thread, or cannot wait */
static int func_running(lua_State *L)
{
    sl_threads *all = sl_loop_check(L)->threads;
    if (all->running == NULL || is_finalizing(L, all))
        return 0;
    void *loop = sl_thread_loop(all->running);
    if (loop != NULL)
        lua_pushlightuserdata(L, loop);
    else
        lua_pushboolean(L, 0);
    return 1;
}

/* stepping() -> true if the loop is in a step */
static int func_stepping(lua_State *L)
{
    lua_pushboolean(L, sl_loop_check(L)->stepping);
    return 1;
}

/* release(fd): wakes the threads that wait for the descriptor, which is about
 * to be closed. */
static int func_release(lua_State *L)
{
    sl_source_closing(sl_loop_check(L), sl_arg_int(L, 1));
    return 0;
}

/* hurry(fd): limits the time that LuaSec's close can block while it sends TLS's
 * close_notify (sl_fd_boundsend). */
static int func_hurry(lua_State *L)
{
    sl_fd_boundsend(sl_arg_int(L, 1));
    return 0;
}

/* connected(fd) -> true; false while the attempt to connect is in progress; or
 * nil, error */
static int func_connected(lua_State *L)
{
    int err = sl_fd_attempted(sl_arg_int(L, 1));
    if (err != 0 && err != EINPROGRESS)
        return sl_result_fail(L, err);
    lua_pushboolean(L, err == 0);
    return 1;
}

/* name(host) -> the results of resolve, with the canonical name */
static int func_name(lua_State *L)
{
    return sl_dns_names(L, SL_TO_NAME);
}

/* reverse(host [, service]) -> the results of resolve, with the addresses'
 * names */
static int func_reverse(lua_State *L)
{
    return sl_dns_names(L, SL_TO_REVERSE);
}

/* class(name) -> the table of methods of LuaSocket's class, or nothing */
static int func_class(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, luaL_checkstring(L, 1));
    if (!lua_istable(L, -1))
        return 0;
    lua_getfield(L, -1, "__index");
    return lua_istable(L, -1);
}

/* True if the metatable on the top is that of one of these classes. */
static int is_tcp_class(lua_State *L, const char *const *names)
{
    int is_one = 0;
    for (; *names != NULL && !is_one; names++) {
        lua_getfield(L, LUA_REGISTRYINDEX, *names);
        is_one = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
    }
    return is_one;
}

/* setclass(object, name): sets the class of LuaSocket's TCP object to another
 * TCP class. */
static int func_setclass(lua_State *L)
{
    static const char *const names[] = {
        "tcp{master}", "tcp{client}", "tcp{server}", NULL
    };
    int i = luaL_checkoption(L, 2, NULL, names);
    luaL_checktype(L, 1, LUA_TUSERDATA);
    luaL_argcheck(L, lua_getmetatable(L, 1) && is_tcp_class(L, names), 1,
                  "TCP object expected");
    lua_getfield(L, LUA_REGISTRYINDEX, names[i]);
    lua_setmetatable(L, 1);
    return 0;
}

/* A module's loader (name, ...). Upvalue 1 is the original loader. Upvalue 2 is
 * called with the module's name and value. */
static int call_loader(lua_State *L)
{
    int nargs = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    for (int i = 1; i <= nargs; i++)
        lua_pushvalue(L, i);
    lua_call(L, nargs, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 0);
    return 1;
}

/* A searcher (name) of require. Upvalue 1 is the original searcher. Upvalue 2
 * is called after a C module was loaded. */
static int call_searcher(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    if (lua_iscfunction(L, 1)) {
        lua_pushvalue(L, 1);
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_pushcclosure(L, call_loader, 2);
        lua_replace(L, 1);
    }
    return lua_gettop(L);
}

/* searcher(f, loaded) -> a searcher of require that searches as f does, and
 * calls loaded(name, module) after a C module was loaded */
static int func_searcher(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_pushcclosure(L, call_searcher, 2);
    return 1;
}

/* originals(t): keeps the table replacement -> LuaSocket's own method; nil:
 * keeps none. */
static int func_originals(lua_State *L)
{
    lua_settop(L, 1);
    sl_object_setoriginals(L);
    return 0;
}

static const luaL_Reg tools[] = {
    {"class", func_class},
    {"collect", sl_collect_begin},
    {"collector", sl_collect_collector},
    {"connected", func_connected},
    {"failure", sl_look_failure},
    {"genuine", sl_genuine_load},
    {"hurry", func_hurry},
    {"giveup", sl_collect_giveup},
    {"name", func_name},
    {"originals", func_originals},
    {"ready", sl_watch_ready},
    {"receiver", sl_look_receiver},
    {"release", func_release},
    {"replace", sl_replace},
    {"reverse", func_reverse},
    {"running", func_running},
    {"same", sl_genuine_same},
    {"searcher", func_searcher},
    {"setclass", func_setclass},
    {"stepping", func_stepping},
    {"word", sl_look_word},
    {NULL, NULL}
};

/* [-0, +1, m] Pushes a new table of the tools for this loop. */
static void push_tools(lua_State *L)
{
    lua_newtable(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    sl_setfuncs(L, tools, 1);
    lua_pushlightuserdata(L, sl_loop_check(L));
    lua_setfield(L, -2, "id");
    lua_pushvalue(L, lua_upvalueindex(1));
    sl_watcher_pushmaker(L);
    lua_setfield(L, -3, "watcher");
    lua_pop(L, 1);
}

static int load_script(lua_State *L)
{
    sl_require_module(L, "socketloop.install");
    return 1;
}

/* [-0, +1, e] Pushes the value of install.lua. Raises if install.lua is being
 * loaded: a finalizer that calls install meanwhile would load it twice. */
static void push_script(lua_State *L)
{
    sl_rawgetp(L, LUA_REGISTRYINDEX, &loading_key);
    if (lua_toboolean(L, -1))
        luaL_error(L, "install: it is being loaded");
    lua_pushboolean(L, 1);
    sl_rawsetp(L, LUA_REGISTRYINDEX, &loading_key);
    lua_pushcfunction(L, load_script);
    int status = lua_pcall(L, 0, 1, 0);
    lua_pushboolean(L, 0);
    sl_rawsetp(L, LUA_REGISTRYINDEX, &loading_key);
    if (status != LUA_OK)
        lua_error(L);
}

int sl_install(lua_State *L)
{
    lua_settop(L, 0);
    push_script(L);
    sl_loop_env(L, SL_ENV_MODULE);
    push_tools(L);
    lua_call(L, 2, 1);
    return 1;
}
