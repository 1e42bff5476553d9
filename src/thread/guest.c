/*
 * guest.c - see guest.h.
 */

#include "thread/guest.h"

#include "thread/hold.h"
#include "thread/record.h"

sl_thread *sl_guest_new(lua_State *L, sl_threads *all)
{
    int n = lua_gettop(L);
    sl_holder *holder = NULL;
    luaL_checkstack(L, 6, "too many arguments");
    if (!SL_CONTINUES) {    /* with SL_CONTINUES the arguments stay on the
                               stack */
        lua_pushthread(L);
        holder = sl_hold_keepvalues(L, all, n);
    }
    lua_pushthread(L);
    sl_thread *t = sl_record_acquire(L, all, NULL);
    if (holder != NULL)
        sl_hold_link(holder, t);
    t->guest_in = sl_thread_function(L);
    lua_settop(L, n);
    return t;
}

void sl_guest_own(lua_State *L, sl_thread *t)
{
    if (t->holder != NULL)
        sl_hold_forget(L, t);
    t->guest_in = NULL;
}
