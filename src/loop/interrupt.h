/*
 * interrupt.h - signals while the loop runs. A signal handler cannot run Lua.
 * It sets a debug hook (lua's handler of Ctrl-C does, lua-posix too), which Lua
 * calls as soon as that Lua state runs a function. A loop that only waits and
 * wakes threads runs none, so the step calls an empty function if a hook is
 * set.
 */

#ifndef SL_INTERRUPT_H
#define SL_INTERRUPT_H

#include "thread/compat.h"

/* [-0, +0, e] Calls an empty function, so that Lua calls a hook for calls. */
void sl_interrupt_call(lua_State *L);

/* [-0, +0, e] sl_interrupt_call, if L has a hook. False if it has none. */
static inline int sl_interrupt_calls(lua_State *L)
{
    if (lua_gethook(L) == NULL)
        return 0;
    sl_interrupt_call(L);
    return 1;
}

/* Whether SIGINT has a handler. */
int sl_interrupt_handled(void);

/* [-0, +0, -] Whether the error at index is that of Ctrl-C, which LuaJIT raises
 * in the running thread, whichever that is. handled: SIGINT had a handler when
 * the loop was made. */
int sl_interrupt_isone(lua_State *L, int index, int handled);

#endif
