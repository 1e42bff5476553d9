/*
 * run.h - running threads: what a base does (see thread.h).
 */

#ifndef SL_RUN_H
#define SL_RUN_H

#include "thread/thread.h"

/* How running a thread came to an end for the base. */
enum sl_outcome {
    SL_STOPPED,                /* it waits, is suspended, or has ended */
    SL_RETURNED,               /* control was handed to the base: values */
    SL_FAILED                  /* pushed: thread, error, traceback */
};

/* [-(nargs + 1), +1, e] Runs the function and its arguments as a new thread
 * until it first stops or ends, for the given loop. Pushes the thread. True
 * if it failed, and then pushes also the error and a traceback. */
int sl_run_start(lua_State *L, sl_threads *all, int nargs, void *loop);

/* Runs a thread that was prepared until it stops or ends. hook: what
 * sl_hook_find gave on L. True if it failed, and then pushes the thread, the
 * error and a traceback. */
int sl_run_wake(lua_State *L, sl_thread *t, int hook);

/* [-0, +(0|3), e] Ends the record of a thread that isn't in its wait any more
 * (sl_thread_waits): whoever waits for the thread gets an error, and runs.
 * True if a thread failed, and then pushes that thread, the error and a
 * traceback. */
int sl_run_lose(lua_State *L, sl_thread *t);

/* Ends the running C function, whose one argument is a coroutine, in closing
 * that; t: its record if it is held, or NULL. It runs nothing of Lua's but its
 * to-be-closed variables; then whoever waits for it gets an error. */
int sl_run_close(lua_State *L, sl_threads *all, sl_thread *t);

/* Ends the running C function once control is back. Above what was there lie,
 * by the outcome, nothing, the values control came back with, or thread, error
 * and traceback. */
typedef int (*sl_run_after)(lua_State *L, enum sl_outcome outcome);

/* Ends the running C function in resuming the suspended thread at index 1 with
 * the values that lie above it, for the given loop. Raises if it can't. */
int sl_run_resume(lua_State *L, sl_threads *all, void *loop,
                  sl_run_after after);

/* [-0, +0, e] Raises if control can't be handed to the coroutine at index. */
void sl_run_checktarget(lua_State *L, sl_threads *all, int index);

/* [-1, +0, e] The coroutine on the top, which is fresh, suspended or calling,
 * gets the n values below it (a frozen one when it runs) and can be given
 * another home. A fresh one has none. */
sl_thread *sl_run_ready(lua_State *L, sl_threads *all, int n);

/* [-0, +0, -] The same for the thread at index 1, with n values above it, if
 * that takes little time; it and the values stay there. Else NULL. */
sl_thread *sl_run_recent(lua_State *L, sl_threads *all, int n);

/* Ends the running C function in being the base that runs a thread that is
 * ready. passes_on: if the thread waits, so does this base's thread. */
int sl_run_drive(lua_State *L, sl_thread *t, int passes_on,
                 sl_run_after after);

/* [-0, +0, -] The thread at index, which the base's thread resumed, does not
 * return to it any more: control came back from somebody else. */
void sl_run_forget(lua_State *L, sl_threads *all, int index);

#endif
