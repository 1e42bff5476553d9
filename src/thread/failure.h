/*
 * failure.h - failures of threads: the error and a traceback.
 *
 * From 5.4 on a failed coroutine may have to-be-closed variables. The thread
 * closes them on its own fiber before it ends, so it may wait in a __close.
 * Meanwhile the first error and its traceback are kept here, since closing
 * unwinds the stack that the traceback shows.
 */

#ifndef SL_FAILURE_H
#define SL_FAILURE_H

#include "thread/thread.h"

/* Whether a thread that has stopped failed, and may have variables to close. */
static inline int sl_failure_mustclose(const sl_thread *t)
{
    return SL_CLOSES_VARIABLES && t->status > LUA_YIELD &&
           !sl_fiber_isfrozen(t->fiber);
}

/* [-0, +0, -] Keeps the error on the top of a failed thread, and a traceback.
 * The thread closes its variables next. */
void sl_failure_keep(lua_State *L, sl_thread *t);

/* Closes the variables of a failed thread, on its fiber. */
void sl_failure_close(void *thread);

/* [-1, +1, -] Replaces the coroutine on the top by the error that was kept for
 * it, which is no longer kept then. False, and nil, if there is none. */
int sl_failure_take(lua_State *L, sl_threads *all);

/* [-0, +3, -] Pushes a failed thread, its error and a traceback, or the error
 * of making the traceback. The coroutine is empty and dead afterwards. */
void sl_failure_push(lua_State *L, sl_thread *t);

/* [-0, +3, -] sl_failure_push for a thread that will not continue, as its
 * coroutine was closed or resumed by other means. The coroutine is not
 * changed. */
void sl_failure_pushlost(lua_State *L, sl_thread *t);

/* [-3, +1, m] Replaces thread, error and traceback by one error value: the
 * error, with the traceback appended if it is a string that has none yet. */
void sl_failure_message(lua_State *L);

#endif
