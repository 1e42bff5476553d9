/*
 * receive.h - what receiving from a stream is made of, for those who get the
 * bytes in another way.
 */

#ifndef SL_RECEIVE_H
#define SL_RECEIVE_H

#include "socket/asocket.h"

/* 0 when what is in the buffer finishes the receive, SL_AGAIN if it doesn't,
 * SL_TOO_LONG, SL_TOO_MUCH; SL_CLOSED if it wants no bytes of a closed
 * socket. */
int sl_receive_finished(sl_asocket *a);

/* Whether all is received, and that is already more than setmaxread allows. */
int sl_receive_overflows(const sl_asocket *a);

/* How many bytes more would finish it, or are enough for now; 0: any. */
size_t sl_receive_wanted(const sl_asocket *a);

/* [-0, +1, e] Takes from the buffer what the receive gives, which is finished,
 * or has failed, and pushes it. */
void sl_receive_take(lua_State *L, sl_asocket *a, int finished);

/* [-0, +3, e] The same for one that is finished: data, nil, nil. */
int sl_receive_give(lua_State *L, sl_asocket *a);

/* [-0, +1, e] Pushes n of the bytes in the buffer, from the offset on, with the
 * receive's prefix. A finalizer that runs from here to sl_receive_settle may
 * use the scratch or close the socket, and the buffer stays. If it receives
 * from the socket, too, either it or sl_receive_settle raises. */
void sl_receive_push(lua_State *L, sl_asocket *a, const sl_receive *r,
                     size_t offset, size_t n);

/* [-0, +0, e] What was pushed is to be taken from the buffer next. */
static inline void sl_receive_settle(lua_State *L, sl_asocket *a,
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

/* Whether another receive like the last one would find all it wants in the
 * buffer. */
static inline int sl_receive_hasnext(sl_asocket *a)
{
    return a->receive.pattern == SL_LINE && sl_buffer_line(&a->buffer) > 0;
}

#endif
