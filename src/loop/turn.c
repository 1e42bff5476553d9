/*
 * turn.c - turns of threads, and the reports of their failures. See turn.h.
 */

#include "loop/turn.h"

#include "loop/interrupt.h"
#include "loop/loops.h"
#include "loop/operation.h"
#include "thread/end.h"
#include "thread/failure.h"
#include "thread/run.h"

/* --- failures ---------------------------------------------------------- */

/* [-3, +0, e] Calls onerror(thread, error, traceback). Without onerror, and for
 * Ctrl-C, raises the error out of the step. */
static void report_failure(lua_State *L, const sl_loop *loop)
{
    loop->failed(L, lua_gettop(L) - 2);
    sl_loops_pushenv(L, loop, SL_ENV_MODULE);
    lua_getfield(L, -1, "onerror");
    lua_remove(L, -2);    /* thread, error, traceback, onerror */
    if (lua_isnil(L, -1) || sl_interrupt_isone(L, -3, loop->has_sigint)) {
        lua_pop(L, 1);
        sl_failure_message(L);
        lua_error(L);
    }
    lua_insert(L, -4);
    lua_call(L, 3, 0);
}

void sl_turn_faillater(lua_State *L, sl_loop *loop)
{
    lua_createtable(L, 3, 0);
    lua_insert(L, -4);
    for (int i = 3; i >= 1; i--)
        lua_rawseti(L, -(i + 1), i);
    sl_loops_pushenv(L, loop, SL_ENV_FAILURES);
    lua_insert(L, -2);    /* failures, {thread, error, traceback} */
    lua_rawseti(L, -2, loop->failures + 1);
    lua_pop(L, 1);
    loop->failures++;
}

/* [-0, +3, m] Takes the first failure out of the list: pushes the thread, the
 * error and the traceback. */
static void push_firstfailure(lua_State *L, sl_loop *loop)
{
    sl_loops_pushenv(L, loop, SL_ENV_FAILURES);
    lua_rawgeti(L, -1, 1);
    for (int i = 1; i < loop->failures; i++) {
        lua_rawgeti(L, -2, i + 1);
        lua_rawseti(L, -3, i);
    }
    lua_pushnil(L);
    lua_rawseti(L, -3, loop->failures--);
    lua_remove(L, -2);    /* {thread, error, traceback} */
    for (int i = 1; i <= 3; i++)
        lua_rawgeti(L, -i, i);
    lua_remove(L, -4);
}

/* Each failure is taken out of the list before it is reported. If the report
 * raises, the next step continues with the next failure. */
void sl_turn_reportall(lua_State *L, sl_loop *loop)
{
    sl_thread_sync_vm(L, loop->threads);
    while (loop->failures > 0) {
        push_firstfailure(L, loop);
        report_failure(L, loop);
    }
}

/* --- turns ------------------------------------------------------------- */

/* Continues the operation of a queued wait. True if the wait is over, or its
 * thread has left. */
static int advance_queued(lua_State *L, sl_wait *wait)
{
    if (!sl_wait_hassource(wait)) {
        sl_wait_finish(wait, 0);
        return 1;
    }
    if (!sl_thread_waits(wait->thread))
        return 1;
    if (sl_source_isreused(sl_source_of(wait)))
        sl_source_release(sl_source_of(wait), 0);
    else
        sl_operation_advance(L, wait);
    return wait->phase == SL_WAIT_DONE;
}

/* sl_run_prepare may raise: the thread stays in the queue until then. Its
 * gathered bytes are sent before report_failure, which may raise, too. */
void sl_turn_take(lua_State *L, sl_loop *loop, sl_thread *t)
{
    sl_wait *wait = t->wait;
    if (wait != NULL && wait->phase == SL_WAIT_QUEUED &&
        !advance_queued(L, wait))
        return;
    int waits = sl_run_prepare(L, t);
    if (!waits && wait != NULL)
        sl_operation_drop(L, wait);
    sl_wait_dequeue(loop, t);
    t->wait = NULL;
    t->spent = 0;
    int failed = waits ? sl_run_wake(L, t, loop->hook) : sl_end_lose(L, t);
    sl_turn_end(loop);
    if (failed)
        report_failure(L, loop);
    sl_turn_report(L, loop);
}

int sl_turn_start(lua_State *L, sl_loop *loop, int nargs)
{
    sl_turn_end(loop);
    int failed = sl_run_start(L, loop->threads, nargs, loop);
    sl_turn_end(loop);
    return failed;
}

int sl_turn_raise(lua_State *L, const sl_loop *loop)
{
    loop->failed(L, lua_gettop(L) - 2);
    sl_failure_message(L);
    return lua_error(L);
}

int sl_turn_afterresume(lua_State *L, enum sl_outcome outcome)
{
    sl_loop *loop = sl_loop_check(L);
    sl_turn_end(loop);
    return outcome == SL_FAILED ? sl_turn_raise(L, loop) : 0;
}
