/*
 * sleep.h - waits without a source: for a time, for a turn, or for a resume.
 */

#ifndef SL_SLEEP_H
#define SL_SLEEP_H

#include "loop/wait.h"

/* Ends the running C function in a sleep of so many seconds; 0 or less gives
 * way for one turn. */
int sl_sleep_run(lua_State *L, sl_loop *loop, double seconds);

/* [-0, +0, e] Sleeps so many seconds while the calling C function stays on its
 * fiber. Only in a thread. */
void sl_sleep_block(lua_State *L, sl_loop *loop, double seconds);

/* Queues a thread that is about to stop: it continues in its next turn. */
void sl_sleep_queue(sl_thread *t);

/* Ends the running C function in a suspension. Returns the number of values
 * that resume has passed. */
int sl_sleep_suspend(lua_State *L, sl_loop *loop);

#endif
