/*
 * object.c - calls of LuaSocket's objects. Assumptions about LuaSocket are in
 * this file only.
 *
 * Observed with LuaSocket 3.0 and 3.1: An object of socket.tcp() or
 * socket.udp() has no descriptor (-1) until it is bound or connected. getfd
 * returns a float on Lua 5.3. The class of an object is its metatable, which
 * lies in the registry. All classes of a transport have one struct in common,
 * so an object for a connected descriptor can be made by setfd and by setting
 * the metatable.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/object.h"

#include "loop/reclaim.h"
#include "luasocket/require.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "thread/arg.h"
#include "thread/pcall.h"

#include <errno.h>

static const char originals_key = 0;    /* its address is a registry key */

int sl_object_class(lua_State *L, int index, sl_asocket *a)
{
    for (int row = 0; row < SL_TRANSPORTS; row++) {
        for (int kind = 0; kind < SL_KINDS; kind++) {
            const char *name = sl_transports[row].classes[kind];
            if (name == NULL || sl_testudata(L, index, name) == NULL)
                continue;
            if (a != NULL) {
                a->transport = (unsigned char)row;
                a->kind = (unsigned char)kind;
            }
            return 1;
        }
    }
    return 0;
}

void sl_object_setoriginals(lua_State *L)
{
    sl_rawsetp(L, LUA_REGISTRYINDEX, &originals_key);
}

