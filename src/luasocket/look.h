/*
 * look.h - for install's methods in Lua: peeking at a descriptor before a
 * LuaSocket object reads from it, and the results of one call of the object.
 */

#ifndef SL_LOOK_H
#define SL_LOOK_H

#include "loop/loop.h"

/* Peeks at up to 8 KiB of received bytes of fd. Sets *n to their number (0 at
 * the end of the stream), *found to true if they have a line feed. Returns 0 or
 * an errno; EAGAIN: no bytes have arrived. */
int sl_look_forline(sl_loop *loop, int fd, size_t *n, int *found);

/* Sets *n to the number of received bytes of fd, at most 64 KiB; 0 at the end
 * of the stream. Returns 0 or an errno. */
int sl_look_count(int fd, size_t *n);

/* receiver(receive, dirty, getfd) -> try
 *
 * The arguments are methods of one of LuaSocket's classes of streams.
 *
 * try(object, pattern) -> status, data, error, partial
 *
 * tries to finish a receive in one call of the object. The pattern is nil or
 * '*l' (only for objects whose descriptor can be peeked at), or a count that is
 * within the budget. The status:
 *     true       the receive is over, with these results
 *     number     wait until this descriptor is readable; no bytes were received
 *     nil        the thread's budget is used up; no bytes were received
 *     false      one call does not finish the receive: these are the results of
 *                the call, or no call was made */
int sl_look_receiver(lua_State *L);

/* failure(fd) -> the error with which the connection has broken, or nothing.
 * The system reports it once only. */
int sl_look_failure(lua_State *L);

/* word(error) -> 'closed' if error is a message of the system that means a lost
 * connection, else error */
int sl_look_word(lua_State *L);

#endif
