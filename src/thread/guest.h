/*
 * guest.h - guests: waiting coroutines that the program resumed by Lua's means.
 * A guest has a record only while it waits, and no C stack. When the wait is
 * over the loop runs the coroutine, which is an ordinary thread from then on.
 */

#ifndef SL_GUEST_H
#define SL_GUEST_H

#include "thread/thread.h"

/* [-0, +0, e] Makes a record for L's coroutine, which is about to wait. The
 * values on L stay alive during the wait. */
sl_thread *sl_guest_new(lua_State *L, sl_threads *all);

/* [-0, +0, -] Makes a guest an ordinary thread, which a runner is about to
 * run. */
void sl_guest_own(lua_State *L, sl_thread *t);

#endif
