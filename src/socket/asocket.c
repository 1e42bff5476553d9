/*
 * asocket.c - the object: making, fields, closing. Its methods are in other
 * files, listed at the end of asocket.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/asocket.h"

#include "loop/loops.h"
#include "loop/reclaim.h"
#include "luasocket/foreign.h"
#include "luasocket/object.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/lookup.h"
#include "socket/client_limit.h"
#include "socket/dns.h"
#include "socket/send.h"
#include "thread/arg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char sl_asocket_mark = 0;

enum { AT_OBJECT = 1, AT_FIELDS, AT_FAILURE };    /* in the user value */

/* In the list of metatables after those of the transports: see there. */
enum { CLASS_OF_ALL = SL_TRANSPORTS };

/* --- the object -------------------------------------------------------- */

void sl_asocket_refuse(lua_State *L, const sl_asocket *a)
{
    if (a == NULL)
        sl_arg_error(L, 1, "asocket expected");
    luaL_error(L, a->source.loop == NULL
                  ? "socketloop: the socket was collected"
                  : "socketloop: the loop is closed");
}

const char *sl_asocket_class(const sl_asocket *a)
{
    return sl_transports[a->transport].classes[a->kind];
}

void sl_asocket_misfit(lua_State *L, const sl_asocket *a, int kind)
{
    lua_pushfstring(L, "%s expected",
                    sl_transports[a->transport].classes[kind]);
    sl_arg_error(L, 1, lua_tostring(L, -1));
}

/* [-0, +0, -] Gives the asocket at index one of the metatables. */
static void set_class(lua_State *L, int index, int which)
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
    sl_reclaim_check(L, loop);
    sl_asocket *a = sl_newuserdata(L, sizeof *a);
    memset(a, 0, sizeof *a);
    sl_source_init(&a->source, loop);
    a->mark = &sl_asocket_mark;
    a->transport = (unsigned char)transport;
    a->block = a->total = -1;
    a->linger = SL_LINGER;
    a->birthday = sl_clock_now();
    a->accepted = -1;
    set_class(L, lua_gettop(L), transport);
    return a;
}

int sl_asocket_take(sl_asocket *a, int fd, int kind)
{
    int err = sl_source_claim(&a->source, fd);
    if (err != 0)
        return err;
    a->kind = (unsigned char)kind;
    a->owned = 1;
    return 0;
}

/* [-0, +1, m] Pushes what the user value has at a place, or nil. */
static void push_value(lua_State *L, int index, int place, int is_there)
{
    if (!is_there) {
        lua_pushnil(L);
        return;
    }
    sl_getuservalue(L, index);
    lua_rawgeti(L, -1, place);
    lua_remove(L, -2);
}

/* [-0, +1, m] Pushes the user value of the asocket at index, made if there is
 * none; also not by a finalizer that ran meanwhile. */
static void push_values(lua_State *L, sl_asocket *a, int index)
{
    if (!a->has_values) {
        lua_createtable(L, 2, 0);
        if (!a->has_values)
            sl_setuservalue(L, index);
        else
            lua_pop(L, 1);
        a->has_values = 1;
    }
    sl_getuservalue(L, index);
}

/* [-0, +0, m] The object on the top and the asocket at index know each other.
 * Nobody asks for it yet. Runs no finalizers if there is a user value. */
static void keep_object(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    push_values(L, a, index);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, AT_OBJECT);
    sl_loops_pushenv(L, a->source.loop, SL_ENV_WRAPPERS);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, index);
    lua_rawset(L, -3);
    lua_pop(L, 2);
}

/* [-0, +0, -] The object that was kept owns the descriptor. */
static void give_to_object(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    set_class(L, index, CLASS_OF_ALL);
    a->has_object = 1;
    a->owned = 0;
    sl_source_lend(&a->source);
}

void sl_asocket_setobject(lua_State *L, int index)
{
    keep_object(L, index);
    give_to_object(L, index);
    lua_pop(L, 1);
}

void sl_asocket_pushobject(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    push_value(L, index, AT_OBJECT, a->has_object);
}

void sl_asocket_keepfailure(lua_State *L, int index)
{
    push_values(L, lua_touserdata(L, index), index);
    lua_insert(L, -2);
    lua_rawseti(L, -2, AT_FAILURE);
    lua_pop(L, 1);
}

void sl_asocket_pushfailure(lua_State *L, int index)
{
    push_value(L, index, AT_FAILURE, 1);
}

void sl_asocket_claim(lua_State *L, sl_asocket *a, int fd)
{
    int err;
    do
        err = sl_source_claim(&a->source, fd);
    while (err == ENOMEM && sl_reclaim_retry(L, a->source.loop, err));
    if (err != 0)
        luaL_error(L, "%s", sl_error_message(err));
    a->settled = 1;
}

