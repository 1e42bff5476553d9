/*
 * interrupt.h - signals while the loop runs. A signal handler cannot run Lua;
 * it sets a debug hook (lua's own for Ctrl-C, lua-posix), which Lua calls as
 * soon as it runs a function of that Lua state. A loop that only waits and
 * wakes threads runs none, so the step calls one if a hook is set.
 */

#ifndef SL_INTERRUPT_H
#define SL_INTERRUPT_H

#include "thread/compat.h"

/* [-0, +0, e] Has Lua call the hook that is set for calls. */
void sl_interrupt_call(lua_State *L);

/* [-0, +0, e] sl_interrupt_call if L has a hook; else false. */
static inline int sl_interrupt_calls(lua_State *L)
{
    if (lua_gethook(L) == NULL)
        return 0;
    sl_interrupt_call(L);
    return 1;
}

/* Whether SIGINT has a handler. */
int sl_interrupt_handled(void);

/* [-0, +0, -] Whether the error at index is of Ctrl-C, whose hook LuaJIT calls
 * in whatever thread runs. handled: SIGINT had a handler before. */
int sl_interrupt_isone(lua_State *L, int index, int handled);

#endif
