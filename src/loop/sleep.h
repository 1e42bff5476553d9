/*
 * sleep.h - threads that wait in themselves: for a time, for a turn, or to be
 * resumed.
 */

#ifndef SL_SLEEP_H
#define SL_SLEEP_H

#include "loop/wait.h"

/* Ends the running C function in a sleep of so many seconds; 0 or less lets the
 * other threads have their turn. */
int sl_sleep_run(lua_State *L, sl_loop *loop, double seconds);

/* [-0, +0, e] Sleeps so many seconds while the calling C function stays on its
 * fiber. Only in a thread. */
void sl_sleep_block(lua_State *L, sl_loop *loop, double seconds);

/* The thread, which is about to stop, goes on in its next turn. */
void sl_sleep_queue(sl_thread *t);

/* Ends the running C function in a suspension, until the thread is resumed:
 * returns how many values resume has passed. */
int sl_sleep_suspend(lua_State *L, sl_loop *loop);

#endif
