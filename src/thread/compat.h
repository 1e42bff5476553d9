/*
 * compat.h - makes 5.1, 5.2, 5.3 and LuaJIT look like 5.4.
 *
 * No other file uses LUA_VERSION_NUM. Each shim has our prefix, since LuaJIT
 * has LUA_VERSION_NUM 501 and some functions of 5.2.
 */

#ifndef SL_COMPAT_H
#define SL_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

/* Of the Luas with version 501, only LuaJIT has LUA_OK. */
#if LUA_VERSION_NUM == 501 && defined(LUA_OK)
#define SL_LUAJIT 1
#else
#define SL_LUAJIT 0
#endif

#if !defined(LUA_OK)
#define LUA_OK 0
#endif

/* Weak, so that plain Lua 5.1, which lacks these functions, can load the module
 * and sl_checkversion can report the mistake. */
#if SL_LUAJIT
#include <luajit.h>
#pragma weak luaJIT_setmode
#pragma weak luaL_traceback
#pragma weak lua_isyieldable
#endif

/* [-0, +0, v] Raises if the module was built for another Lua than it runs in,
 * which would crash sooner or later. LuaJIT and plain Lua 5.1 have the same
 * functions, but only LuaJIT knows LUA_GCISRUNNING. */
static inline void sl_checkversion(lua_State *L)
{
#if LUA_VERSION_NUM >= 502
    luaL_checkversion(L);
#else
    enum { IS_RUNNING = 9 };    /* LUA_GCISRUNNING */
    int runs_luajit = lua_gc(L, IS_RUNNING, 0) != -1;
    if (runs_luajit != SL_LUAJIT)
        luaL_error(L, "this socketloop was built for %s, but it is loaded by "
                   "%s", SL_LUAJIT ? "LuaJIT 2.1" : "Lua 5.1",
                   runs_luajit ? "LuaJIT" : "Lua 5.1");
#endif
}

/* From 5.3 on receive takes 'l' for '*l', as io.read does. */
#define SL_STAR_OPTIONAL (LUA_VERSION_NUM >= 503)

/* In 5.1 and LuaJIT coroutine.running returns nil for the main program. */
#define SL_MAIN_IS_NIL (LUA_VERSION_NUM == 501)

/* Whether L is known to be able to yield here. 5.1 and 5.2 do not say: false.
 * LuaJIT's answer ignores hooks (hook.h). */
static inline int sl_isyieldable(lua_State *L)
{
#if LUA_VERSION_NUM >= 503 || SL_LUAJIT
    return lua_isyieldable(L);
#else
    (void)L;
    return 0;
#endif
}

/* Whether a C function can continue after a yield (sl_yieldk). */
#define SL_CONTINUES (LUA_VERSION_NUM >= 503)

#if SL_CONTINUES
typedef lua_KContext sl_kcontext;
#else
typedef ptrdiff_t sl_kcontext;
#endif

typedef int (*sl_kfunction)(lua_State *L, int status, sl_kcontext context);

/* Ends the running C function in a yield of the n topmost values. After a
 * resume with SL_CONTINUES, k ends the function: the stack is as it was, with
 * the passed values above. Without SL_CONTINUES, the function returns the
 * passed values. */
static inline int sl_yieldk(lua_State *L, int n, sl_kcontext context,
                            sl_kfunction k)
{
#if SL_CONTINUES
    return lua_yieldk(L, n, context, k);
#else
    (void)context, (void)k;
    return lua_yield(L, n);
#endif
}

/* The size of a thread's C stack, a power of two. Lua allows 200 nested C calls
 * (LuaJIT is limited by its Lua stack), and some functions keep a luaL_Buffer
 * meanwhile. The deepest recursions of recursion_spec.lua take, in KiB:
 *
 *                       64 bits       32 bits
 *     5.1, 5.2, 5.3   1792 (2068)   1716 (1832)    (Lua without optimization)
 *     5.4, 5.5         404 (1048)    248  (664)
 *     LuaJIT          2840 (4440)   3528           (64 bits without GC64)
 */