void sl_object_original(lua_State *L)
{
    sl_rawgetp(L, LUA_REGISTRYINDEX, &originals_key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    lua_replace(L, -2);
    if (lua_isnil(L, -1))
        lua_pop(L, 1);
    else
        lua_replace(L, -2);
}

void sl_object_method(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    sl_object_original(L);
}

/* [-nargs, +nresults, e] Calls a method of the object at index (not relative
 * to the top) with the nargs values on the top. */
static void call_object(lua_State *L, int index, const char *name, int nargs,
                        int nresults)
{
    sl_object_method(L, index, name);
    lua_insert(L, -(nargs + 1));
    lua_pushvalue(L, index);
    lua_insert(L, -(nargs + 1));
    lua_call(L, nargs + 1, nresults);
}

int sl_object_fd(lua_State *L, int index)
{
    call_object(L, index, "getfd", 0, 1);
    int fd;
    if (!lua_isnumber(L, -1) || !sl_arg_toint(lua_tonumber(L, -1), &fd))
        fd = -1;
    lua_pop(L, 1);
    return fd;
}

void sl_object_nonblock(lua_State *L, int index)
{
    /* Perhaps install's method, which has to know the timeout. */
    lua_getfield(L, index, "settimeout");
    lua_pushvalue(L, index);
    lua_pushinteger(L, 0);
    lua_call(L, 2, 0);
}

int sl_object_isdirty(lua_State *L, int index)
{
    sl_object_method(L, index, "dirty");
    if (!lua_isfunction(L, -1)) {
        lua_pop(L, 1);
        return 0;
    }
    lua_pushvalue(L, index);
    lua_call(L, 1, 1);
    int dirty = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return dirty;
}

/* Receives single bytes, since a receive of more bytes than are buffered would
 * read from the descriptor. The buffer has 8 KiB, and is rarely in use. */
void sl_object_drain(lua_State *L, int index, sl_asocket *a)
{
    sl_scratch *scratch = &a->source.loop->scratch;
    while (sl_object_isdirty(L, index)) {
        lua_pushinteger(L, 1);
        call_object(L, index, "receive", 1, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "LuaSocket's buffer cannot be read");
        if (sl_buffer_append(&a->buffer, scratch, lua_tostring(L, -1), 1) != 0)
            luaL_error(L, "not enough memory");
        lua_pop(L, 1);
    }
}

/* [-1, +0, e] Pops the error with which no object was made. Collects garbage if
 * that may help, else raises the error. */
static void retry_object(lua_State *L, sl_loop *loop)
{
    const char *reason = lua_tostring(L, -1);
    if (reason == NULL ||
        !sl_reclaim_retry(L, &loop->reclaim, sl_error_code(reason)))
        luaL_error(L, "cannot make a LuaSocket object: %s", reason);
    lua_pop(L, 1);
}

/* [-0, +1, e] Pushes a new object of that transport for sockets of the
 * family. */
static void construct_object(lua_State *L, sl_loop *loop, const sl_transport *t,
                             int family)
{
    const char *name = family == AF_INET ? t->make4
                     : family == AF_INET6 ? t->make6 : NULL;
    sl_require_module(L, t->module);
    lua_getfield(L, -1, name != NULL ? name : t->make);
    lua_replace(L, -2);
    for (;;) {
        lua_pushvalue(L, -1);
        lua_call(L, 0, 2);
        if (!lua_isnil(L, -2))
            break;
        retry_object(L, loop);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_replace(L, -2);
}

void sl_object_setclass(lua_State *L, int index, const sl_asocket *a)
{
    lua_getfield(L, LUA_REGISTRYINDEX, sl_asocket_class(a));
    lua_setmetatable(L, index);
}

void sl_object_new(lua_State *L, const sl_asocket *a)
{
    int fd = a->source.fd;
    construct_object(L, a->source.loop, &sl_transports[a->transport],
                     fd >= 0 ? sl_fd_family(fd) : AF_UNSPEC);
    int object = lua_gettop(L);
    sl_object_nonblock(L, object);
}

/* Returns the descriptor that the asocket owns, or -1. */
static int owned_fd(const sl_asocket *a)
{
    return a->driver->owns ? a->source.fd : -1;
}

void sl_object_setfd(lua_State *L, int index, const sl_asocket *a)
{
    sl_object_setclass(L, index, a);
    /* A new unix object has a descriptor already. */
    call_object(L, index, "close", 0, 0);
    int fd;
    do {
        fd = owned_fd(a);
        lua_pushinteger(L, fd);
        call_object(L, index, "setfd", 1, 0);
    } while (fd != owned_fd(a));
}

/* Arguments and results of connect_body: those of sl_object_connect. */
typedef struct attempt {
    const void *key;
    const struct addrinfo *address;
    int fresh;
    int *fd;
    int err;
} attempt;

/* [-0, +n, e] Gives the object a new descriptor of the address's family and
 * begins to connect it. Needed because an object keeps the family of its first
 * attempt and refuses addresses of the other one. Returns a code. */
static int connect_anyway(lua_State *L, int object, attempt *a)
{
    const struct addrinfo *ai = a->address;
    lua_getfield(L, LUA_REGISTRYINDEX, "tcp{client}");
    sl_object_method(L, object, "setfd");
    lua_pushvalue(L, object);
    int err = sl_fd_socket(ai->ai_family, ai->ai_socktype, a->fd);
    if (err != 0)
        return err;
    lua_pushinteger(L, *a->fd);
    lua_call(L, 2, 0);    /* from here on the object owns the descriptor */
    lua_setmetatable(L, object);
    return sl_fd_connect(*a->fd, ai->ai_addr, ai->ai_addrlen);
}

/* sl_object_connect, in a protected call. */
static int connect_body(lua_State *L, void *arg)
{
    attempt *a = arg;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    sl_rawgetp(L, LUA_REGISTRYINDEX, a->key);
    int object = lua_gettop(L);
    if (!sl_lookup_format(a->address->ai_addr, a->address->ai_addrlen, host,
                          port)) {
        a->err = EAFNOSUPPORT;
        return 0;
    }
    if (a->fresh)
        call_object(L, object, "close", 0, 0);
    lua_pushstring(L, host);
    lua_pushstring(L, port);
    call_object(L, object, "connect", 2, 2);
    if (lua_isnil(L, -2) && lua_isstring(L, -1))
        a->err = sl_error_code(lua_tostring(L, -1));
    if (a->err == SL_TIMEOUT)
        a->err = EINPROGRESS;
    *a->fd = sl_object_fd(L, object);
    if (a->fresh && *a->fd < 0 && a->err != EINPROGRESS)
        a->err = connect_anyway(L, object, a);
    return 0;
}

int sl_object_connect(lua_State *L, sl_threads *all, const void *key,
                      const struct addrinfo *address, int fresh, int *fd)
{
    attempt a = {key, address, fresh, fd, 0};
    *fd = -1;
    if (sl_pcall_body(L, all, connect_body, &a, 0) != LUA_OK) {
        lua_pop(L, 1);
        return ENOMEM;
    }
    return a.err;
}

void sl_object_index(lua_State *L, const sl_asocket *a, int index)
{
    lua_getfield(L, LUA_REGISTRYINDEX, sl_asocket_class(a));
    if (!lua_istable(L, -1))
        return;
    lua_getfield(L, -1, "__index");
    lua_remove(L, -2);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}
