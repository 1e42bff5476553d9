/*
 * interrupt.c - see interrupt.h.
 */

#include "loop/interrupt.h"

#include "os/signal.h"

#include <string.h>

static int empty_function(lua_State *L)
{
    (void)L;
    return 0;
}

void sl_interrupt_call(lua_State *L)
{
    lua_pushcfunction(L, empty_function);
    lua_call(L, 0, 0);
}

int sl_interrupt_handled(void)
{
    return sl_signal_isinterrupthandled();
}

/* Two signs together: luajit's own message, which alone may be a peer's text;
 * and SIGINT without its handler, which luajit's handler removes. */
int sl_interrupt_isone(lua_State *L, int index, int handled)
{
    static const char words[] = "interrupted!";
    if (!SL_LUAJIT || !handled || lua_type(L, index) != LUA_TSTRING)
        return 0;
    size_t length = sl_rawlen(L, index), end = sizeof words - 1;
    return length >= end && !sl_interrupt_handled() &&
           memcmp(lua_tostring(L, index) + length - end, words, end) == 0;
}
