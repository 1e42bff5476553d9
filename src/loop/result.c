/*
 * result.c - see result.h.
 */

#include "loop/result.h"

#include "os/error.h"

int sl_result_fail(lua_State *L, int err)
{
    lua_pushnil(L);
    lua_pushstring(L, sl_error_message(err));
    return 2;
}
