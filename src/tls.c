/*
 * tls.c - what starttls needs to know about the socket. The rest of it is in
 * socketloop/tls.lua; TLS itself is an object of LuaSec's (foreign.h).
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "tls.h"

#include "address.h"
#include "arg.h"
#include "asocket.h"
#include "luasocket.h"
#include "require.h"
#include "result.h"

#include <sys/socket.h>

/* [-0, +1, e] Pushes a function of socketloop/tls.lua. */
static void push_function(lua_State *L, const char *name)
{
    sl_require_module(L, "socketloop.tls");
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

/* [-0, +1, e] Pushes the host that the asocket is connected to: the name it
 * was connected by, or the peer's address. */
static void push_host(lua_State *L, const sl_asocket *a)
{
    if (a->host != NULL) {
        lua_pushstring(L, a->host);
        return;
    }
    int n = sl_address_push(L, a->source.fd, getpeername);
    lua_pop(L, n - 1);
}

/* [-0, +0, e] Closed behind our back, and its number is another's now? */
static void look_behind(lua_State *L, sl_asocket *a)
{
    if (!a->has_object || a->transport == SL_FOREIGN)
        return;
    sl_luasocket_lookbehind(L, a);
    lua_pop(L, 1);
}

static void check_socket(lua_State *L, sl_asocket *a)
{
    look_behind(L, a);
    sl_asocket_checkkind(L, a, SL_CLIENT);
    sl_arg_check(L, a->transport != SL_FOREIGN || a->source.fd < 0, 1,
                 "socket without TLS expected");
    sl_wait_check(L, &a->source.reader, "starttls");
    sl_wait_check(L, &a->source.writer, "starttls");
    if (a->source.loop->threads->running == NULL)
        luaL_error(L, "starttls must be called from a loop thread (see "
                      "newthread)");
}

/* starttls([params or context [, host]]) -> true; or nil, error, and then the
 * socket is closed */
static int meth_starttls(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_arg_optstring(L, 3, NULL);
    check_socket(L, a);
    if (a->source.fd < 0)
        return sl_result_fail(L, SL_CLOSED);
    lua_settop(L, 3);
    if (lua_isnil(L, 3)) {
        push_host(L, a);
        lua_replace(L, 3);
    }
    push_function(L, "starttls");
    for (int i = 1; i <= 3; i++)
        lua_pushvalue(L, i);
    lua_pushstring(L, a->passive ? "server" : "client");
    a->handshaking = 1;
    int failed = lua_pcall(L, 4, LUA_MULTRET, 0) != LUA_OK;
    a->handshaking = 0;
    if (failed)
        return lua_error(L);
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
