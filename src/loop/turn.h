/*
 * turn.h - turns of threads. In its turn a thread runs until it waits, is
 * suspended or ends. Bytes that its sends have gathered leave when the turn
 * ends (cork.h).
 */

#ifndef SL_TURN_H
#define SL_TURN_H

#include "loop/cork.h"
#include "loop/loop.h"
#include "thread/run.h"

/* [-0, +0, e] The turn of a thread in the ready queue: its operation goes on,
 * and if its wait is over then, the thread runs. */
void sl_turn_take(lua_State *L, sl_loop *loop, sl_thread *t);

/* [-(nargs + 1), +1, e] sl_run_start in a turn of its own. */
int sl_turn_start(lua_State *L, sl_loop *loop, int nargs);

/* Ends a turn. Functions that run threads by other means than those of this
 * header call this before and after. */
static inline void sl_turn_end(sl_loop *loop)
{
    sl_cork_flush(loop);
}

/* Called by sl_turn_resume after the thread has stopped. */
int sl_turn_afterresume(lua_State *L, enum sl_outcome outcome);

/* Ends the running C function in sl_run_resume, in a turn of the resumed
 * thread. Raises the error of that thread if it fails. */
static inline int sl_turn_resume(lua_State *L, sl_loop *loop)
{
    sl_turn_end(loop);
    return sl_run_resume(L, loop->threads, loop, sl_turn_afterresume);
}

/* --- failures ---------------------------------------------------------- */

/* [-3, +0, v] Raises the failure of a thread (thread, error, traceback) in the
 * function that started or resumed the thread. */
int sl_turn_raise(lua_State *L, const sl_loop *loop);

/* [-3, +0, m] Keeps the failure of a thread (thread, error, traceback) where
 * nothing can be raised. The current or next step reports it. */
void sl_turn_faillater(lua_State *L, sl_loop *loop);

/* Slow path of sl_turn_report. */
void sl_turn_reportall(lua_State *L, sl_loop *loop);

/* [-0, +0, e] Reports the failures kept by sl_turn_faillater. */
static inline void sl_turn_report(lua_State *L, sl_loop *loop)
{
    if (loop->failures > 0)
        sl_turn_reportall(L, loop);
}

#endif
