/*
 * native.c - the driver of sockets that own their descriptor.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/native.h"

#include "os/error.h"
#include "os/fd.h"
#include "os/lookup.h"
#include "thread/arg.h"

int sl_native_take(sl_asocket *a, int fd)
{
    return sl_source_claim(&a->source, fd);
}

int sl_native_open(sl_asocket *a, int family)
{
    int fd;
    int err = sl_fd_socket(family, sl_transports[a->transport].socktype, &fd);
    if (err != 0)
        return err;
    err = sl_native_take(a, fd);
    if (err != 0)
        sl_fd_close(fd);
    return err;
}

void sl_native_drop(sl_asocket *a)
{
    if (!a->driver->owns)
        return;
    int fd = sl_source_owned(&a->source);
    sl_source_detach(&a->source, 1);
    if (fd >= 0)
        sl_fd_close(fd);
}

int sl_native_listen(sl_asocket *a, int backlog)
{
    int err = sl_fd_listen(a->source.fd, backlog);
    if (err != 0)
        return err;
    a->kind = SL_SERVER;
    a->source.readable = 1;
    return 0;
}

static int native_open(lua_State *L, sl_asocket *a, int family)
{
    (void)L;
    int err = sl_native_open(a, family);
    if (err == 0)
        sl_asocket_enter(a, SL_PHASE_OPEN);
    return err;
}

/* If bind(2) fails a descriptor that was made for it is closed, so that the
 * next address, perhaps of another family, gets a new one. */
static int native_bind(lua_State *L, sl_asocket *a, const struct addrinfo *ai,
                       int reuse)
{
    int fresh = a->source.fd < 0;
    int err = fresh ? sl_native_open(a, ai->ai_family) : 0;
    (void)L;
    if (err != 0)
        return err;
    if (reuse)
        sl_fd_reusing(a->source.fd);
    err = sl_fd_bind(a->source.fd, ai->ai_addr, ai->ai_addrlen);
    if (err != 0 && fresh)
        sl_native_drop(a);
    return err;
}

static int native_listen(lua_State *L, sl_asocket *a, int backlog)
{
    (void)L;
    return sl_native_listen(a, backlog);
}

static int native_setpeer(lua_State *L, sl_asocket *a,
                          const struct addrinfo *ai)
{
    int fresh = a->source.fd < 0;    /* then closed again on failure */
    int err = fresh ? sl_native_open(a, ai->ai_family) : 0;
    (void)L;
    if (err != 0)
        return err;
    err = sl_fd_connect(a->source.fd, ai->ai_addr, ai->ai_addrlen);
    if (err == 0) {
        a->kind = SL_CONNECTED;
        sl_asocket_enter(a, SL_PHASE_OPEN);
    } else if (fresh) {
        sl_native_drop(a);
    }
    return err;
}

static int native_connect(lua_State *L, sl_asocket *a,
                          const struct addrinfo *ai, int fresh,
                          const void *key, int *fd)
{
    (void)L;
    (void)key;
    *fd = -1;
    if (fresh)
        sl_native_drop(a);
    int err = a->source.fd < 0 ? sl_native_open(a, ai->ai_family) : 0;
    if (err != 0)
        return err;
    return sl_fd_connect(a->source.fd, ai->ai_addr, ai->ai_addrlen);
}

static void native_setfd(lua_State *L, sl_asocket *a, int fd)
{
    if (fd < 0)
        return;
    sl_arg_check(L, sl_fd_nonblock(fd) == 0, 2, "not an open descriptor");
    int err = sl_native_take(a, fd);
    if (err != 0)
        luaL_error(L, "%s", sl_error_message(err));
    sl_asocket_enter(a, SL_PHASE_OPEN);
}

static void native_close(lua_State *L, int index, int fd, int again)
{
    (void)L;
    (void)index;
    (void)again;
    if (fd >= 0)
        sl_fd_close(fd);
}

const sl_driver sl_native = {
    .name = "native", .owns = 1,
    .open = native_open,
    .bind = native_bind,
    .listen = native_listen,
    .setpeer = native_setpeer,
    .connect = native_connect,
    .setfd = native_setfd,
    .close = native_close
};
