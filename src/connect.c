/*
 * connect.c - connecting a socket.
 *
 * A connect tries all addresses of the name, one after another, on a new
 * descriptor each time, unless the socket had one before (it was bound, say).
 * Where there is a LuaSocket object, the attempts are made through it, so
 * that it learns its descriptor, family and class.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "connect.h"

#include "address.h"
#include "bind.h"
#include "descriptor.h"
#include "luasocket.h"
#include "result.h"

#include <errno.h>
#include <sys/socket.h>

static int attempt_natively(sl_asocket *a, const struct addrinfo *ai)
{
    sl_connect *c = &a->writer.connect;
    if (c->fresh)
        sl_bind_drop(a);
    int err = a->source.fd < 0 ? sl_bind_open(a, ai->ai_family) : 0;
    if (err != 0)
        return err;
    if (connect(a->source.fd, ai->ai_addr, ai->ai_addrlen) == 0)
        return 0;
    return errno == EINTR ? EINPROGRESS : errno;
}

static int attempt_through_object(lua_State *L, sl_asocket *a,
                                  const struct addrinfo *ai)
{
    sl_connect *c = &a->writer.connect;
    int fd;
    if (c->fresh)
        sl_source_detach(&a->source, 1);
    int err = sl_luasocket_connect(L, c->object, ai, c->fresh, &fd);
    if (fd >= 0) {
        int claimed = sl_source_claim(&a->source, fd);
        if (claimed != 0)
            return claimed;
    }
    return err;
}

/* Begins to connect to the next address. 0, SL_AGAIN or how it failed. */
static int attempt(lua_State *L, sl_asocket *a)
{
    sl_connect *c = &a->writer.connect;
    const struct addrinfo *ai = c->next;
    if (a->has_object && c->object == LUA_NOREF) {
        c->next = NULL;    /* somebody asked for the object: it owns the */
        return ECONNABORTED;    /* descriptor now, which stays as it is */
    }
    c->next = c->next->ai_next;
    int err = c->object != LUA_NOREF ? attempt_through_object(L, a, ai)
                                     : attempt_natively(a, ai);
    if (err != EINPROGRESS)
        return err;
    c->pending = 1;
    a->source.writable = a->source.hangup = 0;
    return SL_AGAIN;
}

/* How the attempt in progress ended, or SL_AGAIN. */
static int attempt_result(sl_asocket *a)
{
    if (!a->source.writable)
        return SL_AGAIN;
    int err = sl_fd_connected(a->source.fd);
    if (err == EINPROGRESS) {
        a->source.writable = 0;
        return SL_AGAIN;
    }
    a->writer.connect.pending = 0;
    return err;
}

static int connect_operation(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    sl_connect *c = &a->writer.connect;
    for (;;) {
        int err;
        if (c->pending) {
            if (source->fd < 0)
                return SL_CLOSED;
            err = attempt_result(a);
        } else if (c->next != NULL) {
            err = attempt(L, a);
        } else {
            return c->failed;
        }
        if (err == 0 || err == SL_AGAIN)
            return err;
        c->failed = err;
    }
}

void sl_connect_abandon(lua_State *L, sl_asocket *a)
{
    sl_connect *c = &a->writer.connect;
    luaL_unref(L, LUA_REGISTRYINDEX, c->object);
    luaL_unref(L, LUA_REGISTRYINDEX, c->result);
    if (c->list != NULL)
        freeaddrinfo(c->list);
    a->connecting = 0;
}

/* true (or what loop.connect promised), or nil, error */
static int connect_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)wait->source;
    sl_connect *c = &a->writer.connect;
    int err = wait->status;
    if (err != 0)
        sl_result_fail(L, err);
    else if (c->result != LUA_NOREF)
        lua_rawgeti(L, LUA_REGISTRYINDEX, c->result);
    else
        lua_pushboolean(L, 1);
    a->attempted = err == SL_TIMEOUT && c->result == LUA_NOREF;
    if (err == 0)
        a->source.readable = a->source.writable = 1;
    else if (c->fresh && a->owned && !a->attempted)
        sl_bind_drop(a);
    sl_connect_abandon(L, a);
    return err == 0 ? 1 : 2;
}

static int reference(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

int sl_connect_start(lua_State *L, const char *host, const char *port,
                     int result)
{
    int self = lua_gettop(L);
    sl_asocket *a = lua_touserdata(L, self);
    sl_connect c = {NULL, NULL, LUA_NOREF, LUA_NOREF, 0, 0, 0};
    if (a->connecting)
        sl_connect_abandon(L, a);
    int goes_on = a->attempted && a->source.fd >= 0;
    c.fresh = a->source.fd < 0;
    if (!c.fresh && !goes_on && sl_fd_connected(a->source.fd) == 0)
        return sl_result_fail(L, EISCONN);
    c.failed = EINVAL;
    if (!goes_on) {
        int family = c.fresh ? AF_UNSPEC : sl_fd_family(a->source.fd);
        int err = sl_address_resolve(host, port, family, 0, &c.list);
        if (err != 0)
            return sl_result_fail(L, err);
    }
    c.next = c.list;
    c.pending = goes_on;
    a->writer.connect = c;
    a->connecting = 1;
    a->kind = SL_CLIENT;
    a->source.writable = 1;
    if (a->has_object) {
        sl_asocket_pushobject(L, self);
        a->writer.connect.object = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    if (result != 0)
        a->writer.connect.result = reference(L, result);
    return sl_wait_operate(L, &a->source.writer, connect_operation, a->block,
                           a->total, connect_results);
}

/* connect(host, port) -> true or nil, error */
static int meth_connect(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    const char *host = luaL_checkstring(L, 2);
    const char *port = sl_address_checkport(L, 3);
    luaL_argcheck(L, a->kind != SL_SERVER, 1, "tcp{master} expected");
    sl_wait_check(L, &a->source.writer, "connect");
    lua_pushvalue(L, 1);
    return sl_connect_start(L, host, port, 0);
}

const luaL_Reg sl_connect_methods[] = {
    {"connect", meth_connect},
    {"setpeername", meth_connect},
    {NULL, NULL}
};
