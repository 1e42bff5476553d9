/*
 * asocket.c - the object: making, closing, its user value. The methods are in
 * other files, listed at the end of class.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/asocket.h"

#include "loop/loops.h"
#include "loop/reclaim.h"
#include "luasocket/object.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/client_limit.h"
#include "socket/connect.h"
#include "socket/dns.h"
#include "socket/send.h"
#include "socket/unix.h"
#include "thread/arg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char sl_asocket_mark = 0;

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
    sl_asocket_setclass(L, lua_gettop(L), transport);
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
        if (!a->has_values)    /* nor by a finalizer that ran meanwhile */
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
    sl_asocket_pushvalues(L, index);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, SL_AT_OBJECT);
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
    sl_asocket_setclass(L, index, SL_CLASS_OF_ALL);
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
    sl_asocket_pushvalue(L, index, SL_AT_OBJECT);
}

void sl_asocket_keepfailure(lua_State *L, int index)
{
    sl_asocket_pushvalues(L, index);
    lua_insert(L, -2);
    lua_rawseti(L, -2, SL_AT_FAILURE);
    lua_pop(L, 1);
}

void sl_asocket_pushfailure(lua_State *L, int index)
{
    sl_asocket_pushvalue(L, index, SL_AT_FAILURE);
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
    sl_asocket_pushvalues(L, index);
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
        sl_fd_close(fd);
    }
    a->owned = 0;
}

void sl_asocket_finalize(lua_State *L, sl_asocket *a)
{
    if (a->has_file)
        sl_unix_unlink(a);
    sl_client_limit_inherit(a);
    int fd = sl_source_owned(&a->source);
    sl_source_free(&a->source);
    if (fd >= 0 && a->owned)
        sl_fd_close(fd);
    if (a->accepted >= 0 &&
        sl_process_isours(a->accepted, a->accepted_forks))
        sl_fd_close(a->accepted);
    if (a->connect != NULL)
        sl_connect_abandon(L, a);
    sl_dns_end(a);
    sl_client_limit_free(a);
    sl_buffer_free(&a->buffer, &a->source.loop->scratch);
    free(a->host);
    a->source.loop = NULL;
}
