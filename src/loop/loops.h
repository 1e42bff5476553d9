/*
 * loops.h - the loops of a Lua state: finds the userdata of a loop by its
 * address, for functions that do not have the loop as an upvalue.
 */

#ifndef SL_LOOPS_H
#define SL_LOOPS_H

#include "loop/loop.h"

/* [-0, +0, m] Adds the loop on the top. */
void sl_loops_add(lua_State *L);

/* [-0, +1, m] Pushes the userdata of the loop at that address; nil if it is
 * collected. */
void sl_loops_push(lua_State *L, const void *loop);

/* [-0, +1, m] Pushes the loop that was made first; nil if it is collected. */
void sl_loops_pushfirst(lua_State *L);

/* [-0, +1, m] Pushes the table of all loops, which has weak values. */
void sl_loops_pushall(lua_State *L);

/* [-0, +1, e] Pushes one value of the loop's table (sl_loop_env). The running
 * function may belong to another loop. Raises if the loop is collected. */
void sl_loops_pushenv(lua_State *L, const sl_loop *loop, int which);

#endif
