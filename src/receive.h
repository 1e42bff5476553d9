/*
 * receive.h - what receiving from a stream is made of, for those who get the
 * bytes in another way.
 */

#ifndef SL_RECEIVE_H
#define SL_RECEIVE_H

#include "asocket.h"

/* 0 when what is in the buffer finishes the receive, SL_AGAIN if it doesn't,
 * SL_TOO_LONG. */
int sl_receive_finished(sl_asocket *a);

/* How many bytes more would finish it, or are enough for now; 0: any. */
size_t sl_receive_wanted(const sl_asocket *a);

/* [-0, +1, m] Takes from the buffer what a receive gives that is finished, or
 * has failed, and pushes it. */
void sl_receive_take(lua_State *L, sl_asocket *a, int finished);

/* While bytes are pushed: whether they are elsewhere now. */
static inline int sl_receive_ismoved(const sl_asocket *a, const sl_bytes *from)
{
    return a->receive.taking && a->buffer.bytes != from &&
           a->buffer.bytes != NULL;
}

/* [-0, +0, e] The bytes were pushed. Raises if a finalizer has received from
 * the socket meanwhile: they are his. */
static inline void sl_receive_taken(lua_State *L, sl_asocket *a,
                                    const char *what)
{
    if (!a->receive.taking)
        sl_wait_refuse(L, what);
    a->receive.taking = 0;
}

#endif
