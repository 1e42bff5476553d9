/*
 * stream.c - what the two directions of a stream share. See receive.c and
 * send.c.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/stream.h"

#include "loop/cork.h"
#include "luasocket/foreign.h"
#include "luasocket/object.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/class.h"
#include "thread/arg.h"

#include <errno.h>

int sl_stream_failure(int err)
{
    if (err == EAGAIN)
        return SL_AGAIN;
    if (err == EPIPE || err == ECONNRESET || err == EBADF)
        return SL_CLOSED;    /* EBADF: closed behind our back */
    return err;
}

int sl_stream_broke(int err)
{
    return err == ECONNRESET || err == ECONNABORTED || err == ETIMEDOUT ||
           err == EHOSTUNREACH || err == ENETUNREACH;
}

void sl_stream_lookbehind(lua_State *L, sl_asocket *a, int receiving)
{
    sl_object_lookbehind(L, a);
    if (!a->source.lent)
        sl_source_lend(&a->source);
    if (receiving && sl_buffer_count(&a->buffer) == 0 && a->source.fd >= 0)
        sl_object_drain(L, lua_gettop(L), a);
    lua_pop(L, 1);
}

/* sl_fd_shutdown(['receive' | 'send' | 'both']) -> 1 */
static int meth_shutdown(lua_State *L)
{
    static const char *const names[] = {"receive", "send", "both", NULL};
    static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_checkkind(L, a, SL_CLIENT);
    if (a->transport == SL_FOREIGN)
        return sl_foreign_method(L, a, "shutdown");
    int how = hows[sl_arg_option(L, 2, "both", names)];
    if (how == SHUT_RD || !sl_cork_end(&a->source))
        sl_fd_shutdown(a->source.fd, how);
    else if (how == SHUT_RDWR)
        sl_fd_shutdown(a->source.fd, SHUT_RD);
    lua_pushinteger(L, 1);
    return 1;
}

const luaL_Reg sl_stream_methods[] = {
    {"shutdown", meth_shutdown},
    {NULL, NULL}
};