#if !defined(SL_STACK_SIZE)
#define SL_STACK_SIZE (sizeof(void *) * 1024 * \
                       (SL_LUAJIT ? 1024 : LUA_VERSION_NUM < 504 ? 512 : 256))
#endif

/* Resumes co. *nresults is the number of values that it yielded or returned. */
static inline int sl_resume(lua_State *co, lua_State *from, int nargs,
                            int *nresults)
{
#if LUA_VERSION_NUM >= 504
    return lua_resume(co, from, nargs, nresults);
#else
    int status;
#if LUA_VERSION_NUM >= 502
    status = lua_resume(co, from, nargs);
#else
    (void)from;
    status = lua_resume(co, nargs);
#endif
    *nresults = lua_gettop(co);
    return status;
#endif
}

/* [-0, +0, e] Makes the function at index one that a coroutine can run. On 5.1
 * a C function that is the body of a coroutine cannot continue after a yield. A
 * Lua function that calls it takes its place. */
static inline void sl_fitbody(lua_State *L, int index)
{
#if LUA_VERSION_NUM == 501 && !SL_LUAJIT
    static const char caller[] =
        "local f = ... return function(...) return f(...) end";
    if (!lua_iscfunction(L, index))
        return;
    if (luaL_loadbuffer(L, caller, sizeof caller - 1, "=socketloop") != 0)
        lua_error(L);
    lua_pushvalue(L, index);
    lua_call(L, 1, 1);
    lua_replace(L, index);
#else
    (void)L, (void)index;
#endif
}

/* Whether lua_checkstack raises when memory is short. Otherwise it returns
 * false. See room.c. */
#define SL_CHECKSTACK_RAISES (LUA_VERSION_NUM < 502)

/* lua_load, for text and compiled chunks. */
static inline int sl_load(lua_State *L, lua_Reader reader, void *data,
                          const char *name)
{
#if LUA_VERSION_NUM >= 502
    return lua_load(L, reader, data, name, NULL);
#else
    return lua_load(L, reader, data, name);
#endif
}

/* Whether coroutines have variables to be closed, and can be closed. */
#define SL_CLOSES_VARIABLES (LUA_VERSION_NUM >= 504)

/* Closes the variables of a coroutine that failed, which is dead then. Returns
 * the number of errors on its top, 0 or 1. The error is the last one raised.
 * Before 5.4.3 there is none if no __close raised one. */
static inline int sl_reset(lua_State *co)
{
#if LUA_VERSION_NUM >= 505
    return lua_closethread(co, NULL) != LUA_OK;
#elif LUA_VERSION_NUM == 504
    return lua_resetthread(co) != LUA_OK;
#else
    (void)co;
    return 0;
#endif
}

/* [-0, +0, -] Closes co, as coroutine.close does, from a function that runs on
 * `from`. Returns LUA_OK; or another status, and then only the error is left on
 * co. */
static inline int sl_close(lua_State *co, lua_State *from)
{
    (void)co, (void)from;
#if SL_CLOSES_VARIABLES && LUA_VERSION_RELEASE_NUM >= 50406
    return lua_closethread(co, from);
#elif SL_CLOSES_VARIABLES
    return lua_resetthread(co);
#else
    return LUA_OK;
#endif
}

/* [-0, +(0|1), m] Pushes a traceback of co, without a message. False if Lua has
 * no function for that (see traceback.c). */
static inline int sl_pushtraceback(lua_State *L, lua_State *co)
{
#if LUA_VERSION_NUM >= 502 || SL_LUAJIT
    luaL_traceback(L, co, NULL, 0);
    return 1;
#else
    (void)L, (void)co;
    return 0;
#endif
}

