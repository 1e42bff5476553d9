/*
 * guest.h - guests: coroutines that the user resumed by Lua's means, and that
 * wait. A guest has a record only while it waits, and no C stack. When the
 * wait is over the loop runs it, and it becomes a thread like the others.
 */

#ifndef SL_GUEST_H
#define SL_GUEST_H

#include "thread/thread.h"

/* [-0, +0, e] A record for L's coroutine, which is about to wait. The values
 * on L stay alive meanwhile. */
sl_thread *sl_guest_new(lua_State *L, sl_threads *all);

/* [-0, +0, -] The guest becomes a thread that a runner runs. */
void sl_guest_own(lua_State *L, sl_thread *t);

#endif
