/*
 * datagram.c - send and receive of datagram sockets: UDP (udp.c) and unix
 * datagrams (unix.c). Arguments and results are those of LuaSocket's udp.c and
 * unixdgram.c.
 *
 * A received datagram lies in the socket's buffer, behind the sender's
 * sockaddr, until its thread takes it.
 */

#define _DEFAULT_SOURCE    /* POSIX.1-2008, and what all systems add */

#include "socket/datagram.h"

#include "loop/result.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/sockaddr.h"
#include "socket/methods.h"
#include "socket/push.h"
#include "socket/receive.h"
#include "thread/arg.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum {
    DEFAULT_SIZE = 8192,    /* socket._DATAGRAMSIZE */
    UDP_SIZE_MAX = 65535
};

/* Translates the errno of a system call into a code (error.h). */
static int datagram_failure(int err)
{
    if (err == EAGAIN)
        return SL_AGAIN;
    return err == EBADF ? SL_CLOSED : err;    /* the program has closed it */
}

static int is_local(const sl_asocket *a)
{
    return sl_transports[a->transport].is_local;
}

int sl_datagram_fail(lua_State *L, int err)
{
    const char *message = sl_error_gaimessage(err);
    if (err == EPIPE)
        message = "refused";
    if (message == NULL)
        return sl_result_fail(L, err);
    lua_pushnil(L);
    lua_pushstring(L, message);
    return 2;
}

sl_asocket *sl_datagram_check(lua_State *L, int kind)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_begin(L, a, kind);
    return a;
}

/* --- receive ----------------------------------------------------------- */

static int try_receive_datagram(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    sl_scratch *scratch = &source->loop->scratch;
    size_t wanted = a->receive.wanted, n;
    sl_sockaddr sender;
    (void)L;
    if (sl_buffer_count(&a->buffer) > 0)    /* of a thread that was closed */
        return 0;
    if (source->fd < 0)
        return SL_CLOSED;
    if (!source->readable)
        return SL_AGAIN;
    char *room = sl_buffer_room(&a->buffer, scratch, sizeof sender + wanted);
    if (room == NULL)
        return ENOMEM;
    int err = sl_fd_recvfrom(source->fd, room + sizeof sender, wanted, &n,
                             &sender);
    if (err != 0) {
        sl_buffer_free(&a->buffer, scratch);
        if (datagram_failure(err) == SL_AGAIN)
            source->readable = 0;
        return datagram_failure(err);
    }
    memcpy(room, &sender, sizeof sender);
    sl_buffer_add(&a->buffer, sizeof sender + n);
    return 0;
}

/* [-0, +n, e] Pushes the datagram and, with_name, the sender's address; or nil,
 * error. Returns n. */
static int give_datagram(lua_State *L, sl_wait *wait, int with_name)
{
    sl_asocket *a = (sl_asocket *)sl_source_of(wait);
    if (wait->status != 0)
        return sl_datagram_fail(L, wait->status);
    const sl_receive r = a->receive;
    sl_sockaddr sender;
    size_t size = sl_buffer_count(&a->buffer) - sizeof sender;
    memcpy(&sender, sl_buffer_bytes(&a->buffer), sizeof sender);
    if (size > r.wanted)
        size = r.wanted;
    sl_receive_push(L, a, &r, sizeof sender, size);
    int names = with_name ? sl_push_sockaddr(L, &sender) : 0;
    sl_receive_commit(L, a, with_name ? "receivefrom" : "receive");
    sl_buffer_free(&a->buffer, &a->source.loop->scratch);
    return 1 + names;
}

static int datagram_results(lua_State *L, sl_wait *wait)
{
    return give_datagram(L, wait, 0);
}

static int receivefrom_results(lua_State *L, sl_wait *wait)
{
    return give_datagram(L, wait, 1);
}

/* Returns the size at index 2: bytes wanted of a datagram. */
static size_t check_size(lua_State *L, const sl_asocket *a)
{
    double size = sl_arg_optnumber(L, 2, DEFAULT_SIZE);
    double limit = is_local(a) ? (double)(SIZE_MAX / 4)
                                          : UDP_SIZE_MAX;
    sl_arg_check(L, size >= 0, 2, "invalid size");
    return sl_arg_tosize(size < limit ? size : limit);
}

