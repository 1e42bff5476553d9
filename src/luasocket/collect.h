/*
 * collect.h - receives of install's methods: what bytes an object is asked for,
 * and what has been collected of them. Waiting is left to Lua, where a thread
 * that waits takes no C stack.
 */

#ifndef SL_COLLECT_H
#define SL_COLLECT_H

#include <lua.h>

/* collect(pattern [, bytes]) -> the state of a receive, which has collected
 * these bytes. pattern is 'l', 'a' or a count, which excludes the prefix. */
int sl_collect_begin(lua_State *L);

/* collector(dirty, getfd, buffered) -> a function step(state, object, prefix,
 * receive, is_visible, failure, is_goodbye) -> status, data, error, partial. It
 * calls receive(object, pattern) until the state's receive
 * is over. The status:
 *     true       it is over, with these results
 *     nil        the thread's budget is used up
 *     number     wait until this descriptor is readable
 *     string     wait for this: 'timeout', 'wantread' or 'wantwrite'
 * dirty and getfd are LuaSocket's methods. is_visible: bytes can be looked at
 * before the object receives them; then buffered(object, '*l' or '*a') gives
 * data or nil, partial of the bytes in the object alone, and failure, if not
 * nil, is the error at the end of the stream. is_goodbye: nil, or
 * a function that says of 'closed' whether it is the end of the stream. */
int sl_collect_collector(lua_State *L);

/* giveup(state, prefix, error) -> nil, error, partial: it is given up. */
int sl_collect_giveup(lua_State *L);

#endif
