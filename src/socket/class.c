/*
 * class.c - the metatables of asockets: fields, methods, and other names.
 *
 * An asocket with neither fields nor an object has the metatable of its
 * transport. All other asockets have one metatable, SL_CLASS_OF_ALL. A
 * finalized asocket has another one, without a finalizer.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/class.h"

#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "socket/close.h"
#include "socket/push.h"
#include "thread/arg.h"

#include <string.h>

/* --- methods of every socket ------------------------------------------- */

/* Each method but close of a finalized asocket. The finalizer of another object
 * that refers to the asocket may call it. */
static int meth_finalized(lua_State *L)
{
    return sl_result_fail(L, SL_CLOSED);
}

static int meth_close(lua_State *L)
{
    const sl_asocket *a = sl_asocket_test(L, 1);
    if (a == NULL || a->phase != SL_PHASE_FINALIZED) {
        sl_asocket_check(L);
        sl_close_asocket(L, 1);
    }
    lua_pushinteger(L, 1);
    return 1;
}

/* Upvalue 2 is the metatable of finalized asockets. */
static int meth_gc(lua_State *L)
{
    sl_asocket *a = lua_touserdata(L, 1);
    if (a->phase == SL_PHASE_FINALIZED)
        return 0;
    sl_close_finalize(L, a);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setmetatable(L, 1);
    return 0;
}

/* [-0, +n, m] Pushes the name that tostring shows: the peer's if it has one,
 * else the socket's own. Returns n: 3 for address, port and family, 1 for a
 * path, 2 for nil and an error. */
static int push_shown_name(lua_State *L, const sl_asocket *a)
{
    int is_stream = sl_transports[a->transport].socktype != SOCK_DGRAM;
    int far = a->kind == SL_CLIENT || (is_stream && a->kind == SL_MASTER);
    int fd = a->source.fd;
    int n = far ? sl_push_peername(L, fd) : sl_push_sockname(L, fd);
    if (far && n == 1 && lua_tostring(L, -1)[0] == '\0') {
        lua_pop(L, n);
        n = sl_push_sockname(L, fd);
    }
    return n;
}

static int meth_tostring(lua_State *L)
{
    sl_asocket *a = sl_asocket_test(L, 1);
    sl_arg_check(L, a != NULL, 1, "asocket expected");
    if (a->source.fd < 0) {
        lua_pushfstring(L, "%s: %s", sl_asocket_class(a),
                        a->kind == SL_MASTER ? "no descriptor" : "closed");
        return 1;
    }
    lua_pushfstring(L, "%s: fd %d", sl_asocket_class(a), a->source.fd);
    int n = push_shown_name(L, a);
    if (n == 3)
        lua_pushfstring(L, "%s, %s port %d", lua_tostring(L, -4),
                        lua_tostring(L, -3), (int)lua_tointeger(L, -2));
    else if (n == 1 && lua_tostring(L, -1)[0] != '\0')
        lua_pushfstring(L, "%s, %s", lua_tostring(L, -2),
                        lua_tostring(L, -1));
    else
        lua_pop(L, n);
    return 1;
}

const luaL_Reg sl_class_methods[] = {
    {"close", meth_close},
    {NULL, NULL}
};

/* --- indexing ---------------------------------------------------------- */

/* [-0, +1, e] Pushes the value of the name at index 2, which is neither a field
 * nor a method. Upvalue 3 is the sl_class_names. */
static int index_other(lua_State *L, sl_asocket *a)
{
    const sl_class_names *names = lua_touserdata(L, lua_upvalueindex(3));
    return names->index(L, a);
}

/* The __index of asockets with neither fields nor an object. Upvalue 2 is the
 * table of the transport's methods. */
static int meth_index_plain(lua_State *L)
{
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    return lua_isnil(L, -1) ? index_other(L, lua_touserdata(L, 1)) : 1;
}

/* The __index of all other asockets. Upvalue 2 is the list of the transports'
 * tables of methods. */
static int meth_index(lua_State *L)
{
    sl_asocket *a = lua_touserdata(L, 1);
    if (a->has_fields) {
        sl_asocket_pushvalue(L, 1, SL_AT_FIELDS);
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
        if (!lua_isnil(L, -1))
            return 1;
        lua_pop(L, 2);
    }
    lua_rawgeti(L, lua_upvalueindex(2), a->transport + 1);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1))
        return 1;
    return index_other(L, a);
}

/* [-0, +2, m] Gives the asocket at index 1 a table for fields, unless a
 * finalizer does so meanwhile. */
static void make_fields(lua_State *L, sl_asocket *a)
{
    sl_asocket_pushvalues(L, 1);
    lua_newtable(L);
    if (!a->has_fields) {
        lua_rawseti(L, -2, SL_AT_FIELDS);
        a->has_fields = 1;
        if (a->phase != SL_PHASE_FINALIZED)
            sl_asocket_setclass(L, 1, SL_CLASS_OF_ALL);
    }
}

static int meth_newindex(lua_State *L)
{
    sl_asocket *a = lua_touserdata(L, 1);
    if (lua_isnil(L, 2))
        return luaL_error(L, "the name of a field is nil");
    if (!a->has_fields)
        make_fields(L, a);
    sl_asocket_pushvalue(L, 1, SL_AT_FIELDS);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    return 0;
}

