/*
 * stream.h - what the two directions of a stream share.
 */

#ifndef SL_STREAM_H
#define SL_STREAM_H

#include "socket/asocket.h"

/* How a system call on a socket failed, in our codes. */
int sl_stream_failure(int err);

/* Whether such a failure says that the connection broke. The system says that
 * once: a receive finds the stream at its end then, though it is not. */
int sl_stream_broke(int err);

/* [-0, +0, e] The object of the asocket at 1, which has one, may have been
 * used behind our back: closed, given another descriptor, or read, which
 * leaves bytes in its buffer. */
void sl_stream_lookbehind(lua_State *L, sl_asocket *a, int receiving);

#endif
