/*
 * look.h - what install's methods in Lua have to know about a descriptor
 * before LuaSocket reads from it or writes to it.
 */

#ifndef SL_LOOK_H
#define SL_LOOK_H

#include <lua.h>

/* look(fd [, size]) -> how many bytes can be received now, at most 64 KiB, and
 * 0 at the end of the stream; false if there are none yet; or nil, error. With
 * a size it looks at that many bytes at most, and the second result is whether
 * a line feed is among them. */
int sl_look_ahead(lua_State *L);

/* failure(fd) -> the word for how the connection broke, which the system says
 * once; nothing if it did not. */
int sl_look_failure(lua_State *L);

/* word(error) -> LuaSocket's word for the error of another object */
int sl_look_word(lua_State *L);

#endif
