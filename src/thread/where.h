/*
 * where.h - the situation of a coroutine, which decides whether it can be
 * resumed or get control, and what its status is.
 */

#ifndef SL_WHERE_H
#define SL_WHERE_H

#include "thread/thread.h"

enum sl_where {
    SL_IS_FRESH,               /* has not begun */
    SL_IS_SUSPENDED, SL_IS_WAITING, SL_IS_DEAD,
    SL_IS_RUNNING,             /* the running thread */
    SL_IS_BELOW,               /* a runner's own thread, or the main frame's:
                                  control can return to it */
    SL_IS_CALLING,             /* a runner's own thread, frozen */
    SL_IS_NORMAL               /* has resumed another coroutine by Lua's
                                  means */
};

/* [-0, +0, -] The situation of the coroutine at index. */
enum sl_where sl_where_get(lua_State *L, sl_threads *all, int index);

/* [-0, +0, -] Whether co is a runner's own thread below the running thread, or
 * the main frame's stack: control can return to it. */
int sl_where_isbelow(sl_threads *all, lua_State *co);

/* [-0, +0, e] sl_where_get, which raises if the coroutine is neither fresh nor
 * suspended. */
enum sl_where sl_where_checkresumable(lua_State *L, sl_threads *all,
                                      int index);

/* [-0, +0, e] Raises if control can't be handed to the coroutine at index. */
void sl_where_checktarget(lua_State *L, sl_threads *all, int index);

#endif
