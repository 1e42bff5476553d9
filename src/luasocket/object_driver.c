/*
 * object_driver.c - the driver of asockets with a LuaSocket object. The program
 * may use or close the object at any time, or change its descriptor. So each
 * operation first resyncs with the object, and then does its I/O on the
 * descriptor. bind, listen and connect call the object's methods, so that the
 * object's descriptor, family and class are right.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/object_driver.h"

#include "luasocket/attach.h"
#include "luasocket/object.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "socket/receive.h"
#include "socket/send.h"

#include <errno.h>

static void object_resync(lua_State *L, sl_asocket *a)
{
    sl_attach_push(L, 1);
    int object = lua_gettop(L);
    if (sl_object_fd(L, object) != a->source.fd)
        sl_attach_sync(L, 1, object);
    else if (sl_transports[a->transport].socktype == SOCK_DGRAM)
        sl_object_class(L, object, a);    /* setpeername changes the class */
    lua_pop(L, 1);
}

/* Receives after moving the bytes in the object's own buffer, which came first,
 * to the asocket's. */
static int object_receive(lua_State *L, sl_asocket *a, const sl_receive *r)
{
    if (sl_buffer_count(&a->buffer) == 0 && a->source.fd >= 0) {
        sl_attach_push(L, 1);
        sl_object_drain(L, lua_gettop(L), a);
        lua_pop(L, 1);
    }
    return sl_receive_start(L, a, r);
}

/* --- methods of the object --------------------------------------------- */

/* [-nargs, +0, e] Calls the object's method with the nargs values on the top,
 * and resyncs. Returns 0 or a code. */
static int call_method(lua_State *L, const char *method, int nargs)
{
    int err = 0, object = lua_gettop(L) - nargs + 1;
    sl_attach_push(L, 1);
    lua_insert(L, object);
    sl_object_method(L, object, method);
    lua_insert(L, object + 1);
    lua_pushvalue(L, object);
    lua_insert(L, object + 2);
    lua_call(L, nargs + 1, 2);
    if (lua_isnil(L, -2) && lua_isstring(L, -1))
        err = sl_error_code(lua_tostring(L, -1));
    sl_attach_sync(L, 1, object);
    lua_settop(L, object - 1);
    return err;
}

/* [-0, +0, e] Calls the object's method with a numeric address and port, and
 * resyncs. Returns 0 or a code. */
static int ask_with_address(lua_State *L, const char *method,
                            const struct addrinfo *ai)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (!sl_lookup_format(ai->ai_addr, ai->ai_addrlen, host, port))
        return EAFNOSUPPORT;
    lua_pushstring(L, host);
    lua_pushstring(L, port);
    return call_method(L, method, 2);
}

static int object_open(lua_State *L, sl_asocket *a, int family)
{
    if (sl_transports[a->transport].is_local)
        return SL_CLOSED;    /* a unix object has one until it is closed */
    lua_pushstring(L, family == AF_INET6 ? "::" : "0.0.0.0");
    lua_pushliteral(L, "0");
    return call_method(L, "setsockname", 2);
}

static int object_bind(lua_State *L, sl_asocket *a, const struct addrinfo *ai,
                       int reuse)
{
    (void)a;
    (void)reuse;    /* TCP objects reuse addresses anyway */
    return ask_with_address(L, "setsockname", ai);
}

static int object_listen(lua_State *L, sl_asocket *a, int backlog)
{
    (void)a;
    lua_pushinteger(L, backlog);
    return call_method(L, "listen", 1);
}

/* Connects a temporary UDP socket to the address, which sends nothing. Returns
 * 0 or an errno. */
static int probe_peer(const struct addrinfo *ai)
{
    int fd;
    int err = sl_fd_socket(ai->ai_family, SOCK_DGRAM, &fd);
    if (err != 0)
        return err;
    err = sl_fd_connect(fd, ai->ai_addr, ai->ai_addrlen);
    sl_fd_close(fd);
    return err;
}

/* Probes the address first if the object has no family yet: an object keeps the
 * family of its first attempt, even if that fails. */
static int object_setpeer(lua_State *L, sl_asocket *a,
                          const struct addrinfo *ai)
{
    int err = a->source.fd < 0 ? probe_peer(ai) : 0;
    return err == 0 ? ask_with_address(L, "setpeername", ai) : err;
}

static int object_connect(lua_State *L, sl_asocket *a,
                          const struct addrinfo *ai, int fresh,
                          const void *key, int *fd)
{
    if (fresh)
        sl_source_detach(&a->source, 1);
    return sl_object_connect(L, a->source.loop->threads, key, ai, fresh, fd);
}

/* --- class, buffer and close ------------------------------------------- */

static void object_reclass(lua_State *L, sl_asocket *a)
{
    sl_attach_push(L, 1);
    sl_object_setclass(L, lua_gettop(L), a);
    lua_pop(L, 1);
}

static int object_dirty(lua_State *L, sl_asocket *a)
{
    (void)a;
    sl_attach_push(L, 1);
    int dirty = sl_object_isdirty(L, lua_gettop(L));
    lua_pop(L, 1);
    return dirty;
}

static void object_close(lua_State *L, int index, int fd, int again)
{
    (void)fd;       /* owned by the object, which closes it */
    (void)again;    /* the program may have given it another descriptor */
    sl_attach_close(L, index);
}

const sl_driver sl_object_driver = {
    .name = "luasocket",
    .resync = object_resync,
    .receive = object_receive,
    .open = object_open,
    .bind = object_bind,
    .listen = object_listen,
    .setpeer = object_setpeer,
    .push = sl_attach_push,
    .connect = object_connect,
    .reclass = object_reclass,
    .dirty = object_dirty,
    .setfd = sl_attach_setfd,
    .close = object_close
};

/* --- making the object ------------------------------------------------- */

/* [-0, +0, e] Makes the LuaSocket object of the asocket at index. Meanwhile
 * Lua code may run (finalizers, LuaSocket's modules) that makes one, too; so
 * the driver is looked at again after each step. */
static void attach_new_object(lua_State *L, sl_asocket *a, int index)
{
    sl_object_new(L, a);
    int object = lua_gettop(L);
    sl_asocket_pushvalues(L, index);
    if (a->driver->owns) {
        sl_attach_keep(L, index, object);
        if (a->source.fd >= 0 || a->phase != SL_PHASE_NEW)
            sl_object_setfd(L, object, a);
    }
    if (a->driver->owns) {
        /* The last step: from here on the object owns the descriptor. */
        sl_attach_setdriver(L, index, &sl_object_driver);
        if (a->source.fd < 0)
            sl_attach_sync(L, index, object);
    }
    lua_settop(L, object - 1);
}

void sl_object_driver_need(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    if (a->driver->owns)
        sl_send_drain(L, a, "getsocket");
    if (a->driver->owns)    /* while bytes drained, another thread may have run
                               this */
        attach_new_object(L, a, index);
    sl_attach_push(L, index);
    sl_asocket_assumeready(a);
}
