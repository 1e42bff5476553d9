/*
 * step.h - one step of a loop, in this order:
 *
 *   1. wait for readiness, not longer than the first deadline, not at all
 *      when a thread is ready;
 *   2. each ready source: try its operations, run the threads of those that
 *      finished;
 *   3. each deadline that passed: run the thread;
 *   4. the threads that were ready before: run them in order.
 *
 * Before the last the collector runs if a wait depends on that. An error that
 * leaves the step in between loses nothing: the next step goes on where this
 * one left off.
 */

#ifndef SL_STEP_H
#define SL_STEP_H

#include "loop/loop.h"

/* [-0, +0, e] Makes one step that waits for at most timeout seconds (negative:
 * no limit). False if nothing is ready or waits. */
int sl_step_run(lua_State *L, sl_loop *loop, double timeout);

#endif
