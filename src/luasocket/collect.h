/*
 * collect.h - the receives of install's methods: calls an object until its
 * bytes finish the receive, and keeps the bytes meanwhile. The calling Lua
 * function waits, since a thread that waits in Lua needs no C stack.
 */

#ifndef SL_COLLECT_H
#define SL_COLLECT_H

#include <lua.h>

/* collect(pattern [, bytes]) -> the state of a receive that has collected these
 * bytes. pattern is 'l', 'a' or a count without the prefix's bytes. */
int sl_collect_begin(lua_State *L);

/* collector(dirty, getfd, buffered) -> step
 *
 * dirty and getfd are LuaSocket's methods. buffered(object, '*l' or '*a')
 * receives from the object's own buffer only, and returns data, or nil and
 * partial.
 *
 * step(state, object, prefix, receive, is_visible, failure, is_goodbye)
 *     -> status, data, error, partial
 *
 * calls receive(object, pattern) until the state's receive is over. The status:
 *     true       the receive is over, with these results
 *     nil        the thread's budget is used up
 *     number     wait until this descriptor is readable
 *     string     wait for this: 'timeout', 'wantread' or 'wantwrite'
 *
 * is_visible: received bytes can be peeked at in the descriptor and in the
 * object's buffer. failure: an error to return at the end of the stream instead
 * of 'closed', or nil. is_goodbye: a function that is called after the error
 * 'closed', and returns whether the peer has ended the stream; or nil. */
int sl_collect_collector(lua_State *L);

/* giveup(state, prefix, error) -> nil, error, partial. Ends a receive that has
 * timed out, for instance; partial is the prefix and the collected bytes. */
int sl_collect_giveup(lua_State *L);

#endif