void sl_asocket_sync(lua_State *L, sl_asocket *a, int object)
{
    sl_object_class(L, object, a);    /* finalizers may run */
    int fd = sl_object_fd(L, object);
    a->source.readable = a->source.writable = 1;
    if (fd == a->source.fd)
        return;
    if (fd < 0)
        sl_source_release(&a->source, 0);
    else
        sl_asocket_claim(L, a, fd);
}

/* [-0, +0, e] Makes its LuaSocket object; not if a finalizer that runs
 * meanwhile does, or others while a module is loaded. */
static void make_object(lua_State *L, sl_asocket *a, int index)
{
    sl_object_new(L, a);
    int object = lua_gettop(L);
    push_values(L, a, index);
    if (!a->has_object) {
        lua_settop(L, object);
        keep_object(L, index);
        if (a->source.fd >= 0 || a->settled)
            sl_object_setfd(L, object, a);
    }
    if (!a->has_object) {
        give_to_object(L, index);    /* not before: one of them owns it */
        if (a->source.fd < 0)
            sl_asocket_sync(L, a, object);
    }
    lua_settop(L, object - 1);
}

void sl_asocket_needobject(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    if (!a->has_object)
        sl_send_settle(L, a, "getsocket");
    if (!a->has_object)    /* others had their turn */
        make_object(L, a, index);
    sl_asocket_pushobject(L, index);
    a->source.readable = a->source.writable = 1;
}

void sl_asocket_close(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    int fd = sl_source_owned(&a->source);
    int in_use = a->source.reader.thread != NULL || a->receive.taking;
    int is_foreign = a->transport == SL_FOREIGN;    /* perhaps stays open */
    a->settled = 1;
    if (a->has_file)
        sl_unix_unlink(a);
    if (sl_client_limit_inherit(a))
        fd = -1;
    sl_source_release(&a->source, !is_foreign);
    if (a->connect != NULL && a->source.writer.thread == NULL)
        sl_connect_abandon(L, a);
    if (!in_use)
        sl_buffer_free(&a->buffer, &a->source.loop->scratch);
    sl_client_limit_leave(a);
    if (a->has_object && !a->let_go) {    /* whose close may raise */
        a->let_go = (unsigned char)is_foreign;
        sl_asocket_pushobject(L, index);
        sl_object_method(L, -1, "close");
        lua_insert(L, -2);
        lua_call(L, 1, 0);
    } else if (fd >= 0 && a->owned) {
        close(fd);
    }
    a->owned = 0;
}

/* Any method but close of an asocket whose finalizer has run; that of another
 * object, which has it, may call it. */
static int meth_finalized(lua_State *L)
{
    return sl_result_fail(L, SL_CLOSED);
}

static int meth_close(lua_State *L)
{
    const sl_asocket *a = sl_asocket_test(L, 1);
    if (a == NULL || a->source.loop != NULL) {
        sl_asocket_check(L);
        sl_asocket_close(L, 1);
    }
    lua_pushinteger(L, 1);
    return 1;
}

/* Upvalue 2 is the metatable of those that were finalized. */
static int meth_gc(lua_State *L)
{
    sl_asocket *a = lua_touserdata(L, 1);
    if (a->source.loop == NULL)
        return 0;
    if (a->has_file)
        sl_unix_unlink(a);
    sl_client_limit_inherit(a);
    int fd = sl_source_owned(&a->source);
    sl_source_free(&a->source);
    if (fd >= 0 && a->owned)
        close(fd);
    if (a->accepted >= 0 &&
        sl_process_isours(a->accepted, a->accepted_forks))
        close(a->accepted);
    if (a->connect != NULL)
        sl_connect_abandon(L, a);
    sl_dns_end(a);
    sl_client_limit_free(a);
    sl_buffer_free(&a->buffer, &a->source.loop->scratch);
    free(a->host);
    a->source.loop = NULL;
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setmetatable(L, 1);
    return 0;
}

/* --- fields and methods ------------------------------------------------ */

/* A method of the LuaSocket object, called on the asocket: upvalue 2 is its
 * name. The object is looked up now, as setsocket may have changed it. */
static int forward(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_needobject(L, 1);
    lua_insert(L, 2);                            /* asocket object args */
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_gettable(L, 2);
    sl_object_original(L);
    lua_insert(L, 3);                            /* ... function args */
    lua_pushvalue(L, 2);
    lua_insert(L, 4);                            /* ... object args */
    int n;
    if (a->transport == SL_FOREIGN) {
        n = sl_foreign_call(L, a, 3, "call_async");
    } else {
        lua_call(L, lua_gettop(L) - 3, LUA_MULTRET);
        n = lua_gettop(L) - 2;
    }
    sl_asocket_sync(L, a, 2);
    return n;
}

