/*
 * chain.h - which coroutine has resumed which, by Lua's means.
 *
 * A coroutine that has resumed another one is in coroutine.resume, whose first
 * argument is the other, or in a function of coroutine.wrap, whose upvalue it
 * is. Functions of ours that run threads have the loop or the threads as their
 * first upvalue, and end a chain; so does a C function that calls lua_resume.
 */

#ifndef SL_CHAIN_H
#define SL_CHAIN_H

#include "thread/compat.h"

/* [-0, +0, -] The coroutine that co, which has begun, has resumed, or NULL. */
lua_State *sl_chain_next(lua_State *co);

/* [-0, +0, -] Whether to is in the chain that begins with from. The chain ends
 * at the coroutine end. */
int sl_chain_reaches(lua_State *from, lua_State *to, lua_State *end);

#endif
