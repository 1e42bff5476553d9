/*
 * unix.c - methods of unix sockets, and listening on a path for newserver. The
 * methods are those of LuaSocket's unixstream.c and unixdgram.c, except that a
 * socket stays usable after a bind or connect that failed.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/unix.h"

#include "loop/reclaim.h"
#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/path.h"
#include "os/sockaddr.h"
#include "socket/datagram.h"
#include "socket/methods.h"
#include "socket/native.h"
#include "thread/arg.h"

#include <errno.h>
#include <string.h>

/* [-0, +0, e] Makes a descriptor if the asocket is new. Returns 0 or a
 * code. */
static int need_unix_descriptor(lua_State *L, sl_asocket *a)
{
    int err;
    do {
        if (a->source.fd >= 0)
            return 0;
        err = a->phase == SL_PHASE_NEW ? sl_asocket_open(L, a, AF_UNIX)
                                       : SL_CLOSED;
    } while (sl_reclaim_retry(L, &a->source.loop->reclaim, err));
    return err;
}

/* Binds the asocket's descriptor. Returns 0 or an errno. */
static int bind_natively(sl_asocket *a, const sl_sockaddr *name)
{
    int err = sl_fd_bind(a->source.fd, &name->address.any, name->size);
    if (err == 0)
        sl_asocket_enter(a, SL_PHASE_OPEN);
    return err;
}

/* [-0, +0, v] Returns the path at index, a method's argument. */
static const char *check_path(lua_State *L, int index, size_t *size)
{
    const char *path = sl_arg_lstring(L, index, size);
    sl_arg_check(L, path[0] == '\0' || strlen(path) == *size, index,
                 "there is a zero byte in the path");
    return path;
}

/* [-0, +0, v] Sets *name to the path at index. Returns 0 or an errno. */
static int check_name(lua_State *L, int index, sl_sockaddr *name)
{
    size_t size;
    const char *path = check_path(L, index, &size);
    return sl_sockaddr_setpath(path, size, name);
}

/* bind(path) -> 1 or nil, error */
static int meth_bind(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_sockaddr name;
    sl_asocket_checkkind(L, a, SL_MASTER);
    int err = check_name(L, 2, &name);
    if (err == 0)
        err = need_unix_descriptor(L, a);
    if (err == 0)
        err = bind_natively(a, &name);
    if (err != 0)
        return sl_result_fail(L, err);
    lua_pushinteger(L, 1);
    return 1;
}

/* --- connect ----------------------------------------------------------- */

static int try_connect_path(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    const sl_datagram *d = &a->pending.datagram;
    sl_sockaddr name;
    (void)L;
    if (source->fd < 0)
        return SL_CLOSED;
    int err = sl_sockaddr_setpath(d->host, d->to.path_size, &name);
    if (err == 0)
        err = sl_fd_connect(source->fd, &name.address.any, name.size);
    if (err == EAGAIN || err == EINPROGRESS)    /* the server's queue is full */
        return SL_AGAIN;
    return err == EBADF ? SL_CLOSED : err;
}

/* [-0, +0, m] Makes the asocket a connected one. */
static void become_client(lua_State *L, sl_asocket *a)
{
    a->kind = SL_CLIENT;
    sl_asocket_enter(a, SL_PHASE_OPEN);
    sl_asocket_assumeready(a);
    if (a->driver->reclass != NULL)
        a->driver->reclass(L, a);
}

/* connect(path) -> true or nil, error. A datagram socket may be connected
 * again. */
static int meth_connect(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_wait *wait = &a->source.writer;
    sl_datagram d = {NULL, 0, NULL, {NULL}};
    if (sl_transports[a->transport].socktype == SOCK_STREAM)
        sl_asocket_checkkind(L, a, SL_MASTER);
    d.host = check_path(L, 2, &d.to.path_size);
    sl_operation_check(L, wait, "connect");
    int err = need_unix_descriptor(L, a);
    a->pending_kind = SL_PENDING_DATAGRAM;
    a->pending.datagram = d;
    if (err == 0)
        err = sl_operation_poll(L, wait, try_connect_path, a->block, a->total);
    if (err != 0)
        return sl_result_fail(L, err);
    become_client(L, a);
    lua_pushboolean(L, 1);
    return 1;
}

