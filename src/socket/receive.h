/*
 * receive.h - the parts of receive: for drivers that fill the buffer in another
 * way, and for datagrams.
 */

#ifndef SL_RECEIVE_H
#define SL_RECEIVE_H

#include "socket/asocket.h"

/* [-0, +1, e] Ends the receive in progress, which is finished or has failed:
 * removes its bytes from the buffer and pushes them. */
void sl_receive_take(lua_State *L, sl_asocket *a, int finished);

/* [-0, +3, e] Pushes the results of a finished receive, as sl_receive_take:
 * data, nil, nil. Returns 3. */
int sl_receive_give(lua_State *L, sl_asocket *a);

/* [-0, +1, e] Pushes the receive's prefix and n bytes of the buffer, from the
 * offset on. Until sl_receive_commit finalizers may close the socket or use the
 * scratch area: the buffer stays valid. If one receives from this socket,
 * either that receive or sl_receive_commit raises. */
void sl_receive_push(lua_State *L, sl_asocket *a, const sl_receive *r,
                     size_t offset, size_t n);

/* [-0, +0, e] To be called after sl_receive_push, before the caller removes the
 * pushed bytes from the buffer. Raises if another receive has removed bytes
 * meanwhile. `what` names the running function. */
static inline void sl_receive_commit(lua_State *L, sl_asocket *a,
                                     const char *what)
{
    if (!a->receive.taking)
        sl_operation_refuse(L, what);
    a->receive.taking = 0;
}

/* [-0, +0, e] Raises unless a receive can begin. `what` names the running
 * function. */
static inline void sl_receive_check(lua_State *L, sl_asocket *a,
                                    const char *what)
{
    sl_operation_check(L, &a->source.reader, what);
    if (a->receive.locked)
        sl_operation_refuse(L, what);
}

/* Ends the running C function in a receive from the asocket's descriptor. */
int sl_receive_start(lua_State *L, sl_asocket *a, const sl_receive *r);

#endif