/* [-0, +1, m] Pushes a userdata that can have one user value. */
static inline void *sl_newuserdata(lua_State *L, size_t size)
{
#if LUA_VERSION_NUM >= 504
    return lua_newuserdatauv(L, size, 1);
#else
    return lua_newuserdata(L, size);
#endif
}

/* [-0, +(0|1), -] Pushes the n-th user value of the userdata at index (5.1: the
 * environment). False if there cannot be one. */
static inline int sl_getnthuservalue(lua_State *L, int index, int n)
{
#if LUA_VERSION_NUM >= 504
    if (lua_getiuservalue(L, index, n) != LUA_TNONE)
        return 1;
    lua_pop(L, 1);
    return 0;
#elif LUA_VERSION_NUM >= 502
    if (n == 1)
        lua_getuservalue(L, index);
    return n == 1;
#else
    if (n == 1)
        lua_getfenv(L, index);
    return n == 1;
#endif
}

/* [-1, +0, -] Sets the n-th user value, which sl_getnthuservalue has found. */
static inline void sl_setnthuservalue(lua_State *L, int index, int n)
{
#if LUA_VERSION_NUM >= 504
    lua_setiuservalue(L, index, n);
#elif LUA_VERSION_NUM >= 502
    (void)n;
    lua_setuservalue(L, index);
#else
    (void)n;
    lua_setfenv(L, index);
#endif
}

/* [-0, +(0|1), -] Pushes the environment of a function or coroutine. False in
 * Luas without environments. */
static inline int sl_getfenv(lua_State *L, int index)
{
#if LUA_VERSION_NUM >= 502
    (void)L, (void)index;
    return 0;
#else
    lua_getfenv(L, index);
    return 1;
#endif
}

/* Whether the function at index has its n-th upvalue already; n is at most the
 * number that lua_getinfo returns. From 5.2 on, while a chunk is being
 * compiled, lua_load's function lies on the stack without its upvalues. */
static inline int sl_hasupvalue(lua_State *L, int index, int n)
{
#if LUA_VERSION_NUM >= 502
    return lua_upvalueid(L, index, n) != NULL;
#else
    (void)L, (void)index, (void)n;
    return 1;
#endif
}

/* [-1, +0, -] Sets the user value of the userdata at index to the table on the
 * top. */
static inline void sl_setuservalue(lua_State *L, int index)
{
    sl_setnthuservalue(L, index, 1);
}

/* [-0, +1, -] Pushes the user value of the userdata at index, which was set
 * before. */
static inline void sl_getuservalue(lua_State *L, int index)
{
    sl_getnthuservalue(L, index, 1);
}

/* [-nup, +0, m] Adds the functions of a list to the table below the
 * upvalues. */
static inline void sl_setfuncs(lua_State *L, const luaL_Reg *list, int nup)
{
    luaL_checkstack(L, nup + 2, "too many upvalues");
    for (; list->name != NULL; list++) {
        lua_pushstring(L, list->name);
        for (int i = 0; i < nup; i++)
            lua_pushvalue(L, -(nup + 1));
        lua_pushcclosure(L, list->func, nup);
        lua_settable(L, -(nup + 3));
    }
    lua_pop(L, nup);
}

/* [-0, +(0|1), -] Calls f with the pointer in protected mode, in a new
 * state. */
static inline int sl_cpcall(lua_State *L, lua_CFunction f, void *arg)
{
#if LUA_VERSION_NUM >= 502
    lua_pushcfunction(L, f);
    lua_pushlightuserdata(L, arg);
    return lua_pcall(L, 1, 0, 0);
#else
    return lua_cpcall(L, f, arg);
#endif
}

/* The size of a string or of a userdata's block; 0 for a light userdata. */
static inline size_t sl_rawlen(lua_State *L, int index)
{
#if LUA_VERSION_NUM >= 502
    return (size_t)lua_rawlen(L, index);
#else
    return lua_objlen(L, index);
#endif
}