/* sendto(datagram, path) -> size or nil, error */
static int meth_sendto(lua_State *L)
{
    sl_asocket *a = sl_datagram_check(L, SL_UNCONNECTED);
    sl_datagram d = {NULL, 0, NULL, {NULL}};
    d.data = sl_arg_lstring(L, 2, &d.size);
    d.host = check_path(L, 3, &d.to.path_size);
    return sl_datagram_send(L, a, "sendto", &d);
}

/* --- servers ----------------------------------------------------------- */

int sl_unix_ispath(lua_State *L, int index)
{
    size_t size;
    if (lua_type(L, index) != LUA_TSTRING)
        return 0;
    const char *path = lua_tolstring(L, index, &size);
    return size > 0 && (path[0] == '\0' || memchr(path, '/', size) != NULL);
}

/* Binds and listens. `folder` is the locked folder, or -1. Without the lock no
 * stale path is removed, and the last check is needed: another server may have
 * taken our path for a stale one and removed it before we listened. Returns 0
 * or an errno. */
static int listen_at(sl_asocket *a, const sl_sockaddr *name, int folder,
                     int backlog)
{
    const char *path = name->address.un.sun_path;
    int err = bind_natively(a, name);
    if (err == EADDRINUSE && folder >= 0) {
        err = sl_path_removestale(folder, name);
        if (err == 0)
            err = bind_natively(a, name);
    }
    if (err == 0 && path[0] != '\0' && sl_path_note(path, &a->pending.file))
        a->pending_kind = SL_PENDING_FILE;
    if (err == 0)
        err = sl_native_listen(a, backlog);
    if (err == 0 && a->pending_kind == SL_PENDING_FILE && folder < 0 &&
        !sl_path_isthere(path, &a->pending.file))
        err = EADDRINUSE;
    return err;
}

/* Locks the folder of the path, binds and listens. Nothing here may raise, as
 * the lock has to be released. Returns 0 or a code. */
static int lock_and_listen(sl_asocket *a, const sl_sockaddr *name, int backlog)
{
    const char *path = name->address.un.sun_path;
    int folder = -1;
    int err = a->source.fd < 0 ? sl_native_open(a, AF_UNIX) : 0;
    if (err == 0 && path[0] != '\0')
        err = sl_path_lock(path, &folder);
    if (err == 0)
        err = listen_at(a, name, folder, backlog);
    sl_path_unlock(folder);
    return err;
}

int sl_unix_serve(lua_State *L, sl_asocket *a, int index, int backlog)
{
    sl_sockaddr name;
    int err = check_name(L, index, &name);
    if (err != 0)
        return err;
    do
        err = lock_and_listen(a, &name, backlog);
    while (sl_reclaim_retry(L, &a->source.loop->reclaim, err));
    return err;
}

void sl_unix_unlink(sl_asocket *a)
{
    a->pending_kind = SL_PENDING_NONE;
    sl_path_unlink(a->source.fd, &a->pending.file);
}

/* setpeername is connect under another name. A function of its own, since error
 * messages find the name by the function (arg.h). */
static int meth_setpeername(lua_State *L)
{
    return meth_connect(L);
}

/* setsockname is bind under another name, as a function of its own. */
static int meth_setsockname(lua_State *L)
{
    return meth_bind(L);
}

const luaL_Reg sl_unix_methods[] = {
    {"bind", meth_bind},
    {"connect", meth_connect},
    {"setpeername", meth_setpeername},
    {"setsockname", meth_setsockname},
    {NULL, NULL}
};

const luaL_Reg sl_unix_dgrammethods[] = {
    {"sendto", meth_sendto},
    {NULL, NULL}
};
