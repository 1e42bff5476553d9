/*
 * run.h - runners: C functions that run threads until control comes back (see
 * thread.h). The loop, newthread, resume and coro are runners by the functions
 * below.
 */

#ifndef SL_RUN_H
#define SL_RUN_H

#include "thread/hold.h"

/* How running a thread came to an end for the runner. */
enum sl_outcome {
    SL_STOPPED,                /* it waits, is suspended, or has ended */
    SL_RETURNED,               /* control was handed to the runner: values */
    SL_FAILED                  /* pushed: thread, error, traceback */
};

/* --- for the loop ------------------------------------------------------- */

/* [-(nargs + 1), +1, e] Runs the function and its arguments as a new thread
 * until it first stops or ends, for the given loop. Pushes the thread. True
 * if it failed, and then pushes also the error and a traceback. */
int sl_run_start(lua_State *L, sl_threads *all, int nargs, void *loop);

/* [-0, +0, e] Prepares a thread whose wait is over to run: a yielded one gets
 * the results of the wait. False if it is not in its wait any more: see end.h.
 */
int sl_run_prepare(lua_State *L, sl_thread *t);

/* [-0, +(0|3), e] Runs a thread that was prepared until it stops or ends. hook:
 * what sl_hook_find gave on L. True if a thread failed, and then pushes that
 * thread, the error and a traceback. */
int sl_run_wake(lua_State *L, sl_thread *t, int hook);

/* The running thread will be a runner's own, and no one can hand control back
 * to it, as it is known to nobody (newserver's). The callback is called when
 * control goes to a thread below it; it has to wake the thread later. */
void sl_run_onbypass(sl_threads *all, void (*callback)(sl_thread *t));

/* --- for C functions that run a thread ----------------------------------- */

/* [-1, +0, e] Makes the coroutine on the top ready to run, with the n values
 * below it, which stay there if it is held. It is fresh, suspended or calling.
 * A fresh one has no return target, SL_RETURN_TO_NOBODY. */
sl_thread *sl_run_makeready(lua_State *L, sl_threads *all, int n);

/* [-1, +0, -] The same for a held thread, whose coroutine is on the top. */
void sl_run_readyheld(lua_State *L, sl_thread *t, int n);

/* [-0, +0, -] The same for the suspended thread at index 1, with n values
 * above it, if sl_hold_recent finds it and n is small. It stays on the stack.
 * Else NULL. */
static inline sl_thread *sl_run_readyrecent(lua_State *L,
                                           sl_threads *all, int n)
{
    lua_State *co = lua_tothread(L, 1);
    sl_thread *t = co != NULL ? sl_hold_recent(all, co) : NULL;
    if (t == NULL || t->state != SL_SUSPENDED || n > SL_FAST_VALUES_MAX)
        return NULL;
    t->index = 1;    /* it lies there, so it need not be anchored */
    sl_target_restore(L, t);
    t->got.nvalues = n;
    return t;
}

/* Ends the running C function once control is back. Above what was there lie,
 * by the outcome, nothing, the values that control brought, or thread, error
 * and traceback. */
typedef int (*sl_run_after)(lua_State *L, enum sl_outcome outcome);

/* Ends the running C function in running a thread that is ready. */
int sl_run_ready(lua_State *L, sl_thread *t, sl_run_after after);

/* The same, but while the thread waits, this runner's own thread does, too. */
int sl_run_follow(lua_State *L, sl_thread *t, sl_run_after after);

/* The same, and the thread returns its values to this runner. */
int sl_run_call(lua_State *L, sl_thread *t, sl_run_after after);

/* Ends the running C function in resuming the suspended thread at index 1 with
 * the values that lie above it, for the given loop. Raises if it can't. */
int sl_run_resume(lua_State *L, sl_threads *all, void *loop,
                  sl_run_after after);

/* [-0, +0, -] The thread at index, which the runner's own thread has resumed,
 * does not return to that any more: control came back from another one. */
void sl_run_forget(lua_State *L, sl_threads *all, int index);

/* --- for end.c ------------------------------------------------------------ */

/* [-4, +n, e] The running function becomes a runner that delivers a failure:
 * thread, error, traceback, target. loop: of the thread that failed. Pushes
 * what sl_run_after gets. */
enum sl_outcome sl_run_fail(lua_State *L, sl_threads *all, void *loop);

#endif
