/*
 * stop.h - stopping threads, which wait, are suspended, or hand control over.
 * Most of these functions end the C function that calls them.
 */

#ifndef SL_STOP_H
#define SL_STOP_H

#include "thread/thread.h"

/* --- waiting ------------------------------------------------------------ */

/* [-0, +0, v] Raises if L cannot stop, in the main program. `what` names the
 * calling function. */
void sl_stop_check(lua_State *L, sl_threads *all, const char *what);

/* [-0, +0, e] Slow path of sl_stop_current. */
sl_thread *sl_stop_makecurrent(lua_State *L, sl_threads *all);

/* [-0, +0, e] Returns the running thread, anchored; or a new guest of L's
 * coroutine, if no thread runs. Preconditions: sl_stop_check, and
 * sl_hook_refuses returns NULL. The caller waits with the thread at once, or
 * calls sl_stop_disown. */
static inline sl_thread *sl_stop_current(lua_State *L, sl_threads *all)
{
    sl_thread *t = all->running;
    return t != NULL && t->anchored ? t : sl_stop_makecurrent(L, all);
}

/* [-0, +0, -] Undoes sl_stop_current, as the thread does not wait: ends a
 * guest's record. */
void sl_stop_disown(lua_State *L, sl_thread *t);

/* Ends the running C function in a wait: `return sl_stop_wait(...)`. If the
 * program resumes the coroutine meanwhile, the passed values are dropped and
 * the wait goes on; without SL_CONTINUES the wait ends. */
int sl_stop_wait(lua_State *L, sl_thread *t, sl_thread_results results);

/* [-0, +0, -] Freezes the running thread until its wait is over. */
void sl_stop_freeze(lua_State *L, sl_thread *t);

/* --- handing over ------------------------------------------------------- */

/* Ends the running C function in a suspension: `return sl_stop_suspend(...)`.
 * The function returns the values that control brings. */
int sl_stop_suspend(lua_State *L, sl_threads *all);

/* Turns a suspended thread into one that waits, frozen, for its loop. The
 * thread is anchored, and its suspension returns no values. False if the thread
 * is not suspended. */
int sl_stop_wake(sl_thread *t);

/* Ends the running C function in handing n values over to the target; these n +
 * 1 values are on the top. The function returns the values that control brings
 * back; is_protected: true before them. Only for the running thread. */
int sl_stop_transfer(lua_State *L, sl_threads *all, int n, int is_protected);

/* Ends the running C function, whose arguments are a thread and n values, in
 * handing the values over to that thread, directly from one C stack to the
 * other. `to` is that thread: it is suspended, and found by sl_hold_recent. n
 * is at most SL_FAST_VALUES_MAX. The function returns what sl_stop_transfer
 * returns. */
int sl_stop_switch(lua_State *L, sl_thread *to, int n, int is_protected);

/* [-(n + 1), +m, e] For a runner: freezes its own thread t in the state
 * SL_CALLING until control comes back. The handover is on the top of L (none
 * with SL_NOTHING). Pushes the m values that control brings; t->got is their
 * handover. */
void sl_stop_unwind(lua_State *L, sl_thread *t, sl_handover given);

/* [-(n + 1), +0, e] sl_stop_unwind for a thread that waits instead, until its
 * loop wakes it (sl_run_onbypass). */
void sl_stop_bypass(lua_State *L, sl_thread *t, sl_handover given);

#endif