static int begin_receive(lua_State *L, sl_asocket *a, const char *what,
                         const sl_operation *operation)
{
    size_t wanted = check_size(L, a);
    sl_receive_check(L, a, what);
    a->receive = (sl_receive){.pattern = SL_COUNT, .wanted = wanted};
    return sl_operation_run(L, &a->source.reader, operation, a->block,
                            a->total);
}

static const sl_operation receiving = {try_receive_datagram, datagram_results};
static const sl_operation receiving_from = {
    try_receive_datagram, receivefrom_results
};

/* receive([size]) -> datagram or nil, error. Bytes after `size` are lost. */
static int meth_receive(lua_State *L)
{
    sl_asocket *a = sl_asocket_check(L);
    sl_asocket_resync(L, a);
    return begin_receive(L, a, "receive", &receiving);
}

/* receivefrom([size]) -> datagram, address, port (or path); or nil, error */
static int meth_receivefrom(lua_State *L)
{
    sl_asocket *a = sl_datagram_check(L, SL_UNCONNECTED);
    return begin_receive(L, a, "receivefrom", &receiving_from);
}

/* --- send -------------------------------------------------------------- */

/* Sets the receiver of the pending datagram; its size is 0 for the peer.
 * Returns 0, or a code if the address is not of that family. */
static int find_receiver(const sl_asocket *a, int family, sl_sockaddr *receiver)
{
    const sl_datagram *d = &a->pending.datagram;
    receiver->size = 0;
    if (d->host == NULL)
        return 0;
    if (is_local(a))
        return sl_sockaddr_setpath(d->host, d->to.path_size, receiver);
    return sl_sockaddr_parse(d->host, d->to.port, family, receiver);
}

static int try_send_datagram(lua_State *L, sl_source *source)
{
    sl_asocket *a = (sl_asocket *)source;
    const sl_datagram *d = &a->pending.datagram;
    sl_sockaddr receiver;
    (void)L;
    if (source->fd < 0)
        return SL_CLOSED;
    if (!source->writable)
        return SL_AGAIN;
    int err = find_receiver(a, AF_UNSPEC, &receiver);
    if (err != 0)
        return err;
    err = datagram_failure(sl_fd_sendto(source->fd, d->data, d->size,
                                        &receiver));
    if (err == SL_AGAIN) {
        source->writable = 0;
    } else if (err > 0 && d->host != NULL) {
        /* An address of another family than the socket's has an error of its
         * own. */
        int why = find_receiver(a, sl_fd_family(source->fd), &receiver);
        if (why != 0)
            return why;
    }
    return err;
}

/* size or nil, error */
static int sent_datagram_results(lua_State *L, sl_wait *wait)
{
    sl_asocket *a = (sl_asocket *)sl_source_of(wait);
    if (wait->status != 0)
        return sl_datagram_fail(L, wait->status);
    lua_pushnumber(L, (lua_Number)a->pending.datagram.size);
    return 1;
}

static const sl_operation sending = {try_send_datagram, sent_datagram_results};

int sl_datagram_send(lua_State *L, sl_asocket *a, const char *what,
                     const sl_datagram *d)
{
    sl_wait *wait = &a->source.writer;
    sl_operation_check(L, wait, what);
    a->pending_kind = SL_PENDING_DATAGRAM;
    a->pending.datagram = *d;
    if (d->host == NULL || !is_local(a))
        return sl_operation_run(L, wait, &sending, a->block, a->total);
    /* A unix socket is always writable unless its peer's queue is full. No
     * event reports room in the queue of another receiver. */
    sl_operation_poll(L, wait, try_send_datagram, a->block, a->total);
    return sent_datagram_results(L, wait);
}

/* send(datagram) -> size or nil, error */
static int meth_send(lua_State *L)
{
    sl_asocket *a = sl_datagram_check(L, SL_CONNECTED);
    sl_datagram d = {NULL, 0, NULL, {NULL}};
    d.data = sl_arg_lstring(L, 2, &d.size);
    return sl_datagram_send(L, a, "send", &d);
}

const luaL_Reg sl_datagram_methods[] = {
    {"receive", meth_receive},
    {"receivefrom", meth_receivefrom},
    {"send", meth_send},
    {NULL, NULL}
};
