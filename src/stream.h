/*
 * stream.h - what receiving from a stream is made of, for those who get the
 * bytes in another way.
 */

#ifndef SL_STREAM_H
#define SL_STREAM_H

#include "asocket.h"

/* Whether what is in the buffer finishes the receive. */
int sl_stream_isreceived(sl_asocket *a);

/* [-0, +1, m] Takes from the buffer what a receive gives that is finished, or
 * has failed, and pushes it. */
void sl_stream_take(lua_State *L, sl_asocket *a, int finished);

#endif
