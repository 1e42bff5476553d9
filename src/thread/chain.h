/*
 * chain.h - chains of coroutines, each of which has resumed the next by Lua's
 * means.
 *
 * A coroutine that has resumed another one is in coroutine.resume, whose first
 * argument is the other one, or in a function of coroutine.wrap, whose upvalue
 * is the other one. A chain ends at functions of this module that run threads,
 * which have the loop or the sl_threads as their first upvalue, and at C
 * functions that call lua_resume.
 */

#ifndef SL_CHAIN_H
#define SL_CHAIN_H

#include "thread/compat.h"

/* [-0, +0, -] Returns the coroutine that co has resumed, or NULL. co has
 * begun. */
lua_State *sl_chain_next(lua_State *co);

/* [-0, +0, -] Whether `to` is in the chain that begins with `from`. The chain
 * ends at `end`. */
int sl_chain_reaches(lua_State *from, lua_State *to, lua_State *end);

#endif
