/*
 * turn.h - turns of threads: each runs until it waits, is suspended or ends.
 * What a thread has sent in small pieces leaves when its turn ends (cork.h).
 */

#ifndef SL_TURN_H
#define SL_TURN_H

#include "loop/cork.h"
#include "loop/loop.h"

/* [-0, +0, e] The turn of a thread in the ready queue: its operation goes on;
 * if its wait is over then, the thread runs. */
void sl_turn_take(lua_State *L, sl_loop *loop, sl_thread *t);

/* [-(nargs + 1), +1, e] sl_run_start in a turn of its own. */
int sl_turn_start(lua_State *L, sl_loop *loop, int nargs);

/* Ends the running C function in sl_run_resume, in a turn of its own. What the
 * thread raises is raised there. */
int sl_turn_resume(lua_State *L, sl_loop *loop);

/* A turn ends, or another one interrupts it. Functions that run threads by
 * other means than the above call this before and afterwards. */
static inline void sl_turn_end(sl_loop *loop)
{
    sl_cork_flush(loop);
}

/* --- failures ---------------------------------------------------------- */

/* [-3, +0, v] Raises the failure of a thread (thread, error, traceback) in the
 * function that has started or resumed it. */
int sl_turn_raise(lua_State *L, const sl_loop *loop);

/* [-3, +0, m] A thread of the loop failed where nothing can be raised: the next
 * step, or the one that goes on, reports the thread, error and traceback. */
void sl_turn_faillater(lua_State *L, sl_loop *loop);

/* The rest of sl_turn_report. */
void sl_turn_reportall(lua_State *L, sl_loop *loop);

/* [-0, +0, e] Reports the failures that were put off. */
static inline void sl_turn_report(lua_State *L, sl_loop *loop)
{
    if (loop->failures > 0)
        sl_turn_reportall(L, loop);
}

#endif
