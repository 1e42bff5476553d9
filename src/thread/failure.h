/*
 * failure.h - what a thread that failed leaves: its error and a traceback.
 *
 * From 5.4 on a failed coroutine may have variables to be closed. Closing
 * them is the last thing the thread does, on its own fiber: so it may wait in
 * a __close. Meanwhile the first error and its traceback are kept here, since
 * closing unwinds the stack that the traceback shows.
 */

#ifndef SL_FAILURE_H
#define SL_FAILURE_H

#include "thread/thread.h"

/* Whether variables may have to be closed in a thread that has stopped. */
static inline int sl_failure_mustclose(const sl_thread *t)
{
    return SL_CLOSES_VARIABLES && t->status > LUA_YIELD &&
           !sl_fiber_isfrozen(t->fiber);
}

/* [-0, +0, -] Keeps the error on the top of a failed thread, and a traceback.
 * The thread is to close its variables next. */
void sl_failure_keep(lua_State *L, sl_thread *t);

/* Closes the variables of a failed thread, on its fiber. */
void sl_failure_close(void *thread);

/* [-1, +1, -] Replaces the coroutine on the top by the error that is kept for
 * it, which is not kept any more. False if there is none: then it is nil. */
int sl_failure_take(lua_State *L, sl_threads *all);

/* [-0, +3, -] Pushes a failed thread, its error and a traceback, or why there
 * is none. The coroutine is empty and dead afterwards. */
void sl_failure_push(lua_State *L, sl_thread *t);

/* [-0, +3, -] The same for a thread that will not go on, as its coroutine was
 * closed or resumed by others. The coroutine stays as it is. */
void sl_failure_pushlost(lua_State *L, sl_thread *t);

/* [-3, +1, m] Makes of thread, error and traceback the one error value: the
 * error itself, or a string with the traceback if it has none yet. */
void sl_failure_message(lua_State *L);

#endif
