/*
 * end.h - ending threads that will not go on. A runner's own thread that waits
 * for such a thread gets an error, and runs.
 */

#ifndef SL_END_H
#define SL_END_H

#include "thread/thread.h"

/* [-0, +(0|3), e] Ends the record of a thread that is not in its wait any more
 * (sl_thread_waits). True if a thread failed, and then pushes that thread, the
 * error and a traceback. */
int sl_end_lose(lua_State *L, sl_thread *t);

/* Ends the running C function, whose one argument is a coroutine, in closing
 * that: `return sl_end_close(...)`. t: its record if it is held, or NULL. Of
 * the coroutine only its to-be-closed variables run. */
int sl_end_close(lua_State *L, sl_threads *all, sl_thread *t);

#endif