/* --- metatables -------------------------------------------------------- */

static const luaL_Reg metamethods[] = {
    {"__close", meth_close},
    {"__newindex", meth_newindex},
    {"__tostring", meth_tostring},
    {NULL, NULL}
};

/* [-0, +1, m] Pushes a table of the methods in the lists. Their upvalue is the
 * loop, at index `loop`. */
static void push_methods(lua_State *L, int loop, const luaL_Reg *const *lists)
{
    lua_newtable(L);
    for (; *lists != NULL; lists++) {
        lua_pushvalue(L, loop);
        sl_setfuncs(L, *lists, 1);
    }
    lua_pushliteral(L, "socketloop_socket");
    lua_setfield(L, -2, "type");
}

/* [-1, +1, m] Pops a table of methods and pushes `index` as a closure with the
 * upvalues loop, table and sl_class_names (at loop + 1). */
static void push_index(lua_State *L, int loop, lua_CFunction index)
{
    lua_pushvalue(L, loop);
    lua_insert(L, -2);
    lua_pushvalue(L, loop + 1);
    lua_pushcclosure(L, index, 3);
}

/* [-1, +1, e] Pops a table of methods and pushes the __index function that
 * meth_index_plain is for. LuaJIT calls a Lua function at a fifth of the cost
 * of a C function, so there a Lua function looks for the method first. */
static void push_plain_index(lua_State *L, int loop)
{
    static const char first[] =
        "local methods, index = ...\n"
        "return function(asocket, name)\n"
        "    local method = methods[name]\n"
        "    if method ~= nil then return method end\n"
        "    return index(asocket, name)\n"
        "end\n";
    int methods = lua_gettop(L);
    lua_pushvalue(L, methods);
    push_index(L, loop, meth_index_plain);
    if (SL_LUAJIT) {
        if (luaL_loadbuffer(L, first, sizeof first - 1, "=socketloop") != 0)
            lua_error(L);
        lua_pushvalue(L, methods);
        lua_pushvalue(L, -3);
        lua_call(L, 2, 1);
        lua_replace(L, -2);
    }
    lua_remove(L, methods);
}

/* [-1, +1, m] Pops an __index function and pushes a metatable with it. */
static void push_class(lua_State *L, int loop)
{
    lua_newtable(L);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, loop);
    sl_setfuncs(L, metamethods, 1);
    lua_pushliteral(L, "socketloop_socket");
    lua_setfield(L, -2, "__metatable");
}

/* [-1, +1, m] Pops an __index function and pushes a metatable with it and with
 * a finalizer. The finalizer sets the asocket's metatable to the one at index
 * `finalized`. */
static void push_live_class(lua_State *L, int loop, int finalized)
{
    push_class(L, loop);
    lua_pushvalue(L, loop);
    lua_pushvalue(L, finalized);
    lua_pushcclosure(L, meth_gc, 2);
    lua_setfield(L, -2, "__gc");
}

/* [-0, +1, m] Pushes a table of the methods of finalized asockets: close, which
 * returns 1, and all other names of the lists, which fail with 'closed'. */
static void push_finalized_methods(lua_State *L, int loop,
                                   const luaL_Reg *const *lists)
{
    lua_newtable(L);
    lua_pushcfunction(L, meth_finalized);
    for (; *lists != NULL; lists++)
        for (const luaL_Reg *method = *lists; method->name != NULL; method++) {
            lua_pushvalue(L, -1);
            lua_setfield(L, -3, method->name);
        }
    lua_pop(L, 1);
    lua_pushvalue(L, loop);
    lua_pushcclosure(L, meth_close, 1);
    lua_setfield(L, -2, "close");
    lua_pushliteral(L, "socketloop_socket");
    lua_setfield(L, -2, "type");
}

/* [-0, +1, m] Pushes the metatable of finalized asockets. It has no finalizer:
 * a finalized asocket gets nothing more that would have to be freed. */
static void push_finalized_class(lua_State *L, int loop,
                                 const luaL_Reg *const *const *lists)
{
    lua_createtable(L, SL_TRANSPORTS, 0);
    for (int i = 0; i < SL_TRANSPORTS; i++) {
        push_finalized_methods(L, loop, lists[i]);
        lua_rawseti(L, -2, i + 1);
    }
    push_index(L, loop, meth_index);
    push_class(L, loop);
}

void sl_class_make(lua_State *L, const luaL_Reg *const *const *lists,
                   const sl_class_names *names)
{
    int loop = lua_gettop(L), finalized = loop + 2, classes = loop + 3;
    lua_pushlightuserdata(L, (void *)names);    /* at loop + 1 */
    push_finalized_class(L, loop, lists);
    lua_createtable(L, SL_TRANSPORTS + 1, 0);
    lua_createtable(L, SL_TRANSPORTS, 0);
    for (int i = 0; i < SL_TRANSPORTS; i++) {
        push_methods(L, loop, lists[i]);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, i + 1);
        push_plain_index(L, loop);
        push_live_class(L, loop, finalized);
        lua_rawseti(L, classes, i + 1);
    }
    push_index(L, loop, meth_index);
    push_live_class(L, loop, finalized);
    lua_rawseti(L, classes, SL_CLASS_OF_ALL + 1);
    lua_replace(L, loop);
    lua_settop(L, loop);
}
