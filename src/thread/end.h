/*
 * end.h - ending threads that will not continue. If a runner's own thread is
 * waiting for such a thread, it gets an error and runs.
 */

#ifndef SL_END_H
#define SL_END_H

#include "thread/thread.h"

/* [-0, +(0|3), e] Ends the record of a thread that has left its wait
 * (sl_thread_waits). True if another thread failed because of that; then pushes
 * this thread, the error and a traceback. */
int sl_end_lose(lua_State *L, sl_thread *t);

/* Ends the running C function in closing the coroutine that is its only
 * argument: `return sl_end_close(...)`. t is the coroutine's record if it is
 * held, else NULL. Only the to-be-closed variables of the coroutine run. */
int sl_end_close(lua_State *L, sl_threads *all, sl_thread *t);

#endif