/* The block of the userdata at index, if its metatable is the registry's
 * `tname`; else NULL. */
static inline void *sl_testudata(lua_State *L, int index, const char *tname)
{
    void *block = lua_touserdata(L, index);
    if (block == NULL || !lua_getmetatable(L, index))
        return NULL;
    lua_getfield(L, LUA_REGISTRYINDEX, tname);
    if (!lua_rawequal(L, -1, -2))
        block = NULL;
    lua_pop(L, 2);
    return block;
}

/* [-0, +1, -] Pushes the value at an address as key, of the table at index. */
static inline void sl_rawgetp(lua_State *L, int index, const void *key)
{
    lua_pushlightuserdata(L, (void *)key);
    lua_rawget(L, index < 0 && index > LUA_REGISTRYINDEX ? index - 1 : index);
}

/* [-1, +0, m] Sets the value at an address as key, in the table at index. */
static inline void sl_rawsetp(lua_State *L, int index, const void *key)
{
    lua_pushlightuserdata(L, (void *)key);
    lua_insert(L, -2);
    lua_rawset(L, index < 0 && index > LUA_REGISTRYINDEX ? index - 1 : index);
}

/* [-0, +(0|1), m] Returns the name of the argument's type, for errors. May push
 * the string that has the name. */
static inline const char *sl_typename(lua_State *L, int arg)
{
#if LUA_VERSION_NUM >= 503
    if (luaL_getmetafield(L, arg, "__name") == LUA_TSTRING)
        return lua_tostring(L, -1);
    if (lua_islightuserdata(L, arg))
        return "light userdata";
#endif
    return luaL_typename(L, arg);
}

/* [-0, +1, -] Pushes the table of global variables. */
static inline void sl_pushglobals(lua_State *L)
{
#if LUA_VERSION_NUM >= 502
    lua_pushglobaltable(L);
#else
    lua_pushvalue(L, LUA_GLOBALSINDEX);
#endif
}

/* Raises if LuaJIT runs a finalizer. luaJIT_setmode does so, and with this mode
 * does nothing else. There is no other way to ask. */
static inline void sl_checkfinalizer(lua_State *L)
{
#if SL_LUAJIT
    luaJIT_setmode(L, 0, LUAJIT_MODE_DEBUG);
#else
    (void)L;
#endif
}

/* Positive if the collector is on; in 5.1 always. In a finalizer 0; from 5.4.4
 * on negative there, as the collector cannot be turned on. */
static inline int sl_collectorstate(lua_State *L)
{
#if LUA_VERSION_NUM >= 502 || SL_LUAJIT
    return lua_gc(L, LUA_GCISRUNNING, 0);
#else
    (void)L;
    return 1;
#endif
}

static inline int sl_collects(lua_State *L)
{
    return sl_collectorstate(L) > 0;
}

/* Whether the collector is off and can be turned on. */
static inline int sl_canrestart(lua_State *L)
{
    return sl_collectorstate(L) == 0;
}

/* Whether L is the main program, outside every coroutine. */
static inline int sl_ismain(lua_State *L)
{
    int is_main = lua_pushthread(L);
    lua_pop(L, 1);
    return is_main;
}

/* The main program's stack. In 5.1 and LuaJIT NULL if that is not L. */
static inline lua_State *sl_mainthread(lua_State *L)
{
#if LUA_VERSION_NUM >= 502
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    lua_State *main = lua_tothread(L, -1);
    lua_pop(L, 1);
    return main;
#else
    return sl_ismain(L) ? L : NULL;
#endif
}

/* Whether a yield in L is known to fail. 5.1 and 5.2 know that of the main
 * program only. */
static inline int sl_cannotyield(lua_State *L)
{
#if LUA_VERSION_NUM >= 503 || SL_LUAJIT
    return !lua_isyieldable(L);
#else
    return sl_ismain(L);
#endif
}

#endif