/* What is neither a field nor a method of ours: the object's. */
static int index_object(lua_State *L, sl_asocket *a)
{
    if (a->source.loop == NULL) {
        lua_pushnil(L);
        return 1;
    }
    if (lua_type(L, 2) == LUA_TSTRING &&
        strcmp(lua_tostring(L, 2), "socket") == 0) {
        sl_asocket_needobject(L, 1);
        return 1;
    }
    if (a->has_object) {
        sl_asocket_pushobject(L, 1);
        lua_pushvalue(L, 2);
        lua_gettable(L, -2);
    } else {
        sl_object_index(L, a, 2);
    }
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, 2);
        lua_pushcclosure(L, forward, 2);
    }
    return 1;
}

/* Of an asocket without fields or an object. Upvalue 2 is the table of its
 * transport's methods. */
static int meth_index_plain(lua_State *L)
{
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    return lua_isnil(L, -1) ? index_object(L, lua_touserdata(L, 1)) : 1;
}

/* Upvalue 2 is the table of our methods' tables, by transport. */
static int meth_index(lua_State *L)
{
    sl_asocket *a = lua_touserdata(L, 1);
    if (a->has_fields) {
        push_value(L, 1, AT_FIELDS, 1);
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
    return index_object(L, a);
}

/* [-0, +0, m] Gives the asocket at 1 a table for fields, if no finalizer that
 * runs meanwhile does. */
static void make_fields(lua_State *L, sl_asocket *a)
{
    push_values(L, a, 1);
    lua_newtable(L);
    if (!a->has_fields) {
        lua_rawseti(L, -2, AT_FIELDS);
        a->has_fields = 1;
        if (a->source.loop != NULL)
            set_class(L, 1, CLASS_OF_ALL);
    }
}

static int meth_newindex(lua_State *L)
{
    sl_asocket *a = lua_touserdata(L, 1);
    if (lua_isnil(L, 2))
        return luaL_error(L, "the name of a field is nil");
    if (!a->has_fields)
        make_fields(L, a);
    push_value(L, 1, AT_FIELDS, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    return 0;
}

/* [-0, +n, m] Pushes the name to show: the peer's, if there is one that has
 * one. */
static int push_name(lua_State *L, const sl_asocket *a)
{
    int is_stream = sl_transports[a->transport].socktype != SOCK_DGRAM;
    int far = a->kind == SL_CLIENT || (is_stream && a->kind == SL_MASTER);
    int n = sl_lookup_push(L, a->source.fd, far ? getpeername : getsockname);
    if (far && n == 1 && lua_tostring(L, -1)[0] == '\0') {
        lua_pop(L, n);
        n = sl_lookup_push(L, a->source.fd, getsockname);
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
    int n = push_name(L, a);
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

const luaL_Reg sl_asocket_methods[] = {
    {"close", meth_close},
    {NULL, NULL}
};

static const luaL_Reg metamethods[] = {
    {"__close", meth_close},
    {"__newindex", meth_newindex},
    {"__tostring", meth_tostring},
    {NULL, NULL}
};

/* [-0, +1, m] Pushes a table of the methods in the lists; the loop at that
 * index is their upvalue. */
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

/* [-1, +1, m] Pushes an __index function whose upvalue 2 is on the top. */
static void push_index(lua_State *L, int loop, lua_CFunction index)
{
    lua_pushvalue(L, loop);
    lua_insert(L, -2);
    lua_pushcclosure(L, index, 2);
}

/* [-1, +1, e] The same for meth_index_plain. LuaJIT calls Lua functions for
 * a fifth of what a C function costs it, so there it is asked second. */
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

/* [-1, +1, m] Pushes a metatable with the __index function on the top. */
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

/* [-1, +1, m] The same with a finalizer; and the metatable for afterwards. */
static void push_live_class(lua_State *L, int loop, int finalized)
{
    push_class(L, loop);
    lua_pushvalue(L, loop);
    lua_pushvalue(L, finalized);
    lua_pushcclosure(L, meth_gc, 2);
    lua_setfield(L, -2, "__gc");
}

/* [-0, +1, m] Pushes a table with what is left of the methods in the lists
 * once an asocket was finalized. */
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

/* [-0, +1, m] Pushes their metatable. It has no finalizer, and they get
 * nothing any more that would have to be freed. */
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

void sl_asocket_classes(lua_State *L, const luaL_Reg *const *const *lists)
{
    int loop = lua_gettop(L), finalized = loop + 1, classes = loop + 2;
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
    lua_rawseti(L, classes, CLASS_OF_ALL + 1);
    lua_replace(L, loop);
    lua_settop(L, loop);
}
