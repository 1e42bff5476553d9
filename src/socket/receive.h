/*
 * receive.h - what receiving from a stream is made of, for drivers that get the
 * bytes in another way, and for datagrams.
 */

#ifndef SL_RECEIVE_H
#define SL_RECEIVE_H

#include "socket/asocket.h"

/* [-0, +1, e] Takes from the buffer what the receive gives, which is finished,
 * or has failed, and pushes it. */
void sl_receive_take(lua_State *L, sl_asocket *a, int finished);

/* [-0, +3, e] The same for one that is finished: data, nil, nil. */
int sl_receive_give(lua_State *L, sl_asocket *a);

/* [-0, +1, e] Pushes n of the bytes in the buffer, from the offset on, with the
 * receive's prefix. A finalizer that runs from here to sl_receive_commit may
 * use the scratch or close the socket, and the buffer stays. If it receives
 * from the socket, too, either it or sl_receive_commit raises. */
void sl_receive_push(lua_State *L, sl_asocket *a, const sl_receive *r,
                     size_t offset, size_t n);

/* [-0, +0, e] What was pushed is to be taken from the buffer next. */
static inline void sl_receive_commit(lua_State *L, sl_asocket *a,
                                     const char *what)
{
    if (!a->receive.taking)
        sl_operation_refuse(L, what);
    a->receive.taking = 0;
}

/* [-0, +0, e] Raises where no receive, called `what`, can begin. */
static inline void sl_receive_check(lua_State *L, sl_asocket *a,
                                    const char *what)
{
    sl_operation_check(L, &a->source.reader, what);
    if (a->receive.locked)
        sl_operation_refuse(L, what);
}

/* Ends the running C function in a receive from the socket's descriptor. */
int sl_receive_start(lua_State *L, sl_asocket *a, const sl_receive *r);

#endif
