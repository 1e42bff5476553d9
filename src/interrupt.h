/*
 * interrupt.h - signals while the loop runs. A signal handler cannot run Lua;
 * it sets a debug hook (lua's own for Ctrl-C, lua-posix), which Lua calls as
 * soon as it runs a function of that Lua state. A loop that only waits and
 * wakes threads runs none, so the step calls one if a hook is set.
 */

#ifndef SL_INTERRUPT_H
#define SL_INTERRUPT_H

#include "compat.h"

/* [-0, +0, e] Has Lua call the hook of L that is set for calls; false if there
 * is no hook. */
int sl_interrupt_calls(lua_State *L);

/* Whether SIGINT has a handler. */
int sl_interrupt_handled(void);

/* [-0, +0, -] Whether the error at index is of Ctrl-C, whose hook LuaJIT calls
 * in whatever thread runs. handled: SIGINT had a handler before. */
int sl_interrupt_isone(lua_State *L, int index, int handled);

#endif
