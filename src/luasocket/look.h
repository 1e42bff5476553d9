/*
 * look.h - what install's methods in Lua have to know about a descriptor
 * before LuaSocket reads from it or writes to it.
 */

#ifndef SL_LOOK_H
#define SL_LOOK_H

#include "loop/loop.h"

/* Looks for a line feed among the next bytes that fd has. Sets *n to how many
 * bytes these are, 0 at the end of the stream; 0 or an errno, EAGAIN: there are
 * none yet. */
int sl_look_forline(sl_loop *loop, int fd, size_t *n, int *found);

/* Sets *n to how many bytes fd has, at most 64 KiB. 0 or an errno. */
int sl_look_count(int fd, size_t *n);

/* receiver(receive, dirty, getfd), LuaSocket's methods of a class of streams ->
 * a function (object, pattern) -> status, data, error, partial. It tries a
 * receive; the pattern is nil or '*l', where bytes can be looked at, or a count
 * within the budget. The status:
 *     true       the receive is over, with these results
 *     number     it has to wait until this descriptor is readable
 *     nil        the thread's budget is used up
 *     false      one call of the object is not enough: the results are those
 *                of the call, or there was none
 * Bytes are only taken where the status is true or false. */
int sl_look_receiver(lua_State *L);

/* failure(fd) -> the word for how the connection broke, which the system says
 * once; nothing if it did not. */
int sl_look_failure(lua_State *L);

/* word(error) -> LuaSocket's word for the error of another object */
int sl_look_word(lua_State *L);

#endif
