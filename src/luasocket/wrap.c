/*
 * wrap.c - asockets for objects and descriptors that the program has: wrap; and
 * the methods getsocket and setsocket.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "luasocket/wrap.h"

#include "loop/reclaim.h"
#include "luasocket/attach.h"
#include "luasocket/foreign.h"
#include "luasocket/object.h"
#include "luasocket/object_driver.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/client_limit.h"
#include "socket/connect.h"
#include "socket/native.h"
#include "socket/send.h"
#include "socket/unix.h"
#include "thread/arg.h"

#include <errno.h>
#include <string.h>

/* --- wrapping ---------------------------------------------------------- */

/* [-0, +1, m] Pushes the asocket that was made for the object or descriptor at
 * index before, or nil. */
static void find_wrapper(lua_State *L, int index)
{
    sl_loop_env(L, SL_ENV_WRAPPERS);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

/* Moves the count of a server's client to `a` if both have the descriptor: the
 * object that ssl.wrap has made of a client counts as that client. */
static void inherit_client_limit(sl_asocket *a, int fd)
{
    const sl_loop *loop = a->source.loop;
    sl_source *old = fd >= 0 && fd < loop->sources_size ? loop->sources[fd]
                                                        : NULL;
    if (old != NULL && old != &a->source && old->kind == SL_SOURCE_SOCKET)
        sl_client_limit_pass((sl_asocket *)old, a);
}

/* [-0, +0, e] Sets the object's timeout to 0, and the asocket's class to the
 * object's. Returns the driver for the object. */
static const sl_driver *prepare_object(lua_State *L, sl_asocket *a, int object)
{
    if (sl_object_class(L, object, a)) {
        sl_fd_nonblock(sl_object_fd(L, object));
        sl_object_nonblock(L, object);
        return &sl_object_driver;
    }
    a->transport = SL_TCP;
    a->kind = SL_CLIENT;
    sl_foreign_prepare(L, object);
    return &sl_foreign_driver;
}

/* [-0, +0, e] Attaches the object at index `object` to the asocket at index
 * `index`, which has no descriptor. */
static void take_object(lua_State *L, int index, int object)
{
    sl_asocket *a = lua_touserdata(L, index);
    const sl_driver *driver = prepare_object(L, a, object);
    int fd = sl_object_fd(L, object);
    if (driver->does_io) {
        inherit_client_limit(a, fd);
        a->is_tls = (unsigned char)sl_foreign_istls(L, object);
        a->outcome = SL_IO_GOES_ON;
    }
    sl_attach_keep(L, index, object);
    int err = fd >= 0 ? sl_attach_claim(L, a, fd) : 0;
    if (err != 0) {
        sl_attach_forget(L, a, object);
        luaL_error(L, "%s", sl_error_message(err));
    }
    sl_attach_setdriver(L, index, driver);
    if (a->kind == SL_CLIENT && !driver->does_io &&
        sl_transports[a->transport].socktype == SOCK_STREAM)
        sl_object_drain(L, object, a);
}

/* wrap for an object at index 1. */
static int wrap_object(lua_State *L)
{
    lua_settop(L, 1);
    find_wrapper(L, 1);
    if (!lua_isnil(L, -1))
        return 1;
    sl_asocket_new(L, sl_loop_check(L), SL_TCP);
    take_object(L, 3, 1);
    return 1;
}

/* Returns the kind of a descriptor of that socktype. */
static int find_kind(int fd, int socktype)
{
    if (socktype != SOCK_STREAM)
        return sl_fd_haspeer(fd) ? SL_CONNECTED : SL_UNCONNECTED;
    if (sl_fd_listens(fd))
        return SL_SERVER;
    return sl_fd_connected(fd) == EINPROGRESS ? SL_MASTER : SL_CLIENT;
}

/* [-0, +0, v] Returns the transport of the descriptor. Raises if the type at
 * index 2 is another one. */
static int check_type(lua_State *L, int fd)
{
    static const char *const names[] = {
        "tcp", "tcp6", "udp", "udp6", "unix", NULL
    };
    static const int types[] = {
        SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_DGRAM, 0
    };
    int family = sl_fd_family(fd), type = sl_fd_type(fd);
    int transport = sl_transport_find(family, type);
    sl_arg_check(L, type >= 0, 1, "not a socket");
    sl_arg_check(L, transport >= 0, 1, "not a TCP, UDP or unix socket");
    if (lua_isnoneornil(L, 2))
        return transport;
    int i = sl_arg_option(L, 2, NULL, names);
    int fits = types[i] == 0 ? family == AF_UNIX
                             : family != AF_UNIX && type == types[i];
    if (strchr(names[i], '6') != NULL && family != AF_INET6)
        fits = 0;
    sl_arg_check(L, fits, 2, "the descriptor is of another type");
    return transport;
}

/* wrap for a descriptor at index 1. */
static int wrap_descriptor(lua_State *L)
{
    int fd;
    uint32_t inode;
    sl_arg_check(L, sl_arg_toint((double)sl_arg_integer(L, 1), &fd), 1,
                 "number out of range");
    sl_arg_check(L, fd >= 0 && sl_fd_inode(fd, &inode) == 0, 1,
                 "not an open descriptor");
    int transport = check_type(L, fd);
    lua_settop(L, 1);
    find_wrapper(L, 1);
    sl_asocket *a = lua_touserdata(L, -1);
    if (a != NULL && a->source.fd == fd && a->source.inode == inode)
        return 1;
    a = sl_asocket_new(L, sl_loop_check(L), transport);
    sl_loop_env(L, SL_ENV_WRAPPERS);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    int kind = find_kind(fd, sl_transports[transport].socktype);
    int err;
    do
        err = sl_native_take(a, fd);
    while (err == ENOMEM && sl_reclaim_retry(L, &a->source.loop->reclaim, err));
    if (err != 0)
        return luaL_error(L, "%s", sl_error_message(err));
    a->source.inode = inode;
    a->kind = (unsigned char)kind;
    sl_asocket_enter(a, SL_PHASE_OPEN);
    sl_fd_nonblock(fd);
    return 1;
}

/* [-0, +0, e] True if the value at index is LuaSocket's or a foreign object. */
static int is_object(lua_State *L, int index)
{
    return sl_object_class(L, index, NULL) ||
           (sl_asocket_test(L, index) == NULL && sl_foreign_is(L, index));
}

int sl_wrap_value(lua_State *L)
{
    sl_arg_any(L, 1);
    if (sl_asocket_test(L, 1) != NULL) {
        lua_settop(L, 1);
        return 1;
    }
    if (lua_type(L, 1) == LUA_TNUMBER)
        return wrap_descriptor(L);
    if (is_object(L, 1))
        return wrap_object(L);
    return sl_arg_error(L, 1, "socket object, asocket or descriptor "
                              "expected");
}

/* --- getsocket and setsocket ------------------------------------------- */

/* getsocket() -> the asocket's object */
static int meth_getsocket(lua_State *L)
{
    sl_asocket_check(L);
    sl_object_driver_need(L, 1);
    return 1;
}

/* setsocket(object): replaces the asocket's object and descriptor. Closes the
 * former descriptor if the asocket owns it. */
static int meth_setsocket(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_arg_check(L, is_object(L, 2), 2, "socket object expected");
    lua_settop(L, 2);
    sl_send_drain(L, a, "setsocket");
    if (sl_buffer_count(&a->buffer) > 0)
        return luaL_error(L, "setsocket: received bytes are still buffered; "
                             "receive them before");
    if (a->source.reader.thread != NULL || a->source.writer.thread != NULL)
        return luaL_error(L, "setsocket: a thread waits on the socket");
    if (!a->driver->owns) {    /* the former object */
        sl_attach_push(L, 1);
        sl_attach_forget(L, a, 3);
        lua_pop(L, 1);
    }
    if (a->connect != NULL)
        sl_connect_abandon(L, a);
    a->overlong = a->overfull = 0;
    int old = a->driver->owns ? sl_source_owned(&a->source) : -1;
    if (a->pending_kind == SL_PENDING_FILE)
        sl_unix_unlink(a);
    sl_source_release(&a->source, old >= 0);
    if (old >= 0)
        sl_fd_close(old);
    take_object(L, 1, 2);
    return 0;
}

const luaL_Reg sl_wrap_methods[] = {
    {"getsocket", meth_getsocket},
    {"setsocket", meth_setsocket},
    {NULL, NULL}
};
