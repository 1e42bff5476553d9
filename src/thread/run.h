/*
 * run.h - runners: C functions that run threads until control comes back (see
 * thread.h). The loop's step, newthread, resume and the functions of coro are
 * runners.
 */

#ifndef SL_RUN_H
#define SL_RUN_H

#include "thread/hold.h"

/* How the runner got control back. */
enum sl_outcome {
    SL_STOPPED,                /* the thread waits, is suspended, or has
                                  ended */
    SL_RETURNED,               /* control came to the runner, with values */
    SL_FAILED                  /* pushed: thread, error, traceback */
};

/* --- for the loop ------------------------------------------------------- */

/* [-(nargs + 1), +1, e] Runs the function and its arguments as a new thread
 * until it first stops or ends, for the given loop. Pushes the thread. True
 * if it failed, and then pushes also the error and a traceback. */
int sl_run_start(lua_State *L, sl_threads *all, int nargs, void *loop);

/* [-0, +0, e] Prepares a thread whose wait is over. A yielded thread gets the
 * results of the wait. False if the thread has left its wait (see end.h). */
int sl_run_prepare(lua_State *L, sl_thread *t);

/* [-0, +(0|3), e] Runs a prepared thread until it stops or ends. hook is the
 * result of sl_hook_find on L. True if a thread failed; then pushes that
 * thread, the error and a traceback. */
int sl_run_wake(lua_State *L, sl_thread *t, int hook);

/* For the running thread, which becomes a runner's own, and to which no thread
 * can hand control back (newserver's thread). The callback is called when
 * control passes to a thread below it, and has to schedule the thread again. */
void sl_run_onbypass(sl_threads *all, void (*callback)(sl_thread *t));

/* --- for C functions that run a thread ----------------------------------- */

/* [-1, +0, e] Prepares the coroutine on the top (fresh, suspended or calling)
 * to run with the n values below it. The values of a held coroutine stay there
 * until it takes them. A fresh coroutine has no return target yet
 * (SL_RETURN_TO_NONE). */
sl_thread *sl_run_makeready(lua_State *L, sl_threads *all, int n);

/* [-1, +0, -] sl_run_makeready for a held thread, whose coroutine is on the
 * top. */
void sl_run_readyheld(lua_State *L, sl_thread *t, int n);

/* [-0, +0, -] sl_run_makeready for the suspended thread at index 1, with n
 * values above it, if sl_hold_recent finds it and n is small; else NULL. The
 * thread stays on the stack. */
static inline sl_thread *sl_run_readyrecent(lua_State *L,
                                           sl_threads *all, int n)
{
    lua_State *co = lua_tothread(L, 1);
    sl_thread *t = co != NULL ? sl_hold_recent(all, co) : NULL;
    if (t == NULL || t->state != SL_SUSPENDED || n > SL_FAST_VALUES_MAX)
        return NULL;
    t->index = 1;    /* the stack keeps it alive: no anchor is needed */
    sl_target_restore(L, t);
    t->got.nvalues = n;
    return t;
}

/* Ends a runner when control is back. According to the outcome these values
 * have been pushed: none; the values that control brought; or thread, error and
 * traceback. */
typedef int (*sl_run_after)(lua_State *L, enum sl_outcome outcome);

/* Ends the running C function in running a thread that is ready. */
int sl_run_ready(lua_State *L, sl_thread *t, sl_run_after after);

/* sl_run_ready, where the runner's own thread waits while the other one
 * waits. */
int sl_run_follow(lua_State *L, sl_thread *t, sl_run_after after);

/* sl_run_follow, where the thread returns its values to this runner. */
int sl_run_call(lua_State *L, sl_thread *t, sl_run_after after);

/* Ends the running C function in resuming, for the given loop, the suspended
 * thread at index 1 with the values above it. Raises if the thread cannot be
 * resumed. */
int sl_run_resume(lua_State *L, sl_threads *all, void *loop,
                  sl_run_after after);

/* [-0, +0, -] For the thread at index, which the runner's own thread has
 * resumed, when control has come back from another thread: removes the runner's
 * own thread as its return target. */
void sl_run_forget(lua_State *L, sl_threads *all, int index);

/* --- for end.c ------------------------------------------------------------ */

/* [-4, +n, e] Makes the running function a runner that delivers a failure
 * (thread, error, traceback, target) of a thread of that loop. Pushes the
 * values that sl_run_after gets. */
enum sl_outcome sl_run_fail(lua_State *L, sl_threads *all, void *loop);

#endif
