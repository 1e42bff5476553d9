/*
 * stop.h - how threads stop: they wait, are suspended, or hand control over.
 * Most of these functions end the C function that calls them.
 */

#ifndef SL_STOP_H
#define SL_STOP_H

#include "thread/thread.h"

/* --- waiting ------------------------------------------------------------ */

/* [-0, +0, v] Raises the misuse error where L cannot stop: in the main
 * program. */
void sl_stop_check(lua_State *L, sl_threads *all, const char *what);

/* [-0, +0, e] The running thread, anchored; or a new guest of L's coroutine,
 * if no thread runs. Only after sl_stop_check, where sl_hook_refuses nothing,
 * and only to wait with it at once, or else to call sl_stop_disown. */
sl_thread *sl_stop_current(lua_State *L, sl_threads *all);

/* [-0, +0, -] The thread will not wait: a guest's record ends. */
void sl_stop_disown(lua_State *L, sl_thread *t);

/* Ends the running C function in a wait: `return sl_stop_wait(...)`. Others
 * may resume the coroutine meanwhile. Then the values they pass are dropped
 * and the wait goes on; without SL_CONTINUES the wait ends. */
int sl_stop_wait(lua_State *L, sl_thread *t, sl_thread_results results);

/* [-0, +0, -] Waits with the C stack frozen, and returns after the wait. Only
 * for the running thread. */
void sl_stop_freeze(lua_State *L, sl_thread *t);

/* --- handing over ------------------------------------------------------- */

/* Ends the running C function in a suspension: `return sl_stop_suspend(...)`.
 * Its results are the values that control brings. */
int sl_stop_suspend(lua_State *L, sl_threads *all);

/* A suspended thread becomes one that waits, frozen, for its loop: it is
 * anchored, and its suspension will bring no values. False if the thread is
 * not suspended. */
int sl_stop_wake(sl_thread *t);

/* Ends the running C function in handing over n values to the target: these
 * n + 1 values are on the top. Its results are the values that control brings
 * back; is_protected: true before them. Only for the running thread. */
int sl_stop_transfer(lua_State *L, sl_threads *all, int n, int is_protected);

/* Ends the running C function, whose arguments are a thread and n values, in
 * handing them over to that: directly from one C stack to the other. It is a
 * suspended thread, found by sl_hold_recent; n is at most SL_FAST_VALUES_MAX.
 * Results as those of sl_stop_transfer. */
int sl_stop_switch(lua_State *L, sl_thread *to, int n, int is_protected);

/* [-(n + 1), +m, e] For a runner: its own thread t freezes in the state
 * SL_CALLING until control comes back. The handover lies on the top of L (with
 * SL_NOTHING nothing does). Pushes the m values that control brings;
 * t->got is their handover. */
void sl_stop_unwind(lua_State *L, sl_thread *t, sl_handover given);

/* [-(n + 1), +0, e] The same for one that waits meanwhile: its loop wakes it
 * (sl_run_onbypass). */
void sl_stop_bypass(lua_State *L, sl_thread *t, sl_handover given);

#endif
