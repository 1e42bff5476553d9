/*
 * accept.c - accepting connections of a listening socket.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/accept.h"

#include "loop/reclaim.h"
#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "socket/client_limit.h"
#include "socket/methods.h"
#include "socket/native.h"

#include <errno.h>

enum { ROUNDS_MAX = 16 };    /* failed tries until other threads run */

/* True for errors of one connection, which accept(2) reports: the next
 * connection may be fine. A descriptor that does not listen (setfd takes any)
 * gives EOPNOTSUPP each time, so it is asked. */
static int is_transient(int listener, int err)
{
    switch (err) {
    case ECONNABORTED: case EPROTO: case ENETDOWN: case ENETUNREACH:
    case EHOSTUNREACH: case ENOPROTOOPT: case EOPNOTSUPP: case ETIMEDOUT:
        return sl_fd_listens(listener);
    }
    return 0;
}

/* Accepts a connection into pending_fd. Returns 0 or an errno. */
static int accept_one(sl_asocket *a)
{
    int err = sl_fd_accept(a->source.fd, &a->pending_fd);
    if (err == 0) {
        sl_process_share(a->pending_fd);
        a->pending_forks = (unsigned short)sl_process_forks;
    }
    return err;
}

static int try_accept(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    (void)L;
    for (int round = 0; a->pending_fd < 0; round++) {
        if (source->fd < 0)
            return SL_CLOSED;
        int err = sl_client_limit_admit(a);
        if (err != 0)
            return err;
        if (!source->readable)
            return SL_AGAIN;
        if (round == ROUNDS_MAX)
            return SL_BUSY;
        err = accept_one(a);
        if (err == EAGAIN)
            source->readable = 0;
        else if (err != 0 && !is_transient(source->fd, err))
            return sl_reclaim_later(&source->loop->reclaim, &a->tried_again,
                                    sl_error_ofstream(err));
    }
    a->tried_again = 0;
    return 0;
}

/* [-0, +(0|1), m] Pushes an asocket for pending_fd and returns 0, or returns a
 * code and pushes nothing. */
static int push_accepted(lua_State *L, sl_asocket *listener)
{
    sl_asocket *a = sl_asocket_new(L, listener->source.loop,
                                   listener->transport);
    int fd = listener->pending_fd;
    if (fd < 0)    /* a finalizer has called accept and got it */
        sl_operation_refuse(L, "accept");
    listener->pending_fd = -1;
    a->was_accepted = 1;
    int err = ECONNABORTED;
    if (sl_process_isours(fd, listener->pending_forks)) {
        err = sl_native_take(a, fd);
        if (err != 0)
            sl_fd_close(fd);
    }
    if (err != 0) {
        lua_pop(L, 1);
        return err;
    }
    a->kind = SL_CLIENT;
    sl_asocket_enter(a, SL_PHASE_OPEN);
    a->max_line = listener->max_line;
    a->max_read = listener->max_read;
    a->linger = listener->linger;
    a->linger_in_all = listener->linger_in_all;
    sl_client_limit_join(listener, a);
    return 0;
}

/* asocket or nil, error */
static int accept_results(lua_State *L, sl_wait *wait)
{
    int err = wait->status;
    if (err == 0)
        err = push_accepted(L, (sl_asocket *)sl_source_of(wait));
    return err == 0 ? 1 : sl_result_fail(L, err);
}

static const sl_operation accepting = {try_accept, accept_results};

/* accept() -> asocket or nil, error */
static int meth_accept(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_checkkind(L, a, SL_SERVER);
    sl_operation_check(L, &a->source.reader, "accept");
    return sl_operation_run(L, &a->source.reader, &accepting, a->block,
                            a->total);
}

int sl_accept_next(lua_State *L, sl_asocket *listener)
{
    int err = sl_operation_block(L, &listener->source.reader, &accepting, -1);
    return err == 0 ? push_accepted(L, listener) : err;
}

const luaL_Reg sl_accept_methods[] = {
    {"accept", meth_accept},
    {NULL, NULL}
};
