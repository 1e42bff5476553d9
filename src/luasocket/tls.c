/*
 * tls.c - the method starttls: checks the socket, and closes it if the
 * handshake fails. The handshake is in socketloop/tls.lua. TLS itself is an
 * object of LuaSec's (foreign.h).
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/tls.h"

#include "loop/result.h"
#include "luasocket/require.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "socket/close.h"
#include "socket/push.h"
#include "socket/send.h"
#include "thread/arg.h"

/* [-0, +1, e] Pushes a function of socketloop/tls.lua. */
static void push_function(lua_State *L, const char *name)
{
    sl_require_module(L, "socketloop.tls");
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

/* [-0, +1, e] Pushes the host that connect was called with; else the peer's
 * address, or nil. */
static void push_host(lua_State *L, const sl_asocket *a)
{
    if (a->host != NULL) {
        lua_pushstring(L, a->host);
        return;
    }
    int n = sl_push_peername(L, a->source.fd);
    lua_pop(L, n - 1);
}

/* [-0, +0, v] Returns the asocket at index 1. Raises if it has TLS or is in a
 * handshake, or is no client. In these cases the socket is not closed: it sends
 * nothing in the clear that should have been encrypted. */
static sl_asocket *check_socket(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_begin(L, a, SL_CLIENT);
    int is_secure = a->source.fd >= 0 && a->driver->does_io &&
                    a->is_tls;
    sl_arg_check(L, !is_secure && !a->handshaking, 1,
                 "socket without TLS expected");
    return a;
}

/* [-0, +0, v] Raises if the asocket at index 1 cannot start TLS now. */
static int check_fitness(lua_State *L)
{
    sl_asocket *a = lua_touserdata(L, 1);
    if (a->driver->does_io && a->source.fd >= 0)
        luaL_error(L, "starttls: TLS on an object of a foreign class");
    sl_operation_check(L, &a->source.reader, "starttls");
    sl_operation_check(L, &a->source.writer, "starttls");
    if (a->source.loop->threads->running == NULL)
        luaL_error(L, "starttls must be called from a loop thread (see "
                      "newthread)");
    return 0;
}

/* Closes the asocket at index 1 and raises the error on the top. */
static int fail_starttls(lua_State *L)
{
    sl_asocket *a = lua_touserdata(L, 1);
    sl_close_asocket(L, 1);
    a->handshaking = 0;
    return lua_error(L);
}

/* [-0, +0, e] Calls check_fitness. Closes the asocket before it raises the
 * error again. */
static void need_fitness(lua_State *L)
{
    lua_pushcfunction(L, check_fitness);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK)
        return;
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    fail_starttls(L);
}

/* (asocket, params, host) -> the results of starttls in tls.lua, or nil, error.
 * Waits for unsent bytes first; supplies the host if it is nil. */
static int call_starttls(lua_State *L)
{
    sl_asocket *a = lua_touserdata(L, 1);
    int err = sl_send_await(L, a, "starttls");
    if (err != 0)
        return sl_result_fail(L, err);
    if (lua_isnil(L, 3)) {
        push_host(L, a);
        lua_replace(L, 3);
    }
    if (lua_isnil(L, 3))    /* the connection is gone */
        return sl_result_fail(L, SL_CLOSED);
    push_function(L, "starttls");
    lua_insert(L, 1);
    lua_pushstring(L, a->was_accepted ? "server" : "client");
    lua_call(L, 4, 2);
    return 2;
}

/* starttls([params or context [, host]]) -> true or nil, error. The socket is
 * closed if this fails or raises (except in check_socket), so that nothing is
 * sent in the clear afterwards. */
static int meth_starttls(lua_State *L)
{
    sl_asocket *a = check_socket(L);
    lua_settop(L, 3);
    need_fitness(L);
    if (a->source.fd < 0)
        return sl_result_fail(L, SL_CLOSED);
    a->handshaking = 1;
    lua_pushcfunction(L, call_starttls);
    for (int i = 1; i <= 3; i++)
        lua_pushvalue(L, i);
    if (lua_pcall(L, 3, 2, 0) != LUA_OK)
        return fail_starttls(L);
    if (lua_toboolean(L, 4))
        lua_settop(L, 4);
    else
        sl_close_asocket(L, 1);
    a->handshaking = 0;
    return lua_gettop(L) - 3;
}

void sl_tls_wraphandler(lua_State *L, int index)
{
    push_function(L, "handler");
    lua_pushvalue(L, index);
    lua_pushvalue(L, index + 1);
    lua_call(L, 2, 1);
    lua_replace(L, index);
}

const luaL_Reg sl_tls_methods[] = {
    {"starttls", meth_starttls},
    {NULL, NULL}
};
