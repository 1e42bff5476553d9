/*
 * close.c - the end of a socket. See close.h.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/close.h"

#include "os/fd.h"
#include "socket/client_limit.h"
#include "socket/connect.h"
#include "socket/dns.h"
#include "socket/unix.h"

#include <stdlib.h>

/* Removes the path of a listening unix socket and, if there are unsent bytes,
 * gives the descriptor to an orphan. Returns the descriptor that the caller has
 * to close, or -1. */
static int part_with_descriptor(sl_asocket *a)
{
    int fd = sl_source_owned(&a->source);
    if (a->pending_kind == SL_PENDING_FILE)
        sl_unix_unlink(a);
    return sl_client_limit_linger(a) ? -1 : fd;
}

void sl_close_asocket(lua_State *L, int index)
{
    sl_asocket *a = lua_touserdata(L, index);
    int in_use = a->source.reader.thread != NULL || a->receive.taking;
    int again = a->phase == SL_PHASE_CLOSED;
    int fd = part_with_descriptor(a);
    sl_asocket_enter(a, SL_PHASE_CLOSED);
    sl_source_release(&a->source, !a->driver->does_io);
    if (a->connect != NULL && a->source.writer.thread == NULL)
        sl_connect_abandon(L, a);
    if (!in_use)
        sl_buffer_free(&a->buffer, &a->source.loop->scratch);
    sl_client_limit_leave(a);
    a->driver->close(L, index, fd, again);
}

void sl_close_finalize(lua_State *L, sl_asocket *a)
{
    int fd = part_with_descriptor(a);
    sl_source_free(&a->source);
    if (fd >= 0 && a->driver->owns)
        sl_fd_close(fd);
    if (a->pending_fd >= 0 &&
        sl_process_isours(a->pending_fd, a->pending_forks))
        sl_fd_close(a->pending_fd);
    if (a->connect != NULL)
        sl_connect_abandon(L, a);
    sl_dns_end(a);
    sl_client_limit_free(a);
    sl_buffer_free(&a->buffer, &a->source.loop->scratch);
    free(a->host);
    a->source.loop = NULL;
    sl_asocket_enter(a, SL_PHASE_FINALIZED);
}
