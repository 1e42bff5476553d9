/*
 * operation.h - operations of threads: tried at once, and waited for if they
 * must wait. Each thread has a budget of operations, after which the other
 * threads have their turn.
 */

#ifndef SL_OPERATION_H
#define SL_OPERATION_H

#include "loop/source.h"
#include "thread/hook.h"

enum { SL_OPERATIONS_MAX = 64 };    /* a thread's budget for one turn */

/* Charges one operation to the running thread's budget. True: the caller may
 * complete the operation itself. False: the budget is used up, and only
 * sl_operation_run lets other threads run first. */
static inline int sl_operation_charge(const sl_wait *wait)
{
    sl_thread *t = sl_source_of(wait)->loop->threads->running;
    return t != NULL && t->spent < SL_OPERATIONS_MAX ? ++t->spent : 0;
}

/* [-0, +0, m] Why the calling thread must not wait in that loop; NULL if it
 * may. */
static inline const char *sl_operation_obstacle(lua_State *L,
                                                const sl_loop *loop)
{
    const void *own = sl_thread_loop(loop->threads->running);
    if (own != loop && own != NULL)
        return "a thread of another loop cannot wait in this one; it takes "
               "functions and sockets of its own loop";
    return sl_hook_refuses(L, loop->threads);
}

/* [-0, +0, e] Raises if the calling thread must not wait in that loop. */
static inline void sl_operation_checkobstacle(lua_State *L,
                                              const sl_loop *loop)
{
    const char *obstacle = sl_operation_obstacle(L, loop);
    if (obstacle != NULL)
        luaL_error(L, "%s", obstacle);
}

/* [-0, +0, m] Charges one operation to the running thread's budget. True if
 * that is used up, and the thread may stop here to let other threads run. */
static inline int sl_operation_isdue(lua_State *L, const sl_loop *loop)
{
    sl_thread *t = loop->threads->running;
    return t != NULL && ++t->spent > SL_OPERATIONS_MAX &&
           sl_operation_obstacle(L, loop) == NULL;
}

/* Raises: another thread uses this wait. `what` names the calling function. */
void sl_operation_refuse(lua_State *L, const char *what);

/* The rest of sl_operation_check, where something is unusual. */
void sl_operation_checkall(lua_State *L, sl_wait *wait, const char *what);

/* Raises if the calling function must not use this wait: another thread does,
 * or there is no thread. */
static inline void sl_operation_check(lua_State *L, sl_wait *wait,
                                      const char *what)
{
    if (wait->thread != NULL || wait->reserved ||
        sl_source_of(wait)->loop->threads->running == NULL)
        sl_operation_checkall(L, wait, what);
}

/* Ends the running C function in an operation: tries it, and waits for it if
 * it must wait, at most block seconds at a time and total seconds in all
 * (negative: no limit), and pushes its results. */
int sl_operation_run(lua_State *L, sl_wait *wait,
                     const sl_operation *operation, double block,
                     double total);

/* Runs an operation for at most limit seconds while the calling C function
 * stays on its fiber: returns the operation's status. A caller that changes the
 * wait's interest for the operation calls sl_operation_checkobstacle before,
 * so that this does not raise. */
int sl_operation_block(lua_State *L, sl_wait *wait,
                       const sl_operation *operation, double limit);

/* sl_operation_block with the two limits of sl_operation_run. */
int sl_operation_blocklimited(lua_State *L, sl_wait *wait,
                              const sl_operation *operation, double block,
                              double total);

/* Finished as soon as the socket is found open: with sl_operation_block, a turn
 * of the other threads if this thread's budget is used up. */
extern const sl_operation sl_operation_turn;

/* For operations that no readiness announces: tries now and then, on the
 * calling function's fiber, and returns the status. Raises outside of threads
 * if it has to wait. */
int sl_operation_poll(lua_State *L, sl_wait *wait, sl_attempt attempt,
                      double block, double total);

/* Lets the other threads have their turn: 0 or SL_CLOSED. Only in a thread that
 * may wait. */
int sl_operation_yield(lua_State *L, sl_wait *wait);

/* Waits so many seconds (without memory only until the thread's next turn), or
 * until the socket is closed: 0 or SL_CLOSED. Only in a thread. */
int sl_operation_pause(lua_State *L, sl_wait *wait, double seconds);

/* For the step: tries the operation of a wait that is parked or queued, and
 * brings the wait into the phase that follows from the answer. */
void sl_operation_advance(lua_State *L, sl_wait *wait);

/* --- threads that have left -------------------------------------------- */

/* The thread is not in its wait any more (sl_thread_waits): the wait is free,
 * and the thread ready, so that its record ends in its turn. */
void sl_operation_drop(lua_State *L, sl_wait *wait);

/* Whether a thread is in the wait. It may have left without notice, as its
 * coroutine was closed or resumed by other means. */
int sl_operation_occupied(lua_State *L, sl_wait *wait);

/* Drops the parked waits of this loop that their threads have left. Looks at
 * the records of all threads. */
void sl_operation_patrol(lua_State *L, sl_loop *loop);

#endif
